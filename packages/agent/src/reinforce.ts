// REINFORCE (Williams 1992), one update, from top to bottom: sample rollouts, judge them, turn rewards into advantages, step
// the policy along the mean of advantage x grad log pi. METHOD, section "REINFORCE"; N2N learning, section 3.4.
import type { Critic } from './critic.js';
import type { Adam } from './nn/adam.js';
import type { Episode, Policy, Trajectory } from './policies/policy.js';
import type { KeyedRandom } from './random.js';

/**
 * - `leave-one-out`: b_r = mean reward of the other rollouts of the update. Unbiased, and needs no history.
 * - `average`: b = exponential moving average of the mean rewards of earlier updates (the paper's).
 * - `actor-critic`: b_t = V_t, what a learned critic expects at step t from the network and the decisions before.
 */
export const baselineKinds = ['leave-one-out', 'average', 'actor-critic'] as const;
export type BaselineKind = (typeof baselineKinds)[number];

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

/** What the baselines learn from update to update. */
export interface BaselineState {
  /** The moving average of earlier mean rewards; undefined before the first update. */
  average: number | undefined;
  /** Needed by `actor-critic`. */
  readonly critic?: Critic | undefined;
}

export function checkReinforceOptions(options: ReinforceOptions): void {
  const { rollouts, baseline, baselineDecay, entropyBonus } = options;
  if (!baselineKinds.includes(baseline))
    throw new RangeError(`baseline is "${String(baseline)}"; it must be one of ${baselineKinds.join(', ')}`);
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
 * The weight of every step of every rollout, its reward minus the baseline: A_rt = R_r - b_rt. All but the critic's are the
 * same at every step. The first update of a moving average has no history; its baseline is the mean of the update's own
 * rewards, so that it does not reinforce whatever it happened to sample.
 */
export function advantages(
  episode: Episode,
  trajectories: readonly Pick<Trajectory, 'actions'>[],
  rewards: readonly number[],
  { baseline }: Pick<ReinforceOptions, 'baseline'>,
  state: BaselineState,
): number[][] {
  const mean = meanOf(rewards);
  const everywhere = (values: readonly number[]): number[][] => values.map((value) => episode.states.map(() => value));
  switch (baseline) {
    case 'leave-one-out': {
      const others = rewards.length - 1;
      return everywhere(rewards.map((reward) => reward - (mean * rewards.length - reward) / others));
    }
    case 'average':
      return everywhere(rewards.map((reward) => reward - (state.average ?? mean)));
    case 'actor-critic': {
      const { critic } = state;
      if (critic === undefined) throw new Error('the actor-critic baseline has no critic; it needs one');
      return trajectories.map(({ actions }, r) => critic.values(episode, actions).map((value) => rewards[r]! - value));
    }
    default:
      return baseline satisfies never;
  }
}

/** What an update did, for the journal and for progress. */
export interface UpdateStatistics {
  /** One a rollout: the mean over the steps that had a choice. */
  readonly advantages: readonly number[];
  /** Mean entropy of the steps that had a choice, over the rollouts, nats. */
  readonly entropy: number;
  /** Euclidean length of the gradient that was applied. */
  readonly gradientNorm: number;
}

/**
 * Learns from one update's rollouts: gradient = 1/R sum_r [sum_t A_rt grad log pi(a_rt) + entropyBonus grad H_r], one Adam step
 * uphill, then the moving average and the critic. Changes the policy, the optimiser and `state`.
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
  const advantage = advantages(episode, trajectories, rewards, options, state);
  policy.parameters.clearGradients();
  let entropy = 0;
  for (const [r, { actions }] of trajectories.entries()) {
    const weight = 1 / trajectories.length;
    const weights = advantage[r]!.map((a) => weight * a);
    entropy += weight * policy.accumulate(episode, actions, weights, weight * options.entropyBonus).entropy;
  }
  optimiser.ascend();
  state.average = movingAverage(state.average, meanOf(rewards), options.baselineDecay);
  state.critic?.learn(
    episode,
    trajectories.map(({ actions }, r) => ({ actions, reward: rewards[r]! })),
  );
  const free = episode.legal.map((mask) => mask.filter(Boolean).length > 1);
  const overChoices = (values: readonly number[]): number => meanOf(free.includes(true) ? values.filter((_, t) => free[t]) : values);
  return { advantages: advantage.map(overChoices), entropy, gradientNorm: norm(policy.parameters.gradients()) };
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
