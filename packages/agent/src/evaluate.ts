// What the agent asks of the world: train these students, tell how they did. The agent never sees a device.
import type { NetworkSpec } from '@n2n/trainer/network';
import { latenciesNeeded, type Constraint } from './constraints.js';

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
  /** Measured on the adapter; needed with a `latency` constraint. Null when the student could not be measured. */
  readonly latencyMs?: number | null;
  /** Of a batch as large for every student as for the teacher; needed with a `latency-batch` constraint. */
  readonly batchLatencyMs?: number | null;
  /** Steps trained, where they are not the same for all, and what earlier measurements on the way showed. */
  readonly steps?: number;
  readonly rungs?: readonly { readonly steps: number; readonly accuracy: number }[];
  /** In mixed precision: steps that changed nothing, as their gradients overflowed. */
  readonly skippedSteps?: number;
}

/**
 * Trains the candidates (each from a seed that follows from its hash alone) and returns outcomes in the same order. Outcomes without
 * rungs must not depend on which candidates are given together.
 */
export type Evaluate = (candidates: readonly Candidate[]) => Promise<readonly Outcome[]>;

/** Refuses outcomes that are not those of the candidates, in their order. */
export function checkOutcomes(
  candidates: readonly Candidate[],
  outcomes: readonly Outcome[],
  constraints: readonly Pick<Constraint, 'metric'>[],
): void {
  const { single, batch } = latenciesNeeded(constraints);
  if (outcomes.length !== candidates.length) {
    throw new Error(`evaluate was given ${candidates.length} candidates and returned ${outcomes.length} outcomes; it needs one each`);
  }
  for (const [i, { hash, accuracy, latencyMs, batchLatencyMs }] of outcomes.entries()) {
    if (hash !== candidates[i]!.hash)
      throw new Error(`outcome ${i} of evaluate is for ${hash}, needs ${candidates[i]!.hash}: the candidates' order`);
    if (!(accuracy >= 0 && accuracy <= 1)) throw new Error(`outcome of ${hash}: accuracy is ${accuracy}, needs a fraction from 0 to 1`);
    if (single) checkLatency(hash, 'latencyMs', latencyMs);
    if (batch) checkLatency(hash, 'batchLatencyMs', batchLatencyMs);
  }
}

function checkLatency(hash: string, name: string, value: number | null | undefined): void {
  if (value === null || (value !== undefined && value > 0 && Number.isFinite(value))) return;
  throw new Error(`outcome of ${hash}: ${name} is ${value}, a constraint needs it measured, or null where it cannot be`);
}
