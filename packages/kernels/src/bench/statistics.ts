// What benchmarks compute from repeated times: quantiles, noise, and whether two sets of times differ.

/** Linear between the two nearest of rising values, as numpy's default; 0 is the least, 1 the largest. */
export function quantile(sorted: readonly number[], at: number): number {
  const position = at * (sorted.length - 1);
  const low = sorted[Math.floor(position)]!;
  return low + (position - Math.floor(position)) * (sorted[Math.ceil(position)]! - low);
}

export const median = (values: readonly number[]): number => quantile(rising(values), 0.5);

export const rising = (values: readonly number[]): number[] => values.toSorted((a, b) => a - b);

/** Median absolute deviation over median: about the relative standard deviation (1.4826 for normal noise), blind to a few outliers. */
export function relativeNoise(values: readonly number[]): number {
  const middle = median(values);
  return (1.4826 * median(values.map((value) => Math.abs(value - middle)))) / middle;
}

/** Samples of both sets together up to which the exact distribution is counted. */
const MOST_EXACT = 60;

/**
 * Two-sided p-value of the Mann-Whitney test: how likely sets that differ as much are when both come from one distribution. Makes
 * no assumption about that distribution. Exact for small sets without ties, else the normal approximation with ties corrected.
 * Throws RangeError for an empty set.
 */
export function mannWhitney(a: readonly number[], b: readonly number[]): number {
  if (a.length === 0 || b.length === 0) throw new RangeError('the test needs at least one sample on each side');
  const { u, tieTerm } = rankStatistic(a, b);
  const pairs = a.length * b.length;
  const total = a.length + b.length;
  const least = Math.min(u, pairs - u);
  if (tieTerm === 0 && total <= MOST_EXACT) return Math.min(1, 2 * exactTail(a.length, b.length, least));
  const variance = (pairs / 12) * (total + 1 - tieTerm / (total * (total - 1)));
  if (variance <= 0) return 1; // all samples are equal
  const z = Math.max(0, pairs / 2 - least - 0.5) / Math.sqrt(variance); // 0.5: u is discrete
  return Math.min(1, 2 * normalTail(z));
}

/** The least p-value that sets of these sizes can give. */
export const leastPValue = (a: number, b: number): number => Math.min(1, 2 * exactTail(a, b, 0));

/** u: pairs in which the sample of `a` is larger, ties counting half; tieTerm: sum of t^3 - t over groups of t equal samples. */
function rankStatistic(a: readonly number[], b: readonly number[]): { u: number; tieTerm: number } {
  let u = 0;
  for (const x of a) for (const y of b) u += x > y ? 1 : x === y ? 0.5 : 0;
  const groups = new Map<number, number>();
  for (const value of [...a, ...b]) groups.set(value, (groups.get(value) ?? 0) + 1);
  let tieTerm = 0;
  for (const size of groups.values()) tieTerm += size ** 3 - size;
  return { u, tieTerm };
}

/** P(U <= u) of n and m samples from one distribution: counts the orders with each U, adding one sample of either set at a time. */
function exactTail(n: number, m: number, u: number): number {
  // ways[j][k]: orders of i samples of one set and j of the other with statistic k; the last sample is of the one (k grows by j) or not.
  let ways: Float64Array[] = Array.from({ length: m + 1 }, () => Float64Array.of(1));
  for (let i = 1; i <= n; i++) {
    const next: Float64Array[] = [Float64Array.of(1)];
    for (let j = 1; j <= m; j++) {
      const counts = new Float64Array(i * j + 1);
      ways[j]!.forEach((count, k) => (counts[k + j]! += count));
      next[j - 1]!.forEach((count, k) => (counts[k]! += count));
      next.push(counts);
    }
    ways = next;
  }
  const counts = ways[m]!;
  const all = counts.reduce((sum, count) => sum + count, 0);
  return counts.subarray(0, Math.floor(u) + 1).reduce((sum, count) => sum + count, 0) / all;
}

/** P(Z > z) of a standard normal variable, z >= 0; Abramowitz and Stegun 26.2.17, absolute error under 7.5e-8. */
function normalTail(z: number): number {
  const t = 1 / (1 + 0.2316419 * z);
  const polynomial = t * (0.31938153 + t * (-0.356563782 + t * (1.781477937 + t * (-1.821255978 + t * 1.330274429))));
  return (Math.exp((-z * z) / 2) / Math.sqrt(2 * Math.PI)) * polynomial;
}
