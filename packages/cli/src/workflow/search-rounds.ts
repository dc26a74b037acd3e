// The rounds of `n2n bench search`: each group of students through every engine in turn, so that a busy spell meets all of them.
import { EngineError } from '@n2n/benchmarks';
import type { Candidate } from '@n2n/agent';
import { performance } from 'node:perf_hooks';
import { sameBits, type Judged, type SearchEngine, type SearchEngineName } from './search-engines.js';

export interface RoundOptions {
  /** Students of a group. */
  readonly groupSize: number;
  /** Rounds over all groups; of a group's times the least counts. */
  readonly repetitions: number;
  /** After this no new group begins, once one is done. */
  readonly timeLimitMs: number;
  readonly onProgress?: (done: number, total: number, detail: string) => void;
}

export interface EngineResult {
  readonly engine: SearchEngineName;
  /** Students an hour of the engine's own time. */
  readonly candidatesPerHour: number;
  /** Sum over the groups of the least time of each. */
  readonly seconds: number;
  readonly candidates: number;
  /** Seconds of each group in each round. */
  readonly samples: readonly (readonly number[])[];
}

export interface Rounds {
  readonly results: readonly EngineResult[];
  /** Engines that gave up on the way, and why. */
  readonly failed: readonly { readonly engine: SearchEngineName; readonly reason: string }[];
  /** Whether students of a cohort and students alone, both on cached logits, got the same bits; null when either was not measured. */
  readonly identicalBits: boolean | null;
}

/** Runs the engines, in the order of the map; the one that begins changes from group to group. */
export async function runRounds(
  engines: ReadonlyMap<SearchEngineName, SearchEngine>,
  students: readonly Candidate[],
  options: RoundOptions,
): Promise<Rounds> {
  const { groupSize, repetitions, timeLimitMs, onProgress } = options;
  const groups = Array.from({ length: Math.ceil(students.length / groupSize) }, (_, i) =>
    students.slice(i * groupSize, (i + 1) * groupSize),
  );
  const rounds = new RoundsState([...engines.keys()]);
  const started = performance.now();
  const total = students.length * repetitions;
  for (let turn = 0; turn < groups.length * repetitions; turn++) {
    if (turn > 0 && performance.now() - started > timeLimitMs) break;
    const at = turn % groups.length;
    const group = groups[at]!;
    const before = Math.floor(turn / groups.length) * students.length + at * groupSize;
    const names = rotated(rounds.running, turn);
    for (const [i, name] of names.entries()) {
      await rounds.measure(name, at, async () =>
        engines.get(name)!.judge(group, (done) => onProgress?.(before + (i * group.length + done) / names.length, total, name)),
      );
    }
    rounds.closeGroup(at, group.length);
  }
  return rounds.result();
}

const rotated = <T>(values: readonly T[], by: number): T[] => values.map((_, i) => values[(i + by) % values.length]!);

class RoundsState {
  readonly #samples: Map<SearchEngineName, number[][]>;
  readonly #failed: { engine: SearchEngineName; reason: string }[] = [];
  readonly #sizes: number[] = [];
  readonly #outcomes = new Map<SearchEngineName, Judged>();
  #identicalBits: boolean | null = null;

  constructor(names: readonly SearchEngineName[]) {
    this.#samples = new Map(names.map((name) => [name, []]));
  }

  get running(): SearchEngineName[] {
    return [...this.#samples.keys()];
  }

  async measure(name: SearchEngineName, group: number, judge: () => Promise<Judged>): Promise<void> {
    try {
      const judged = await judge();
      (this.#samples.get(name)![group] ??= []).push(judged.seconds);
      this.#outcomes.set(name, judged);
    } catch (error) {
      if (!(error instanceof EngineError)) throw error;
      this.#failed.push({ engine: name, reason: error.message });
      this.#samples.delete(name);
    }
  }

  closeGroup(group: number, size: number): void {
    this.#sizes[group] = size;
    const [side, alone] = [this.#outcomes.get('n2n'), this.#outcomes.get('one-at-a-time-cached')];
    if (side === undefined || alone === undefined) return;
    this.#identicalBits = this.#identicalBits !== false && sameBits(side.outcomes, alone.outcomes);
  }

  result(): Rounds {
    const candidates = this.#sizes.reduce((sum, size) => sum + size, 0);
    const results = [...this.#samples].map(([engine, samples]) => {
      const seconds = samples.reduce((sum, times) => sum + Math.min(...times), 0);
      return { engine, candidatesPerHour: (3600 * candidates) / seconds, seconds, candidates, samples };
    });
    return { results, failed: this.#failed, identicalBits: this.#identicalBits };
  }
}

/** Candidates an hour of n2n's ways over those of each other: `n2n/torch-2`. */
export function ratiosOf(results: readonly EngineResult[]): Record<string, number> {
  const ratios: Record<string, number> = {};
  for (const own of results.filter(({ engine }) => engine === 'n2n' || engine === 'n2n-halving')) {
    for (const other of results) {
      if (other === own || (own.engine === 'n2n' && other.engine === 'n2n-halving')) continue;
      ratios[`${own.engine}/${other.engine}`] = own.candidatesPerHour / other.candidatesPerHour;
    }
  }
  return ratios;
}
