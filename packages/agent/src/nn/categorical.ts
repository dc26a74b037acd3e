// A categorical distribution over the legal actions of one step. Illegal actions have probability 0 and no gradient; a
// step with one legal action is no choice: it adds 0 to the log-probability and to the entropy, and nothing to gradients.

export interface Categorical {
  /** [actions], 0 where illegal. */
  readonly probabilities: Float64Array;
  /** Nats. */
  readonly entropy: number;
}

/** Softmax over the legal logits. At least one action must be legal. */
export function categorical(logits: Float64Array, legal: readonly boolean[]): Categorical {
  let maximum = -Infinity;
  for (let a = 0; a < logits.length; a++) if (legal[a] === true) maximum = Math.max(maximum, logits[a]!);
  if (maximum === -Infinity) {
    throw new Error(`a step with ${logits.length} actions has no legal one with a finite logit; it needs at least one`);
  }
  const probabilities = new Float64Array(logits.length);
  let total = 0;
  for (let a = 0; a < logits.length; a++) {
    if (legal[a] === true) total += probabilities[a] = Math.exp(logits[a]! - maximum);
  }
  let entropy = 0;
  for (let a = 0; a < logits.length; a++) {
    const p = (probabilities[a] = probabilities[a]! / total);
    if (p > 0) entropy -= p * Math.log(p);
  }
  return { probabilities, entropy };
}

/** The action at quantile `u` in [0, 1) of the distribution. */
export function pick(distribution: Categorical, u: number): number {
  const { probabilities } = distribution;
  let cumulative = 0;
  let last = 0;
  for (let a = 0; a < probabilities.length; a++) {
    const p = probabilities[a]!;
    if (p === 0) continue;
    cumulative += p;
    last = a;
    if (u < cumulative) return a;
  }
  return last;
}

/**
 * d/d(logits) of scoreWeight * log p(action) + entropyWeight * H:
 * scoreWeight (1[j = action] - p_j) - entropyWeight p_j (log p_j + H).
 */
export function categoricalGradient(distribution: Categorical, action: number, scoreWeight: number, entropyWeight: number): Float64Array {
  const { probabilities, entropy } = distribution;
  return probabilities.map((p, j) => {
    const score = scoreWeight * ((j === action ? 1 : 0) - p);
    return p > 0 ? score - entropyWeight * p * (Math.log(p) + entropy) : 0;
  });
}
