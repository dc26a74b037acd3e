// The mask as a random variable: its rate, and its independence of neighbours, steps, layers and seeds.
import { describe, expect, it } from 'vitest';
import { maskReference, pcg4d } from './reference.js';

const SIZE = 65_536;

/** 1 where an element is kept. */
function mask(rate: number, seed: number, layer: number, step: number): Float64Array {
  const kept = new Float64Array(SIZE);
  maskReference({ size: SIZE, rate, seed, layer }, step, new Float64Array(SIZE).fill(1 - rate), kept);
  return kept.map(Math.round);
}

/** Correlation of two 0/1 arrays, the second read `shift` places on; independent ones give 0 +- 1 / sqrt(SIZE) = 0.004. */
function correlation(a: Float64Array, b: Float64Array, shift = 0): number {
  const mean = (v: Float64Array): number => v.reduce((sum, x) => sum + x, 0) / v.length;
  const [meanA, meanB] = [mean(a), mean(b)];
  let sum = 0;
  for (let i = 0; i < SIZE; i++) sum += (a[i]! - meanA) * (b[(i + shift) % SIZE]! - meanB);
  return sum / SIZE / Math.sqrt(meanA * (1 - meanA) * meanB * (1 - meanB));
}

describe('dropout mask', () => {
  it.each([0.1, 0.25, 0.5, 0.9])('dropout drops a fraction of %f', (rate) => {
    for (const step of [0, 1, 1000]) {
      const dropped = 1 - mask(rate, 3, 0, step).reduce((sum, x) => sum + x, 0) / SIZE;
      // Five standard deviations of a binomial proportion.
      expect(Math.abs(dropped - rate)).toBeLessThan(5 * Math.sqrt((rate * (1 - rate)) / SIZE));
    }
  });

  it('dropout masks are independent of neighbours, steps, layers and seeds', () => {
    const base = mask(0.5, 0, 0, 0);
    for (const shift of [1, 2, 3, 4, 16, 64, 1024]) expect(Math.abs(correlation(base, base, shift)), `shift ${shift}`).toBeLessThan(0.02);
    for (const [seed, layer, step] of [
      [0, 0, 1],
      [0, 0, 2],
      [0, 1, 0],
      [1, 0, 0],
      [0, 1, 1],
      [1, 1, 0],
    ] as const) {
      const other = mask(0.5, seed, layer, step);
      for (const shift of [0, 1, 4, 8]) {
        expect(Math.abs(correlation(base, other, shift)), `seed ${seed} layer ${layer} step ${step} shift ${shift}`).toBeLessThan(0.02);
      }
    }
  });

  it('dropout hash is pcg4d in 32-bit arithmetic', () => {
    // The same formula in exact integers.
    const exact = (...key: number[]): number[] => {
      const v = key.map((k) => BigInt.asUintN(32, BigInt(k) * 1664525n + 1013904223n));
      const add = (to: number, a: number, b: number): void => {
        v[to] = BigInt.asUintN(32, v[to]! + v[a]! * v[b]!);
      };
      const mix = (): void => {
        add(0, 1, 3);
        add(1, 2, 0);
        add(2, 0, 1);
        add(3, 1, 2);
      };
      mix();
      v.forEach((word, i) => (v[i] = word ^ (word >> 16n)));
      mix();
      return v.map(Number);
    };
    const keys: [number, number, number, number][] = [
      [0, 0, 0, 0],
      [1, 2, 3, 4],
      [0xffffffff, 0x80000000, 7, 0xdeadbeef],
    ];
    for (const key of keys) {
      expect(pcg4d(...key)).toEqual(exact(...key));
    }
  });
});
