// What the agent asks of the world: train these students, tell how they did. The agent never sees a device.
import type { NetworkSpec } from '@n2n/trainer/network';

/** One student to judge. `hash` is the spec's canonical hash; it keys the training seed. */
export interface Candidate {
  readonly spec: NetworkSpec;
  readonly hash: string;
}

/** What training a candidate showed. `accuracy` is a fraction on the validation split. */
export interface Outcome {
  readonly hash: string;
  readonly accuracy: number;
  /** Mean validation cross-entropy. */
  readonly loss: number;
  readonly seconds: number;
  /** Steps trained, where they are not the same for all, and what earlier measurements on the way showed. */
  readonly steps?: number;
  readonly rungs?: readonly { readonly steps: number; readonly accuracy: number }[];
}

/** Trains the candidates (each from a seed that follows from its hash alone) and returns outcomes in the same order. */
export type Evaluate = (candidates: readonly Candidate[]) => Promise<readonly Outcome[]>;
