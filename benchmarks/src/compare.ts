// Two sets of results of the same cases: which differ by more than chance and by more than a threshold.
import { leastPValue, mannWhitney, median } from '@n2n/kernels';

/** What a result needs to be compared. */
export interface Comparable {
  readonly name: string;
  /** Of results against other engines. */
  readonly engine?: string | undefined;
  readonly samplesMs: readonly number[];
}

export interface CompareOptions {
  /** The least relative change of the median that counts: 0.05. */
  readonly threshold: number;
  /** The chance of calling any unchanged case changed: 0.01. */
  readonly significance: number;
}

/** `undecided`: the medians are further apart than the threshold, and so may be two measurements of the same. */
export type Verdict = 'slower' | 'faster' | 'same' | 'undecided';

export interface Comparison {
  /** With the engine in front where there is one. */
  readonly name: string;
  readonly beforeMs: number;
  readonly afterMs: number;
  /** afterMs / beforeMs - 1: positive is slower. */
  readonly change: number;
  /** Mann-Whitney, two-sided, adjusted for the number of cases (Holm). */
  readonly p: number;
  readonly verdict: Verdict;
}

export interface ComparisonReport {
  readonly results: readonly Comparison[];
  /** Cases that only one side has. */
  readonly onlyBefore: readonly string[];
  readonly onlyAfter: readonly string[];
  /** Cases with too few repetitions to become significant among so many, however far apart. */
  readonly tooFew: readonly string[];
}

export function compareResults(
  before: readonly Comparable[],
  after: readonly Comparable[],
  { threshold, significance }: CompareOptions,
): ComparisonReport {
  const [earlier, later] = [byName(before), byName(after)];
  const names = [...earlier.keys()].filter((name) => later.has(name));
  const pairs = names.map((name) => ({ name, a: earlier.get(name)!.samplesMs, b: later.get(name)!.samplesMs }));
  const adjusted = holm(pairs.map(({ a, b }) => mannWhitney(a, b)));
  const results = pairs.map(({ name, a, b }, i): Comparison => {
    const [beforeMs, afterMs] = [median(a), median(b)];
    const change = afterMs / beforeMs - 1;
    const p = adjusted[i]!;
    return { name, beforeMs, afterMs, change, p, verdict: verdictOf(change, p, threshold, significance) };
  });
  return {
    results,
    onlyBefore: [...earlier.keys()].filter((name) => !later.has(name)),
    onlyAfter: [...later.keys()].filter((name) => !earlier.has(name)),
    tooFew: pairs.filter(({ a, b }) => leastPValue(a.length, b.length) * pairs.length > significance).map(({ name }) => name),
  };
}

function verdictOf(change: number, p: number, threshold: number, significance: number): Verdict {
  // Relative to the faster of the two, so that "twice as fast" and "twice as slow" count alike.
  const distance = change > 0 ? change : 1 / (1 + change) - 1;
  if (distance <= threshold) return 'same';
  if (p > significance) return 'undecided';
  return change > 0 ? 'slower' : 'faster';
}

function byName(results: readonly Comparable[]): Map<string, Comparable> {
  return new Map(results.map((result) => [result.engine === undefined ? result.name : `${result.engine} ${result.name}`, result]));
}

/** Holm's adjustment: comparing each to the level then bounds the chance of any false call. */
function holm(pValues: readonly number[]): number[] {
  const order = pValues.map((p, index) => ({ p, index })).toSorted((a, b) => a.p - b.p);
  const adjusted = new Array<number>(pValues.length).fill(1);
  let largest = 0;
  order.forEach(({ p, index }, rank) => {
    largest = Math.max(largest, Math.min(1, p * (pValues.length - rank)));
    adjusted[index] = largest;
  });
  return adjusted;
}
