import { describe, expect, test } from 'vitest';
import { leniency, parseConstraint, reward, unconstrainedReward, violation, type Measures } from './reward.js';

const teacher = { params: 1000, accuracy: 0.9 };
const student: Measures = { params: 100, macs: 5000, bytes: 400, accuracy: 0.81 };

test('R = C (2 - C) * accuracy ratio', () => {
  // C = 0.9: 0.9 * 1.1 = 0.99; R_a = 0.81 / 0.9 = 0.9.
  expect(unconstrainedReward(student, teacher)).toBeCloseTo(0.891, 12);
  expect(reward(student, teacher, [], 40)).toBeCloseTo(0.891, 12);
  expect(unconstrainedReward({ params: 1000, accuracy: 0.9 }, teacher)).toBe(0);
  expect(unconstrainedReward({ params: 500, accuracy: 0.99 }, teacher)).toBeCloseTo(0.75 * 1.1, 12);
});

test('a failing constraint still teaches early and costs 1 from update 15 on', () => {
  const limit = [parseConstraint('params<=50')];
  expect(reward(student, teacher, limit, 0)).toBeCloseTo(0.891, 12);
  const eps = (1 - 5 / 15) ** 4;
  expect(reward(student, teacher, limit, 5)).toBeCloseTo(eps - 1 + eps * 0.891, 12);
  expect(reward(student, teacher, limit, 15)).toBe(-1);
  expect(reward(student, teacher, limit, 40)).toBe(-1);
  expect(reward({ ...student, params: 50 }, teacher, limit, 40)).toBeCloseTo(0.95 * 1.05 * 0.9, 12);
  expect([0, 15, 16, 100].map(leniency)).toEqual([1, 0, 0, 0]);
});

test('violation adds up relative shortfalls and is 0 exactly when all constraints are met', () => {
  const both = ['params<=80', 'accuracy>=0.9', 'macs<=1e6', 'bytes<=400'].map(parseConstraint);
  expect(violation(both, student)).toBeCloseTo(20 / 80 + 0.09 / 0.9, 12);
  expect(violation(both, { ...student, params: 80, accuracy: 0.9 })).toBe(0);
  expect(violation(both, { params: 40, macs: 1, bytes: 1 })).toBe(0);
});

describe('constraints as text', () => {
  test.each([
    ['params<=50000', 'params', 50000],
    [' macs <= 1e6 ', 'macs', 1e6],
    ['accuracy>=0.97', 'accuracy', 0.97],
    ['bytes<=2.5E+5', 'bytes', 250000],
  ])('%s', (text, metric, limit) => {
    expect(parseConstraint(text)).toEqual({ metric, limit, text: text.trim() });
  });

  test.each([
    ['params', /needs METRIC<=NUMBER/],
    ['params<=', /needs METRIC<=NUMBER/],
    ['params<=50k', /needs METRIC<=NUMBER/],
    ['speed<=3', /got the metric "speed".*params, macs, bytes, accuracy/],
    ['toString<=3', /got the metric "toString"/],
    ['params>=3', /got >=, needs params<=NUMBER/],
    ['accuracy<=0.9', /needs accuracy>=NUMBER/],
    ['accuracy>=97', /got the limit 97, needs a number above 0, at most 1/],
    ['params<=0', /got the limit 0, needs a number above 0/],
    ['macs<=1e999', /got the limit 1e999/],
  ])('%s is refused', (text, message) => {
    expect(() => parseConstraint(text)).toThrow(message);
  });
});
