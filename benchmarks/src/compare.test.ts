// Comparison of results: what is called a regression and what is not.
import { describe, expect, it } from 'vitest';
import { compareResults, type Comparable } from './compare.js';

const options = { threshold: 0.05, significance: 0.01 };
/** Nine samples within 2 % of `centre`, no two alike. */
const samples = (centre: number, count = 9): number[] => Array.from({ length: count }, (_, i) => centre * (1 + (i - count / 2) * 0.004));
const result = (name: string, centre: number, count?: number): Comparable => ({ name, samplesMs: samples(centre, count) });

describe('compareResults', () => {
  it('calls what is significant and beyond the threshold', () => {
    const { results } = compareResults(
      [result('a', 10), result('b', 10), result('c', 10), result('d', 10)],
      [result('a', 12), result('b', 8), result('c', 10.03), result('d', 10.45)],
      options,
    );
    expect(results.map(({ name, verdict }) => [name, verdict])).toEqual([
      ['a', 'slower'],
      ['b', 'faster'],
      ['c', 'same'],
      ['d', 'same'], // clearly slower, by less than the threshold
    ]);
    expect(results[0]!.change).toBeCloseTo(0.2, 3);
    expect(results[3]!.p).toBeLessThan(0.01);
  });

  it('does not call noise a regression, however far apart the medians', () => {
    const [one] = compareResults(
      [{ name: 'a', samplesMs: [10, 30, 11, 31, 12, 32, 10.5, 33, 11.5] }],
      [{ name: 'a', samplesMs: [30.5, 11.2, 31.5, 10.2, 32.5, 33.5, 12.5, 10.7, 29] }],
      options,
    ).results;
    expect(one!.change).toBeGreaterThan(0.05);
    expect(one!.verdict).toBe('undecided');
  });

  it('adjusts for the number of cases (Holm: the least p times 3, the next times 2, never falling)', () => {
    const before = [result('a', 10), result('b', 10, 4), result('c', 10, 4)];
    const after = [result('a', 12), result('b', 12, 4), result('c', 12, 4)];
    const p = compareResults(before, after, options).results.map((row) => row.p);
    expect(p[0]).toBeCloseTo((3 * 2) / 48620, 9);
    expect(p[1]).toBeCloseTo((2 * 2) / 70, 9);
    expect(p[2]).toBeCloseTo((2 * 2) / 70, 9);
  });

  it('says which cases have too few repetitions to tell', () => {
    const few = compareResults([result('a', 10, 3), result('b', 10)], [result('a', 20, 3), result('b', 10)], options);
    expect(few.tooFew).toEqual(['a']);
    expect(few.results[0]).toMatchObject({ verdict: 'undecided' });
  });

  it('pairs by engine and name, and lists what only one side has', () => {
    const report = compareResults(
      [
        { name: 'gemm/512', engine: 'n2n', samplesMs: [1, 2] },
        { name: 'gemm/512', engine: 'jax-webgpu', samplesMs: [9, 8] },
      ],
      [{ name: 'gemm/512', engine: 'n2n', samplesMs: [1, 2] }, result('gemm/1024', 5)],
      options,
    );
    expect(report.results.map(({ name }) => name)).toEqual(['n2n gemm/512']);
    expect(report.onlyBefore).toEqual(['jax-webgpu gemm/512']);
    expect(report.onlyAfter).toEqual(['gemm/1024']);
  });
});
