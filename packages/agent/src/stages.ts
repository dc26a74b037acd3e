// The stages of a search: which decisions, which policy, how fast it learns. A further action space or policy is one entry.
import type { NetworkSpec } from '@n2n/trainer/network';
import type { Problem } from './actions/problem.js';
import { removalPrior, removalProblem, removalSizes } from './actions/removal.js';
import { shrinkagePrior, shrinkageProblem, shrinkageSizes } from './actions/shrinkage.js';
import { AutoregressivePolicy } from './policies/autoregressive.js';
import { BidirectionalPolicy } from './policies/bidirectional.js';
import type { Policy } from './policies/policy.js';
import type { KeyedRandom } from './random.js';

export const stageNames = ['removal', 'shrinkage'] as const;
export type StageName = (typeof stageNames)[number];

export interface StageOptions {
  /** Multiple that scaled widths are brought to; 1 for none. */
  readonly roundTo: number;
  /**
   * How much a fresh policy leans towards leaving layers as they are: 0 is the paper's even draw, 1 keeps a layer with probability
   * 0.73 and scales by 0.85 on average. For searches too short to learn it (docs/decisions/0002).
   */
  readonly prior: number;
}

export interface Stage {
  /** Adam's learning rate (METHOD: 0.003 for removal, 0.01 for shrinkage). */
  readonly learningRate: number;
  /** The decisions about the network that the stage starts from. */
  problem(spec: NetworkSpec, options: StageOptions): Problem;
  /** A fresh policy; its size depends on the action space, not on the network, so it can move from one teacher to another. */
  policy(random: KeyedRandom, options: StageOptions): Policy;
}

export const stages: Readonly<Record<StageName, Stage>> = {
  removal: {
    learningRate: 0.003,
    problem: (spec) => removalProblem(spec),
    policy: (random, options) =>
      new BidirectionalPolicy(removalSizes.stateSize, removalSizes.actions, random, { prior: scaled(removalPrior, options) }),
  },
  shrinkage: {
    learningRate: 0.01,
    problem: (spec, { roundTo }) => shrinkageProblem(spec, { roundTo }),
    policy: (random, options) =>
      new AutoregressivePolicy(shrinkageSizes.stateSize, shrinkageSizes.actions, random, { prior: scaled(shrinkagePrior, options) }),
  },
};

const scaled = (logits: readonly number[], { prior }: StageOptions): number[] => logits.map((logit) => logit * prior);
