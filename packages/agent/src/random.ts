// Random numbers without a state: each draw is a pure function of (seed, purpose, index), so what rollout r of update u
// draws at step t never depends on what was drawn before, on the number of workers, or on where a search was resumed.
// The generator is Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011).

/** Draws of one purpose. An index is up to four integers in [0, 2^32), such as (update, rollout, step). */
export interface KeyedRandom {
  /** Uniform in [0, 1), 53 random bits. */
  uniform(...index: readonly number[]): number;
  /** Standard normal (Box-Muller over the two halves of one block). */
  normal(...index: readonly number[]): number;
}

/** The generator of one purpose under one seed. `seed` is a non-negative safe integer. */
export function keyedRandom(seed: number, purpose: string): KeyedRandom {
  if (!Number.isSafeInteger(seed) || seed < 0) {
    throw new RangeError(`seed is ${seed}; it must be an integer from 0 to ${Number.MAX_SAFE_INTEGER}`);
  }
  const key = keyOf(seed, purpose);
  return {
    uniform: (...index) => {
      const [a, b] = block(key, index);
      return unit(a, b);
    },
    normal: (...index) => {
      const [a, b, c, d] = block(key, index);
      return Math.sqrt(-2 * Math.log(1 - unit(a, b))) * Math.cos(2 * Math.PI * unit(c, d));
    },
  };
}

type Words4 = readonly [number, number, number, number];

/** Philox4x32-10: 128 random bits from a 128-bit counter and a 64-bit key, all as unsigned 32-bit words. */
export function philox4x32(counter: Words4, key: readonly [number, number]): Words4 {
  let [c0, c1, c2, c3] = counter;
  let [k0, k1] = key;
  for (let round = 0; round < 10; round++) {
    const high0 = multiplyHigh(0xd2511f53, c0);
    const low0 = Math.imul(0xd2511f53, c0) >>> 0;
    const high1 = multiplyHigh(0xcd9e8d57, c2);
    const low1 = Math.imul(0xcd9e8d57, c2) >>> 0;
    [c0, c1, c2, c3] = [(high1 ^ c1 ^ k0) >>> 0, low1, (high0 ^ c3 ^ k1) >>> 0, low0];
    k0 = (k0 + 0x9e3779b9) >>> 0;
    k1 = (k1 + 0xbb67ae85) >>> 0;
  }
  return [c0, c1, c2, c3];
}

function block(key: readonly [number, number], index: readonly number[]): Words4 {
  if (index.length > 4) throw new RangeError(`a random draw takes up to 4 indices, got ${index.length}`);
  const word = (i: number): number => {
    const value = index[i] ?? 0;
    if (!Number.isInteger(value) || value < 0 || value > 0xffffffff) {
      throw new RangeError(`index ${i} of a random draw is ${value}; it must be an integer in [0, 2^32)`);
    }
    return value;
  };
  return philox4x32([word(0), word(1), word(2), word(3)], key);
}

/** High 32 bits of the product of two unsigned 32-bit words. */
function multiplyHigh(a: number, b: number): number {
  const aLow = a & 0xffff;
  const aHigh = a >>> 16;
  const bLow = b & 0xffff;
  const bHigh = b >>> 16;
  const middle = aHigh * bLow + ((aLow * bLow) >>> 16);
  const carry = aLow * bHigh + (middle & 0xffff);
  return (aHigh * bHigh + Math.floor(middle / 0x10000) + Math.floor(carry / 0x10000)) >>> 0;
}

/** Two words to a double in [0, 1). */
const unit = (a: number, b: number): number => ((a >>> 5) * 0x4000000 + (b >>> 6)) / 0x20000000000000;

/** The 64-bit key of (seed, purpose): the purpose's UTF-16 units are absorbed into the seed, one Philox block a unit. */
function keyOf(seed: number, purpose: string): readonly [number, number] {
  let k0 = seed >>> 0;
  let k1 = Math.floor(seed / 0x100000000) >>> 0;
  for (let i = 0; i < purpose.length; i++) {
    [k0, k1] = philox4x32([purpose.charCodeAt(i), i, purpose.length, 0], [k0, k1]);
  }
  return [k0, k1];
}
