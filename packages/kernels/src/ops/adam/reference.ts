// The float64 twin of Adam and AdamW (PyTorch's torch.optim.Adam and torch.optim.AdamW).
import type { Tensors } from '../op.js';
import { scheduleAt, skippedOf, unscaleOf } from '../optimiser.js';
import type { AdamShape } from './index.js';

export function adamReference(shape: AdamShape, tensors: Tensors): void {
  const { size, steps, beta1, beta2, epsilon, weightDecay, decoupled } = shape;
  const { parameters, firstMoment, secondMoment, gradients, schedule, clock } = tensors;
  const [learningRate] = scheduleAt(schedule!, clock!, steps) as unknown as [number];
  const earlier = scheduleAt(schedule!, clock!, steps, skippedOf(shape, tensors));
  const [, correction1, correction2] = earlier as unknown as [number, number, number];
  const unscale = unscaleOf(shape, tensors);
  if (unscale === 0) return;
  for (let i = 0; i < size; i++) {
    const p = parameters![i]!;
    const g = unscale * gradients![i]! + (decoupled ? 0 : weightDecay * p);
    const m = beta1 * firstMoment![i]! + (1 - beta1) * g;
    const v = beta2 * secondMoment![i]! + (1 - beta2) * g * g;
    firstMoment![i] = m;
    secondMoment![i] = v;
    const decayed = decoupled ? p - learningRate * weightDecay * p : p;
    parameters![i] = decayed - (learningRate * m * correction1) / (Math.sqrt(v * correction2) + epsilon);
  }
}
