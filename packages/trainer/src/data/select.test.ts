// Class-balanced choices: balance, disjointness, nesting, and independence of everything but the key.
import { describe, expect, it } from 'vitest';
import { SelectionError, splitValidation, subset } from './select.js';

/** A split with `counts[c]` records of class c, classes interleaved. */
function splitOf(counts: readonly number[]): { count: number; images: Uint8Array; labels: Uint8Array } {
  const left = [...counts];
  const labels: number[] = [];
  while (left.some((n) => n > 0)) {
    left.forEach((n, label) => {
      if (n > 0) labels.push(label);
      left[label] = n - 1;
    });
  }
  return { count: labels.length, images: new Uint8Array(labels.length), labels: Uint8Array.from(labels) };
}

function classCounts(indices: Uint32Array, labels: Uint8Array, classes: number): number[] {
  const counts = new Array<number>(classes).fill(0);
  for (const index of indices) {
    const label = labels[index] ?? 0;
    counts[label] = (counts[label] ?? 0) + 1;
  }
  return counts;
}

describe('splitValidation', () => {
  const split = splitOf([50, 60, 70]);

  it('gives two ascending, disjoint parts that together are the split, validation balanced', () => {
    const { train, validation } = splitValidation(split, { count: 31, classes: 3, seed: 1 });
    expect([...train, ...validation].sort((a, b) => a - b)).toEqual(Array.from({ length: 180 }, (_, i) => i));
    expect([...validation]).toEqual([...validation].sort((a, b) => a - b));
    expect(classCounts(validation, split.labels, 3).sort((a, b) => a - b)).toEqual([10, 10, 11]);
  });

  it('takes a fraction, depends on the seed, and repeats itself', () => {
    const first = splitValidation(split, { fraction: 0.1, classes: 3, seed: 1 });
    expect(first.validation).toHaveLength(18);
    expect(splitValidation(split, { fraction: 0.1, classes: 3, seed: 1 })).toEqual(first);
    expect(splitValidation(split, { fraction: 0.1, classes: 3, seed: 2 }).validation).not.toEqual(first.validation);
  });

  it('does not take the first records of a class', () => {
    const { validation } = splitValidation(split, { count: 30, classes: 3, seed: 1 });
    expect(Math.max(...validation)).toBeGreaterThan(100);
  });

  it('a larger validation part contains a smaller one', () => {
    for (const [small, large] of [
      [1, 2],
      [5, 31],
      [31, 100],
      [100, 177],
    ] as const) {
      const held = new Set(splitValidation(split, { count: large, classes: 3, seed: 4 }).validation);
      const inner = splitValidation(split, { count: small, classes: 3, seed: 4 }).validation;
      expect(
        [...inner].every((index) => held.has(index)),
        `${small} in ${large}`,
      ).toBe(true);
    }
  });

  it('caps short classes, leaves one record of each in training, and spreads the rest', () => {
    const skewed = splitOf([3, 40, 40, 0]);
    const { train, validation } = splitValidation(skewed, { count: 22, classes: 4, seed: 1 });
    expect(classCounts(validation, skewed.labels, 4)).toEqual([2, 10, 10, 0]);
    expect(classCounts(train, skewed.labels, 4)).toEqual([1, 30, 30, 0]);
  });

  it.each([
    [{}, 'either a count or a fraction'],
    [{ count: 3, fraction: 0.5 }, 'either a count or a fraction'],
    [{ count: 180 }, '180 validation records of 180 were asked for; it must be an integer in 1..179'],
    [{ count: 178 }, '178 records were asked for; the classes can give 177'],
    [{ count: 2.5 }, '2.5 validation records'],
    [{ fraction: 1.5 }, 'a validation fraction of 1.5'],
    [{ fraction: NaN }, 'a validation fraction of NaN'],
    [{ fraction: 0.0001 }, '0 validation records of 180'],
  ])('refuses %j', (wrong, message) => {
    const run = (): unknown => splitValidation(split, { ...wrong, classes: 3, seed: 1 });
    expect(run).toThrow(SelectionError);
    expect(run).toThrow(message);
  });
});

describe('subset', () => {
  const { labels } = splitOf([50, 60, 70]);
  const even = Uint32Array.from({ length: 90 }, (_, i) => 2 * i);

  it('takes a balanced part of the given indices only, ascending', () => {
    const chosen = subset(even, labels, 30, 3, 1);
    expect([...chosen].every((index) => index % 2 === 0)).toBe(true);
    expect(new Set(chosen).size).toBe(30);
    expect(classCounts(chosen, labels, 3)).toEqual([10, 10, 10]);
    expect([...chosen]).toEqual([...chosen].sort((a, b) => a - b));
    expect(subset(even, labels, 30, 3, 1)).toEqual(chosen);
    expect(subset(even, labels, 30, 3, 2)).not.toEqual(chosen);
    expect(subset(even, labels, 90, 3, 1)).toEqual(even);
  });

  it('refuses counts out of range and labels out of range', () => {
    expect(() => subset(even, labels, 91, 3, 1)).toThrow('a subset of 91 records was asked for; it must be an integer in 1..90');
    expect(() => subset(even, labels, 0, 3, 1)).toThrow('a subset of 0 records');
    expect(() => subset(even, labels, 9, 2, 1)).toThrow(/record \d+ has label 2; 2 classes/);
  });
});
