// REINFORCE (Williams 1992), one update, from top to bottom: sample rollouts, judge them, turn rewards into advantages, step
// the policy along the mean of advantage x grad log pi. METHOD, section "REINFORCE"; N2N learning, section 3.4.
import type { Adam } from './nn/adam.js';
import type { Episode, Policy, Trajectory } from './policies/policy.js';
import type { KeyedRandom } from './random.js';

/**
 * - `leave-one-out`: b_r = mean reward of the other rollouts of the update. Unbiased, and needs no history.
 * - `moving-average`: b = exponential moving average of the mean rewards of earlier updates (the paper's).
 */
export type BaselineKind = 'leave-one-out' | 'moving-average';

export interface ReinforceOptions {
  /** Trajectories an update. Paper: 5. At least 2 with the leave-one-out baseline. */
  readonly rollouts: number;
  readonly baseline: BaselineKind;
  /** Weight of the old value in the moving average, in [0, 1). Unused by leave-one-out. */
  readonly baselineDecay: number;
  /** Weight of the mean entropy a step (nats) in the objective, at least 0. 0 is the paper's. */
  readonly entropyBonus: number;
}

export const reinforceDefaults: ReinforceOptions = {
  rollouts: 5,
  baseline: 'leave-one-out',
  baselineDecay: 0.9,
  entropyBonus: 0,
};

/** The moving average of earlier mean rewards; undefined before the first update. Plain data for the snapshot. */
export interface BaselineState {
  average: number | undefined;
}

export function checkReinforceOptions(options: ReinforceOptions): void {
  const { rollouts, baseline, baselineDecay, entropyBonus } = options;
  const least = baseline === 'leave-one-out' ? 2 : 1;
  if (!Number.isInteger(rollouts) || rollouts < least) {
    throw new RangeError(`rollouts is ${rollouts}; the ${baseline} baseline needs an integer of at least ${least}`);
  }
  if (!(baselineDecay >= 0 && baselineDecay < 1)) {
    throw new RangeError(`baseline decay is ${baselineDecay}; it must be in [0, 1)`);
  }
  if (!(entropyBonus >= 0 && Number.isFinite(entropyBonus))) {
    throw new RangeError(`entropy bonus is ${entropyBonus}; it must be a number of at least 0`);
  }
}

/** Samples the rollouts of one update: rollout r draws its step t with the key (update, r, t) and nothing else. */
export function sampleRollouts(policy: Policy, episode: Episode, random: KeyedRandom, update: number, rollouts: number): Trajectory[] {
  return Array.from({ length: rollouts }, (_, rollout) => policy.sample(episode, (step) => random.uniform(update, rollout, step)));
}

/**
 * Each rollout's reward minus its own baseline: A_r = R_r - b_r. The first update of a moving average has no history; its
 * baseline is the mean of the update's own rewards, so that it does not reinforce whatever it happened to sample.
 */
export function advantages(rewards: readonly number[], options: ReinforceOptions, state: BaselineState): number[] {
  const mean = meanOf(rewards);
  switch (options.baseline) {
    case 'leave-one-out': {
      const others = rewards.length - 1;
      return rewards.map((reward) => reward - (mean * rewards.length - reward) / others);
    }
    case 'moving-average': {
      const baseline = state.average ?? mean;
      return rewards.map((reward) => reward - baseline);
    }
    default:
      return options.baseline satisfies never;
  }
}

/** What an update did, for the journal and for progress. */
export interface UpdateStatistics {
  readonly advantages: readonly number[];
  /** Mean entropy of the steps that had a choice, over the rollouts, nats. */
  readonly entropy: number;
  /** Euclidean length of the gradient that was applied. */
  readonly gradientNorm: number;
}

/**
 * Learns from one update's rollouts: gradient = 1/R sum_r [A_r grad log pi(a_r) + entropyBonus grad H_r], one Adam step
 * uphill, then the moving average. Changes the policy, the optimiser and `state`.
 */
export function reinforce(
  policy: Policy,
  optimiser: Adam,
  episode: Episode,
  trajectories: readonly Trajectory[],
  rewards: readonly number[],
  options: ReinforceOptions,
  state: BaselineState,
): UpdateStatistics {
  const advantage = advantages(rewards, options, state);
  policy.parameters.clearGradients();
  let entropy = 0;
  for (const [r, { actions }] of trajectories.entries()) {
    const weight = 1 / trajectories.length;
    entropy += weight * policy.accumulate(episode, actions, weight * advantage[r]!, weight * options.entropyBonus).entropy;
  }
  optimiser.ascend();
  state.average = movingAverage(state.average, meanOf(rewards), options.baselineDecay);
  return { advantages: advantage, entropy, gradientNorm: norm(policy.parameters.gradients()) };
}

function norm(values: Float64Array): number {
  return Math.sqrt(values.reduce((sum, value) => sum + value * value, 0));
}

function movingAverage(average: number | undefined, value: number, decay: number): number {
  return average === undefined ? value : decay * average + (1 - decay) * value;
}

function meanOf(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}
