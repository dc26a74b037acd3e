// The stages of a search: which decisions, which policy, how fast it learns. A further action space or policy is one entry.
import type { NetworkSpec } from '@n2n/trainer/network';
import type { Problem } from './actions/problem.js';
import { removalPrior, removalProblem, removalSizes } from './actions/removal.js';
import { shrinkagePrior, shrinkageProblem, shrinkageSizes, type ShrinkageActions } from './actions/shrinkage.js';
import { AutoregressivePolicy, EncoderDecoderPolicy } from './policies/autoregressive.js';
import { BidirectionalPolicy } from './policies/bidirectional.js';
import type { Policy } from './policies/policy.js';
import type { KeyedRandom } from './random.js';

export const stageNames = ['removal', 'shrinkage'] as const;
export type StageName = (typeof stageNames)[number];

/**
 * - `bidirectional`: each decision by itself, in the context of the whole network.
 * - `autoregressive`: one after the other, each knowing the layers and the decisions before it.
 * - `encoder-decoder`: the same, after reading the whole network.
 */
export const policyKinds = ['bidirectional', 'autoregressive', 'encoder-decoder'] as const;
export type PolicyKind = (typeof policyKinds)[number];

interface Sizes {
  readonly stateSize: number;
  readonly actions: number;
}

export interface StageOptions {
  /** Multiple that scaled widths are brought to; 1 for none. */
  readonly roundTo: number;
  /**
   * How much a fresh policy leans towards leaving layers as they are: 0 is the paper's even draw, 1 keeps a layer with probability
   * 0.73 and scales by 0.85 on average. For searches too short to learn it (docs/decisions/0002).
   */
  readonly prior: number;
  /** Which network decides in each stage. The paper's: bidirectional for removal, autoregressive for shrinkage. */
  readonly removalPolicy: PolicyKind;
  readonly shrinkagePolicy: PolicyKind;
  /** What shrinkage decides about. */
  readonly shrinkageActions: ShrinkageActions;
}

/** What decides which decisions there are. */
export type ProblemOptions = Pick<StageOptions, 'roundTo' | 'shrinkageActions'>;

export interface Stage {
  /** Adam's learning rate (METHOD: 0.003 for removal, 0.01 for shrinkage). */
  readonly learningRate: number;
  /** The decisions about the network that the stage starts from. */
  problem(spec: NetworkSpec, options: ProblemOptions): Problem;
  /** Length of a state, and number of actions of a decision. */
  sizes(options: StageOptions): Sizes;
  /** A fresh policy; its size depends on the action space, not on the network, so it can move from one teacher to another. */
  policy(random: KeyedRandom, options: StageOptions): Policy;
}

export const stages: Readonly<Record<StageName, Stage>> = {
  removal: {
    learningRate: 0.003,
    problem: (spec) => removalProblem(spec),
    sizes: () => removalSizes,
    policy: (random, { removalPolicy, prior }) => makePolicy(removalPolicy, removalSizes, random, scaled(removalPrior, prior)),
  },
  shrinkage: {
    learningRate: 0.01,
    problem: shrinkageProblem,
    sizes: ({ shrinkageActions: space }) => shrinkageSizes[space],
    policy: (random, { shrinkagePolicy, shrinkageActions: space, prior }) =>
      makePolicy(shrinkagePolicy, shrinkageSizes[space], random, scaled(shrinkagePrior, prior)),
  },
};

function makePolicy(kind: PolicyKind, { stateSize, actions }: Sizes, random: KeyedRandom, prior: readonly number[]): Policy {
  switch (kind) {
    case 'bidirectional':
      return new BidirectionalPolicy(stateSize, actions, random, { prior });
    case 'autoregressive':
      return new AutoregressivePolicy(stateSize, actions, random, { prior });
    case 'encoder-decoder':
      return new EncoderDecoderPolicy(stateSize, actions, random, { prior });
    default:
      return kind satisfies never;
  }
}

const scaled = (logits: readonly number[], prior: number): number[] => logits.map((logit) => logit * prior);
