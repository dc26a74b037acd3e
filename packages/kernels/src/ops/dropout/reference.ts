// The float64 twin of dropout, and its mask.
import type { DropoutShape } from './index.js';

/** Elements whose word lies below are dropped: rate * 2^32, at most 2^32 - 1. */
export const dropThreshold = (rate: number): number => Math.min(2 ** 32 - 1, Math.round(rate * 2 ** 32));

/** What kept elements are multiplied by, as the device holds it. */
export const keptScale = (rate: number): number => Math.fround(1 / (1 - rate));

type Words = [number, number, number, number];

/** pcg4d (Jarzynski, Olano 2020): four 32-bit words to four. */
export function pcg4d(a: number, b: number, c: number, d: number): Words {
  let [x, y, z, w] = [a, b, c, d].map((word) => (Math.imul(word, 1664525) + 1013904223) | 0) as Words;
  const mix = (): void => {
    x = (x + Math.imul(y, w)) | 0;
    y = (y + Math.imul(z, x)) | 0;
    z = (z + Math.imul(x, y)) | 0;
    w = (w + Math.imul(y, z)) | 0;
  };
  mix();
  x ^= x >>> 16;
  y ^= y >>> 16;
  z ^= z >>> 16;
  w ^= w >>> 16;
  mix();
  return [x >>> 0, y >>> 0, z >>> 0, w >>> 0];
}

/** Multiplies the kept elements of `source` by 1 / (1 - rate) into `result` and zeroes the others. */
export function maskReference({ size, rate, seed, layer }: DropoutShape, step: number, source: Float64Array, result: Float64Array): void {
  for (let i = 0; i < size / 4; i++) {
    pcg4d(i, step, layer, seed).forEach((word, j) => {
      result[4 * i + j] = word < dropThreshold(rate) ? 0 : keptScale(rate) * source[4 * i + j]!;
    });
  }
}
