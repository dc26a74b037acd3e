// Rank correlation and regret against values worked out by hand.
import { describe, expect, it } from 'vitest';
import { regret, spearman } from './ranking.js';

describe('spearman', () => {
  it('is 1 for any rising relation, -1 for a falling one', () => {
    expect(spearman([1, 2, 3, 10], [0.1, 0.2, 5, 6])).toBeCloseTo(1, 12);
    expect(spearman([1, 2, 3, 10], [4, 3, 2, 1])).toBeCloseTo(-1, 12);
  });

  it('is 1 - 6 sum d^2 / (n (n^2 - 1)) without ties', () => {
    // Differences of the ranks: 0, 1, -1, 1, -1.
    expect(spearman([1, 2, 3, 4, 5], [10, 30, 20, 50, 40])).toBeCloseTo(1 - (6 * 4) / (5 * 24), 12);
    // Intelligence and hours of television, the example of most textbooks.
    expect(spearman([86, 97, 99, 100, 101, 103, 106, 110, 112, 113], [2, 20, 28, 27, 50, 29, 7, 17, 6, 12])).toBeCloseTo(-29 / 165, 12);
  });

  it('gives ties their mean rank', () => {
    // Ranks 1, 2.5, 2.5, 4 against 1, 2, 3, 4.
    expect(spearman([1, 2, 2, 3], [1, 2, 3, 4])).toBeCloseTo(4.5 / Math.sqrt(4.5 * 5), 12);
  });

  it('is refused for lists that do not match', () => {
    expect(() => spearman([1, 2], [1])).toThrow(/got 2 and 1 values/);
    expect(() => spearman([1], [1])).toThrow(RangeError);
  });
});

describe('regret', () => {
  it('is what the cheap choice loses', () => {
    expect(regret([1, 3, 2], [10, 20, 50])).toBe(30);
    expect(regret([1, 2, 3], [10, 20, 50])).toBe(0);
    expect(regret([3, 3], [5, 7])).toBe(2);
  });
});
