// The float64 twin of SGD with momentum (PyTorch's torch.optim.SGD with dampening 0).
import type { Tensors } from '../op.js';
import { scheduleAt, unscaleOf } from '../optimiser.js';
import type { SgdShape } from './index.js';

export function sgdReference(shape: SgdShape, tensors: Tensors): void {
  const { size, steps, momentum, nesterov, weightDecay } = shape;
  const { parameters, velocity, gradients, schedule, clock } = tensors;
  const learningRate = scheduleAt(schedule!, clock!, steps)[0]!;
  const unscale = unscaleOf(shape, tensors);
  if (unscale === 0) return;
  for (let i = 0; i < size; i++) {
    const g = unscale * gradients![i]! + weightDecay * parameters![i]!;
    const v = momentum * velocity![i]! + g;
    velocity![i] = v;
    parameters![i]! -= learningRate * (nesterov ? g + momentum * v : v);
  }
}
