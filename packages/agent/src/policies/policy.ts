// What a policy is to REINFORCE: it samples a sequence of actions and adds to its gradients; how it does so is its own.
import type { Categorical } from '../nn/categorical.js';
import type { ParameterSet } from '../nn/parameters.js';

/** One decision process: T steps, each with a state and the actions legal there (at least one each). */
export interface Episode {
  /** T vectors x_t, all of the length that the policy was made for. */
  readonly states: readonly Float64Array[];
  /** [T][actions]. A step with one legal action is fixed or void: it is taken, and adds nothing to the gradient. */
  readonly legal: readonly (readonly boolean[])[];
}

/** What a policy thinks of a sequence of actions. */
export interface Score {
  /** log pi(a_1 .. a_T), nats; fixed and void steps add 0. */
  readonly logProbability: number;
  /** Mean entropy of the steps that had a choice, given the actions before them, nats; 0 when there is none. */
  readonly entropy: number;
}

export interface Trajectory extends Score {
  readonly actions: readonly number[];
}

export interface Policy {
  /** Names the network that it is. */
  readonly kind: string;
  readonly parameters: ParameterSet;
  /** Length of a state vector. */
  readonly stateSize: number;
  /** Number of actions of a step. */
  readonly actions: number;
  /** Samples one trajectory; `uniform(t)` is the draw in [0, 1) of step t. */
  sample(episode: Episode, uniform: (step: number) => number): Trajectory;
  /**
   * Adds d/d(theta) of sum_t scoreWeight_t log pi(a_t | ...) + entropyWeight * entropy of `actions` to the gradients; one number is
   * the weight of every step.
   */
  accumulate(episode: Episode, actions: readonly number[], scoreWeight: number | readonly number[], entropyWeight: number): Score;
}

/** The weight of step t. */
export const weightAt = (weight: number | readonly number[], t: number): number => (typeof weight === 'number' ? weight : weight[t]!);

/** Refuses an episode that the policy cannot read. */
export function checkEpisode(policy: Pick<Policy, 'stateSize' | 'actions'>, episode: Episode): void {
  if (episode.legal.length !== episode.states.length) {
    throw new Error(`an episode has ${episode.states.length} states and ${episode.legal.length} masks; it needs one each`);
  }
  for (const [t, state] of episode.states.entries()) {
    if (state.length !== policy.stateSize) {
      throw new Error(`state ${t} has ${state.length} features, the policy reads ${policy.stateSize}`);
    }
    if (episode.legal[t]!.length !== policy.actions) {
      throw new Error(`mask ${t} has ${episode.legal[t]!.length} actions, the policy has ${policy.actions}`);
    }
  }
}

/** Number of steps with more than one legal action. */
export function choices(episode: Episode): number {
  return episode.legal.filter((mask) => mask.filter(Boolean).length > 1).length;
}

/** The score of `actions` under the distributions of their steps. */
export function scoreOf(episode: Episode, distributions: readonly Categorical[], actions: readonly number[]): Score {
  let logProbability = 0;
  let entropy = 0;
  for (const [t, distribution] of distributions.entries()) {
    logProbability += Math.log(distribution.probabilities[actions[t]!]!);
    entropy += distribution.entropy;
  }
  return { logProbability, entropy: entropy / Math.max(1, choices(episode)) };
}
