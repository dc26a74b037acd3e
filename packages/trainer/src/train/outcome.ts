// What judging a candidate gives.
import type { Evaluation } from './evaluate.js';
import { DivergedError } from './train.js';

export interface CandidateOutcome {
  readonly hash: string;
  /** Fraction of the validation split; 0 when the loss is not finite. */
  readonly accuracy: number;
  /** Mean validation cross-entropy; NaN when it is not finite and when the student could not be trained. */
  readonly loss: number;
  readonly seconds: number;
  /** Steps trained, and the accuracy at each rung passed on the way. */
  readonly steps: number;
  readonly rungs: readonly Rung[];
  /** In mixed precision: steps that changed nothing, as their gradients overflowed. */
  readonly skippedSteps?: number;
  /** Asked for by `keepWeights`, of a student trained to the end. */
  readonly weights?: Map<string, Float32Array>;
  /** Why there is no finite loss. */
  readonly failure?: string;
}

export interface Rung {
  readonly steps: number;
  /** Fraction of the validation split. */
  readonly accuracy: number;
}

type Measured = Omit<CandidateOutcome, 'steps' | 'rungs'>;

/** Of a student trained and measured, or diverged. */
export function outcomeOf(hash: string, validation: Evaluation | DivergedError, elapsedMs: number): Measured {
  if (validation instanceof DivergedError) return failed(hash, validation.message, elapsedMs);
  const { accuracy, loss } = validation;
  // Logits that are no numbers have an accuracy all the same: that of always answering with the first class.
  if (!Number.isFinite(loss)) return failed(hash, `the validation loss is ${loss}`, elapsedMs);
  return { hash, accuracy, loss, seconds: elapsedMs / 1000 };
}

/** Of a student that could not be trained, or whose loss is no number. */
export const failed = (hash: string, failure: string, elapsedMs: number): Measured => ({
  hash,
  accuracy: 0,
  loss: NaN,
  seconds: elapsedMs / 1000,
  failure,
});
