// The statistics against published and hand-counted values.
import { describe, expect, it } from 'vitest';
import { leastPValue, mannWhitney, median, quantile, relativeNoise } from './statistics.js';

const series = (count: number, first: number, step = 1): number[] => Array.from({ length: count }, (_, i) => first + i * step);

describe('statistics', () => {
  it('interpolates quantiles', () => {
    expect(quantile([1, 2, 3, 4], 0.5)).toBe(2.5);
    expect(quantile([7], 0.9)).toBe(7);
    expect(quantile([0, 10], 0.1)).toBe(1);
    expect(median([9, 1, 5])).toBe(5);
  });

  it('measures noise without minding an outlier', () => {
    expect(relativeNoise([10, 10, 10])).toBe(0);
    expect(relativeNoise([9, 10, 11, 10, 9, 11, 1000])).toBeCloseTo(0.148, 3);
  });

  it('gives the exact p-value of small sets: 2 of C(n + m, n) orders are as extreme as complete separation', () => {
    expect(mannWhitney([1, 2, 3], [4, 5, 6])).toBeCloseTo(2 / 20, 12);
    expect(mannWhitney([4, 5, 6], [1, 2, 3])).toBeCloseTo(2 / 20, 12);
    expect(mannWhitney(series(9, 0), series(9, 100))).toBeCloseTo(2 / 48620, 12);
    expect(leastPValue(9, 9)).toBeCloseTo(2 / 48620, 12);
    // U = 1 of 3 and 3: the orders with U of 0 or 1 are 2 of 20.
    expect(mannWhitney([1, 2, 4], [3, 5, 6])).toBeCloseTo(4 / 20, 12);
    expect(mannWhitney([1, 4], [2, 3])).toBe(1);
  });

  it('gives the value of scipy.stats.mannwhitneyu', () => {
    expect(mannWhitney([19, 22, 16, 29, 24], [20, 11, 17, 12])).toBeCloseTo(0.111111, 6); // U = 17, exact: 14 of 126 orders
  });

  it('corrects ties: U = 1, variance 25/12 (11 - 36/90), z = (12.5 - 1 - 0.5) / 4.6993', () => {
    expect(mannWhitney([1, 1, 2, 3, 3], [3, 4, 4, 5, 6])).toBeCloseTo(0.01924, 4);
  });

  it('goes over to the normal approximation smoothly', () => {
    const a = series(30, 0);
    const exact = mannWhitney(a, series(30, 6.5));
    const approximate = mannWhitney(series(31, 0), series(31, 6.5));
    expect(approximate / exact).toBeGreaterThan(0.7);
    expect(approximate / exact).toBeLessThan(1.3);
  });

  it('finds nothing in equal sets, and refuses empty ones', () => {
    expect(mannWhitney([5, 5, 5], [5, 5, 5])).toBe(1);
    expect(() => mannWhitney([], [1])).toThrow(/at least one sample/);
  });
});
