// How well one judgement of the same things ranks them for another: rank correlation, and the price of trusting it.

/** Ranks from 1, equal values sharing the mean of theirs. */
function ranks(values: readonly number[]): number[] {
  const order = values.map((_, i) => i).toSorted((a, b) => values[a]! - values[b]!);
  const result = Array.from({ length: values.length }, () => 0);
  for (let first = 0; first < order.length;) {
    let last = first;
    while (last + 1 < order.length && values[order[last + 1]!] === values[order[first]!]) last++;
    for (let i = first; i <= last; i++) result[order[i]!] = 1 + (first + last) / 2;
    first = last + 1;
  }
  return result;
}

/**
 * Spearman's rank correlation, in [-1, 1], with ties at their mean ranks; NaN when either side is constant. Throws RangeError
 * for other than two equally long lists of at least 2.
 */
export function spearman(a: readonly number[], b: readonly number[]): number {
  if (a.length !== b.length || a.length < 2) {
    throw new RangeError(`got ${a.length} and ${b.length} values; needs as many of both, at least 2`);
  }
  const [x, y] = [ranks(a), ranks(b)];
  const mean = (a.length + 1) / 2;
  const sum = (term: (i: number) => number): number => x.reduce((total, _, i) => total + term(i), 0);
  const covariance = sum((i) => (x[i]! - mean) * (y[i]! - mean));
  return covariance / Math.sqrt(sum((i) => (x[i]! - mean) ** 2) * sum((i) => (y[i]! - mean) ** 2));
}

/** What taking the best by `cheap` loses, in units of `full`. Of equals by `cheap` the first is taken. */
export function regret(cheap: readonly number[], full: readonly number[]): number {
  const chosen = cheap.reduce((best, value, i) => (value > cheap[best]! ? i : best), 0);
  return Math.max(...full) - full[chosen]!;
}
