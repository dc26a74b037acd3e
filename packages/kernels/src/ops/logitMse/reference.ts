// The float64 twin of logit matching: sum_k (logits_k - teacher_k)^2 and its gradient 2 (logits - teacher).
import type { LossRow } from '../loss.js';

export function squaredDistance(_: unknown, { logits, teacher }: LossRow): number {
  return logits.reduce((sum, value, k) => sum + (value - teacher[k]!) ** 2, 0);
}

export function squaredDistanceGradient(_: unknown, { logits, teacher }: LossRow): Float64Array {
  return logits.map((value, k) => 2 * (value - teacher[k]!));
}
