// The keyed generator: published known answers, independence of call order, and the shape of its distributions.
import { describe, expect, it } from 'vitest';
import { keyedRandom, philox4x32 } from './random.js';

describe('philox4x32', () => {
  // kat_vectors of the Random123 distribution, philox4x32 with 10 rounds.
  it.each([
    { counter: [0, 0, 0, 0], key: [0, 0], words: [0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8] },
    {
      counter: [0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff],
      key: [0xffffffff, 0xffffffff],
      words: [0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd],
    },
    {
      counter: [0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344],
      key: [0xa4093822, 0x299f31d0],
      words: [0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1],
    },
  ] as const)('known answer for counter $counter', ({ counter, key, words }) => {
    const out = new Uint32Array(4);
    philox4x32(counter, key, out);
    expect([...out]).toEqual([...words]);
  });
});

describe('keyedRandom', () => {
  const draw = (...key: Parameters<typeof keyedRandom>): number[] => {
    const stream = keyedRandom(...key);
    return Array.from({ length: 6 }, () => stream.next());
  };

  it('depends on seed, purpose and index, and on nothing else', () => {
    const keys: Parameters<typeof keyedRandom>[] = [
      [1, 'weights'],
      [2, 'weights'],
      [1, 'order'],
      [1, 'weights', 1],
      [1, 'weights', 2 ** 40],
      ['one', 'weights'],
    ];
    const draws = keys.map((key) => draw(...key).join());
    expect(new Set(draws).size).toBe(keys.length);
    expect(
      keys
        .reverse()
        .map((key) => draw(...key).join())
        .reverse(),
    ).toEqual(draws);
    expect(draw('1', 'weights')).toEqual(draw(1, 'weights', 0));
  });

  it('keeps its streams: a changed number here changes every seeded run', () => {
    expect(draw(42, 'known-answer', 7)).toEqual([3090663614, 2677080113, 1635818469, 3858400650, 334851316, 594820740]);
  });

  it('refuses seeds and indices that are not exact integers', () => {
    expect(() => keyedRandom(0.5, 'x')).toThrow('the seed is 0.5');
    expect(() => keyedRandom(1, 'x', -1)).toThrow('the index is -1');
  });

  it('uniform has the mean, variance and range of U[0, 1)', () => {
    const stream = keyedRandom(3, 'uniform');
    const values = Array.from({ length: 40_000 }, () => stream.uniform());
    const mean = values.reduce((sum, x) => sum + x, 0) / values.length;
    const variance = values.reduce((sum, x) => sum + (x - mean) ** 2, 0) / values.length;
    expect(Math.min(...values)).toBeGreaterThanOrEqual(0);
    expect(Math.max(...values)).toBeLessThan(1);
    expect(Math.abs(mean - 0.5)).toBeLessThan(4 * Math.sqrt(1 / 12 / 40_000));
    expect(Math.abs(variance - 1 / 12)).toBeLessThan(0.002);
  });

  it('normal has the first four moments of N(0, 1) and uncorrelated pairs', () => {
    const stream = keyedRandom(3, 'normal');
    const values = Array.from({ length: 40_000 }, () => stream.normal());
    const moment = (power: number): number => values.reduce((sum, x) => sum + x ** power, 0) / values.length;
    expect(Math.abs(moment(1))).toBeLessThan(0.02);
    expect(Math.abs(moment(2) - 1)).toBeLessThan(0.03);
    expect(Math.abs(moment(3))).toBeLessThan(0.08);
    expect(Math.abs(moment(4) - 3)).toBeLessThan(0.2);
    const lag = values.slice(1).reduce((sum, x, i) => sum + x * (values[i] ?? 0), 0) / values.length;
    expect(Math.abs(lag)).toBeLessThan(0.02);
  });

  it('int is even over its range, also where 2^32 is no multiple of n', () => {
    const stream = keyedRandom(3, 'int');
    const counts = new Array<number>(3).fill(0);
    // With 3 x 2^30 values, a plain modulo would give the lowest third twice the weight.
    const n = 3 * 2 ** 30;
    for (let i = 0; i < 30_000; i++) {
      const third = Math.floor(stream.int(n) / 2 ** 30);
      counts[third] = (counts[third] ?? 0) + 1;
    }
    for (const count of counts) expect(Math.abs(count - 10_000)).toBeLessThan(400);
    expect(() => stream.int(0)).toThrow('n is 0');
    expect(stream.int(1)).toBe(0);
  });

  it('permutation holds every index once and mixes all of them', () => {
    expect([...keyedRandom(5, 'permutation').permutation(1000)].sort((a, b) => a - b)).toEqual(Array.from({ length: 1000 }, (_, i) => i));
    const counts = new Map<string, number>();
    for (let i = 0; i < 6000; i++) {
      const key = keyedRandom(5, 'permutation', i).permutation(3).join();
      counts.set(key, (counts.get(key) ?? 0) + 1);
    }
    expect(counts.size).toBe(6);
    for (const count of counts.values()) expect(Math.abs(count - 1000)).toBeLessThan(150);
    expect(keyedRandom(5, 'permutation').permutation(0)).toHaveLength(0);
  });
});
