// The float64 twin of softmax cross entropy. With p = softmax(logits), smoothing s and K classes the target is
// t = (1 - s) * onehot(label) + s / K, the loss -sum t log p and its gradient p - t.
import { logSoftmax, type LossRow } from '../loss.js';

interface Smoothed {
  readonly classes: number;
  readonly smoothing: number;
}

const target = ({ classes, smoothing }: Smoothed, label: number, k: number): number =>
  (k === label ? 1 - smoothing : 0) + smoothing / classes;

export function crossEntropy(shape: Smoothed, { logits, label }: LossRow): number {
  return -logSoftmax(logits).reduce((sum, logP, k) => sum + target(shape, label, k) * logP, 0);
}

export function crossEntropyGradient(shape: Smoothed, { logits, label }: LossRow): Float64Array {
  return logSoftmax(logits).map((logP, k) => Math.exp(logP) - target(shape, label, k));
}
