import { expect, test } from 'vitest';
import { keyedRandom, philox4x32 } from './random.js';

test('Philox4x32-10 gives the known answers of the Random123 library', () => {
  expect(philox4x32([0, 0, 0, 0], [0, 0])).toEqual([0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8]);
  const ones = 0xffffffff;
  expect(philox4x32([ones, ones, ones, ones], [ones, ones])).toEqual([0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd]);
  expect(philox4x32([0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344], [0xa4093822, 0x299f31d0])).toEqual([
    0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1,
  ]);
});

test('a draw depends on seed, purpose and every index, and on nothing else', () => {
  const random = keyedRandom(7, 'rollout');
  const first = random.uniform(3, 1, 4);
  random.uniform(9, 9, 9);
  expect(random.uniform(3, 1, 4)).toBe(first);
  const others = [
    keyedRandom(8, 'rollout').uniform(3, 1, 4),
    keyedRandom(7 + 2 ** 32, 'rollout').uniform(3, 1, 4),
    keyedRandom(7, 'rollouts').uniform(3, 1, 4),
    random.uniform(1, 3, 4),
    random.uniform(3, 1, 4, 1),
  ];
  expect(new Set([first, ...others]).size).toBe(6);
});

test('draws have the moments of their distributions', () => {
  const random = keyedRandom(1, 'moments');
  const n = 4000;
  let [u, uu, z, zz] = [0, 0, 0, 0];
  for (let i = 0; i < n; i++) {
    const a = random.uniform(i);
    const b = random.normal(i, 1);
    expect(a).toBeGreaterThanOrEqual(0);
    expect(a).toBeLessThan(1);
    u += a / n;
    uu += (a * a) / n;
    z += b / n;
    zz += (b * b) / n;
  }
  expect(u).toBeCloseTo(1 / 2, 1);
  expect(uu).toBeCloseTo(1 / 3, 1);
  expect(Math.abs(z)).toBeLessThan(0.06);
  expect(Math.abs(zz - 1)).toBeLessThan(0.1);
});

test('impossible seeds and indices are refused', () => {
  expect(() => keyedRandom(-1, 'x')).toThrow(/seed is -1/);
  expect(() => keyedRandom(1.5, 'x')).toThrow(/integer/);
  expect(() => keyedRandom(0, 'x').uniform(-1)).toThrow(/index 0/);
  expect(() => keyedRandom(0, 'x').uniform(1, 2, 3, 4, 5)).toThrow(/up to 4/);
});
