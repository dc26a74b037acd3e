// What a step minimises: L = hard * cross-entropy + mse * ||f(x) - z||^2 + kl * T^2 KL(z/T || f(x)/T), averaged over the
// batch, where z are the teacher's logits (N2N section 3.3 uses the first two).
import { logitMse, metrics, padded, softenedKl, softmaxCrossEntropy } from '@n2n/kernels';
import type { NetworkSpec } from '../network/index.js';
import type { Activation, CallList, External } from '../plan/graph.js';

export interface Objective {
  /** Weight of the cross-entropy with the labels; `smoothing` in [0, 1). */
  readonly hard?: { readonly weight: number; readonly smoothing: number };
  /** Weight of the squared distance to the teacher's logits, summed over the classes. */
  readonly mse?: { readonly weight: number };
  /** Weight of Hinton's softened Kullback-Leibler divergence at temperature T > 0. */
  readonly kl?: { readonly weight: number; readonly temperature: number };
}

export const needsTeacher = (objective: Objective): boolean => objective.mse !== undefined || objective.kl !== undefined;

const batchPlace = (name: string): External => ({ kind: 'external', arena: 'batch', name });

/** Emits loss, metrics and the gradient of the logits; returns the latter. */
export function emitObjective(calls: CallList, spec: NetworkSpec, batch: number, logits: Activation, objective: Objective): Activation {
  const losses = calls.activation(batch, 'losses');
  const dlogits = calls.activation(batch * padded(spec.classes), 'd logits');
  const labels = batchPlace('labels');
  const teacher = batchPlace('teacher');
  let accumulate = false;
  const { hard, mse, kl } = objective;
  if (hard !== undefined) {
    const shape = { batch, classes: spec.classes, smoothing: hard.smoothing, weight: hard.weight, accumulate };
    calls.emit(softmaxCrossEntropy, 'forward', shape, { logits, labels, losses }, 'loss');
    calls.emit(softmaxCrossEntropy, 'gradient', shape, { logits, labels, dlogits }, 'loss');
    accumulate = true;
  }
  if (mse !== undefined) {
    const shape = { batch, classes: spec.classes, weight: mse.weight, accumulate };
    calls.emit(logitMse, 'forward', shape, { logits, teacher, labels, losses }, 'loss');
    calls.emit(logitMse, 'gradient', shape, { logits, teacher, labels, dlogits }, 'loss');
    accumulate = true;
  }
  if (kl !== undefined) {
    const shape = { batch, classes: spec.classes, temperature: kl.temperature, weight: kl.weight, accumulate };
    calls.emit(softenedKl, 'forward', shape, { logits, teacher, labels, losses }, 'loss');
    calls.emit(softenedKl, 'gradient', shape, { logits, teacher, labels, dlogits }, 'loss');
    accumulate = true;
  }
  if (!accumulate) throw new RangeError('the objective is empty: give at least one of hard, mse and kl');
  calls.emit(metrics, 'forward', { batch, classes: spec.classes }, { logits, labels, losses, totals: batchPlace('totals') }, 'metrics');
  return dlogits;
}

/** Plain cross-entropy and accuracy of a batch, added to the plan's totals. */
export function emitMetrics(calls: CallList, spec: NetworkSpec, batch: number, logits: Activation): void {
  const labels = batchPlace('labels');
  const losses = calls.activation(batch, 'losses');
  const shape = { batch, classes: spec.classes, smoothing: 0, weight: 1, accumulate: false };
  calls.emit(softmaxCrossEntropy, 'forward', shape, { logits, labels, losses }, 'metrics');
  calls.emit(metrics, 'forward', { batch, classes: spec.classes }, { logits, labels, losses, totals: batchPlace('totals') }, 'metrics');
}
