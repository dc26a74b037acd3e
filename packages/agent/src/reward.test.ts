import { expect, test } from 'vitest';
import { limitsFor, parseConstraint } from './constraints.js';
import type { Measures } from './measures.js';
import { leniency, reward, unconstrainedReward } from './reward.js';

const teacher = { params: 1000, accuracy: 0.9 };
const student: Measures = { params: 100, macs: 5000, bytes: 400, activationBytes: 300, energyMicrojoules: 2, accuracy: 0.81 };

test('R = C (2 - C) * accuracy ratio', () => {
  // C = 0.9: 0.9 * 1.1 = 0.99; R_a = 0.81 / 0.9 = 0.9.
  expect(unconstrainedReward(student, teacher)).toBeCloseTo(0.891, 12);
  expect(reward(student, teacher, [], 40)).toBeCloseTo(0.891, 12);
  expect(unconstrainedReward({ params: 1000, accuracy: 0.9 }, teacher)).toBe(0);
  expect(unconstrainedReward({ params: 500, accuracy: 0.99 }, teacher)).toBeCloseTo(0.75 * 1.1, 12);
});

test('a failing constraint still teaches early and costs 1 from update 15 on', () => {
  const limit = limitsFor([parseConstraint('params<=50')], student);
  expect(reward(student, teacher, limit, 0)).toBeCloseTo(0.891, 12);
  const eps = (1 - 5 / 15) ** 4;
  expect(reward(student, teacher, limit, 5)).toBeCloseTo(eps - 1 + eps * 0.891, 12);
  expect(reward(student, teacher, limit, 15)).toBe(-1);
  expect(reward(student, teacher, limit, 40)).toBe(-1);
  expect(reward({ ...student, params: 50 }, teacher, limit, 40)).toBeCloseTo(0.95 * 1.05 * 0.9, 12);
  expect([0, 15, 16, 100].map(leniency)).toEqual([1, 0, 0, 0]);
});
