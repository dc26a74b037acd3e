// Random numbers from a counter-based generator: a stream is named by (seed, purpose, index) and never depends on what
// was drawn before it elsewhere. Philox-4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011).
import { createHash } from 'node:crypto';

/** One keyed stream. Draws advance this stream only; two streams with the same key give the same numbers. */
export interface RandomStream {
  /** Uniform integer in [0, 2^32). */
  next(): number;
  /** Uniform in [0, 1) with 53 bits; takes two `next()`. */
  uniform(): number;
  /** Standard normal by Box-Muller: the pairs come from two `uniform()` each, the second one is kept for the next call. */
  normal(): number;
  /** Uniform integer in [0, n), without modulo bias. `n` is an integer in 1..2^32. */
  int(n: number): number;
  /** A uniform permutation of 0..n-1 (Fisher-Yates). */
  permutation(n: number): Uint32Array;
}

const TWO_32 = 0x1_0000_0000;

/**
 * The stream of (seed, purpose, index). `purpose` says what the numbers are for ("initial-weights/conv1", "batch-order"),
 * `index` which of many alike (an epoch, an image, a rollout): a safe integer >= 0. A numeric seed is a safe integer and
 * names the same streams as its decimal text, so that a seed read from a file or a flag needs no care about its type.
 *
 * The Philox key is the first 64 bits of SHA-256("n2n-random/1" NUL seed NUL purpose); the counter holds the index in
 * its upper 64 bits and the block number in its lower 64 bits.
 */
export function keyedRandom(seed: number | string, purpose: string, index = 0): RandomStream {
  if (typeof seed === 'number' && !Number.isSafeInteger(seed)) {
    throw new RangeError(`keyedRandom: the seed is ${seed}; it must be an integer up to 2^53 - 1 in size, or a string`);
  }
  if (!Number.isSafeInteger(index) || index < 0) {
    throw new RangeError(`keyedRandom("${purpose}"): the index is ${index}; it must be an integer in 0..2^53 - 1`);
  }
  const digest = createHash('sha256').update(`n2n-random/1\0${seed}\0${purpose}`).digest();
  return new PhiloxStream([digest.readUInt32LE(0), digest.readUInt32LE(4)], index);
}

class PhiloxStream implements RandomStream {
  private readonly block = new Uint32Array(4);
  private readonly indexLow: number;
  private readonly indexHigh: number;
  /** Number of the next block of four. */
  private blockNumber = 0;
  /** Words of `block` already handed out. */
  private used = 4;
  private spareNormal: number | undefined;

  constructor(
    private readonly key: readonly [number, number],
    index: number,
  ) {
    this.indexLow = index >>> 0;
    this.indexHigh = Math.floor(index / TWO_32);
  }

  next(): number {
    if (this.used === 4) {
      const low = this.blockNumber >>> 0;
      const high = Math.floor(this.blockNumber / TWO_32);
      philox4x32([low, high, this.indexLow, this.indexHigh], this.key, this.block);
      this.blockNumber += 1;
      this.used = 0;
    }
    const word = this.block[this.used] ?? 0;
    this.used += 1;
    return word;
  }

  uniform(): number {
    const high = this.next() >>> 5;
    const low = this.next() >>> 6;
    return (high * 0x400_0000 + low) / 0x20_0000_0000_0000;
  }

  normal(): number {
    if (this.spareNormal !== undefined) {
      const spare = this.spareNormal;
      this.spareNormal = undefined;
      return spare;
    }
    // 1 - u lies in (0, 1], so the logarithm is finite.
    const radius = Math.sqrt(-2 * Math.log(1 - this.uniform()));
    const angle = 2 * Math.PI * this.uniform();
    this.spareNormal = radius * Math.sin(angle);
    return radius * Math.cos(angle);
  }

  int(n: number): number {
    if (!Number.isInteger(n) || n < 1 || n > TWO_32) {
      throw new RangeError(`RandomStream.int: n is ${n}; it must be an integer in 1..2^32`);
    }
    // Words at or above the largest multiple of n would favour small results: draw again.
    const limit = TWO_32 - (TWO_32 % n);
    let word = this.next();
    while (word >= limit) word = this.next();
    return word % n;
  }

  permutation(n: number): Uint32Array {
    const order = new Uint32Array(n);
    for (let i = 0; i < n; i++) order[i] = i;
    for (let i = n - 1; i > 0; i--) {
      const j = this.int(i + 1);
      const swapped = order[i] ?? 0;
      order[i] = order[j] ?? 0;
      order[j] = swapped;
    }
    return order;
  }
}

/** Upper 32 bits of the 64-bit product of two unsigned 32-bit integers, in 16-bit halves. */
function multiplyHigh(a: number, b: number): number {
  const aLow = a & 0xffff;
  const aHigh = a >>> 16;
  const bLow = b & 0xffff;
  const bHigh = b >>> 16;
  // Each sum stays under 2^32 x 2 and is therefore exact in a double.
  const middle = aHigh * bLow + ((aLow * bLow) >>> 16);
  const carry = (middle % 0x1_0000) + aLow * bHigh;
  return (aHigh * bHigh + Math.floor(middle / 0x1_0000) + Math.floor(carry / 0x1_0000)) >>> 0;
}

/** One block of Philox-4x32 with 10 rounds: 128 bits of counter and 64 bits of key to four unsigned 32-bit words. */
export function philox4x32(counter: readonly [number, number, number, number], key: readonly [number, number], out: Uint32Array): void {
  let [c0, c1, c2, c3] = counter;
  let [k0, k1] = key;
  for (let round = 0; round < 10; round++) {
    const high0 = multiplyHigh(0xd2511f53, c0);
    const low0 = Math.imul(0xd2511f53, c0);
    const high1 = multiplyHigh(0xcd9e8d57, c2);
    const low1 = Math.imul(0xcd9e8d57, c2);
    c0 = (high1 ^ c1 ^ k0) >>> 0;
    c1 = low1 >>> 0;
    c2 = (high0 ^ c3 ^ k1) >>> 0;
    c3 = low0 >>> 0;
    k0 = (k0 + 0x9e3779b9) >>> 0;
    k1 = (k1 + 0xbb67ae85) >>> 0;
  }
  out[0] = c0;
  out[1] = c1;
  out[2] = c2;
  out[3] = c3;
}
