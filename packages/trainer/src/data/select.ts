// Class-balanced, seeded choices of records: the validation split and subsets.
import { keyedRandom } from '../random.js';
import type { Split } from './dataset.js';

export interface ValidationOptions {
  /** Number of validation records; give this or `fraction`. */
  readonly count?: number;
  /** Share of the split that becomes validation, between 0 and 1; rounded to whole records. */
  readonly fraction?: number;
  readonly classes: number;
  readonly seed: number | string;
}

/** A count or fraction that the data cannot give. Exit code 2 when it came from a flag. */
export class SelectionError extends RangeError {
  override readonly name = 'SelectionError';
}

/**
 * Splits record indices in two, both ascending. The validation part has the same number of records of every class, give or
 * take one; where a class has too few, the others give more, and one record of each class always stays in training. The
 * same (split, classes, seed) gives the same records, and a larger validation part contains a smaller one of the same seed.
 */
export function splitValidation(split: Split, options: ValidationOptions): { train: Uint32Array; validation: Uint32Array } {
  const count = validationCount(split.count, options);
  const all = Uint32Array.from({ length: split.count }, (_, i) => i);
  const groups = groupByClass(all, split.labels, options.classes);
  const validation = choose(
    groups,
    count,
    groups.map((group) => Math.max(0, group.length - 1)),
    options.seed,
    'validation-split',
  );
  const held = new Set(validation);
  return { train: all.filter((index) => !held.has(index)), validation };
}

/**
 * `count` of the given record indices, ascending, with the same number of every class, give or take one; where a class has
 * too few, the others give more. `labels` is the whole split's. Larger subsets of a seed contain smaller ones.
 */
export function subset(indices: Uint32Array, labels: Uint8Array, count: number, classes: number, seed: number | string): Uint32Array {
  if (!Number.isInteger(count) || count < 1 || count > indices.length) {
    throw new SelectionError(
      `a subset of ${count} records was asked for; it must be an integer in 1..${indices.length}, the records at hand`,
    );
  }
  const groups = groupByClass(indices, labels, classes);
  return choose(
    groups,
    count,
    groups.map((group) => group.length),
    seed,
    'subset',
  );
}

function validationCount(total: number, { count, fraction }: ValidationOptions): number {
  if ((count === undefined) === (fraction === undefined)) {
    throw new SelectionError('a validation split needs either a count or a fraction, and not both');
  }
  const asked = count ?? Math.round((fraction ?? 0) * total);
  if (fraction !== undefined && !(fraction > 0 && fraction < 1)) {
    throw new SelectionError(`a validation fraction of ${fraction} was asked for; it must lie between 0 and 1`);
  }
  if (!Number.isInteger(asked) || asked < 1 || asked >= total) {
    throw new SelectionError(`${asked} validation records of ${total} were asked for; it must be an integer in 1..${total - 1}`);
  }
  return asked;
}

function groupByClass(indices: Uint32Array, labels: Uint8Array, classes: number): Uint32Array[] {
  const groups: number[][] = Array.from({ length: classes }, () => []);
  for (const index of indices) {
    const label = labels[index];
    const group = label === undefined ? undefined : groups[label];
    if (group === undefined) {
      throw new SelectionError(`record ${index} has label ${label ?? 'none'}; ${classes} classes and ${labels.length} labels were given`);
    }
    group.push(index);
  }
  return groups.map((group) => Uint32Array.from(group));
}

/** Takes `count` indices from the groups, at most `available[c]` of group c, and sorts them. */
function choose(
  groups: readonly Uint32Array[],
  count: number,
  available: readonly number[],
  seed: number | string,
  purpose: string,
): Uint32Array {
  const most = available.reduce((sum, n) => sum + n, 0);
  if (count > most) throw new SelectionError(`${count} records were asked for; the classes can give ${most}`);
  // Which classes give one more when the count is no multiple of the classes: one fixed order for all counts of a seed.
  const classOrder = keyedRandom(seed, `${purpose}/class-order`).permutation(groups.length);
  const quotas = shareEqually(count, available, classOrder);
  const chosen: number[] = [];
  groups.forEach((group, label) => {
    const order = keyedRandom(seed, `${purpose}/records`, label).permutation(group.length);
    for (const position of order.subarray(0, quotas[label])) chosen.push(group[position] ?? 0);
  });
  return Uint32Array.from(chosen).sort();
}

/** One by one in `order`, round after round, until `count` are given out: equal shares, short classes capped. */
function shareEqually(count: number, available: readonly number[], order: Uint32Array): number[] {
  const quotas = available.map(() => 0);
  let left = count;
  while (left > 0) {
    const open = [...order].filter((label) => (quotas[label] ?? 0) < (available[label] ?? 0));
    const round = Math.max(
      1,
      Math.min(Math.floor(left / open.length), ...open.map((label) => (available[label] ?? 0) - (quotas[label] ?? 0))),
    );
    for (const label of open.slice(0, left)) {
      quotas[label] = (quotas[label] ?? 0) + round;
      left -= round;
    }
  }
  return quotas;
}
