// The float64 twin of SGD with momentum (PyTorch's torch.optim.SGD with dampening 0).
import type { Tensors } from '../op.js';
import { scheduleAt } from '../optimiser.js';
import type { SgdShape } from './index.js';

export function sgdReference({ size, steps, momentum, nesterov, weightDecay }: SgdShape, tensors: Tensors): void {
  const { parameters, velocity, gradients, schedule, clock } = tensors;
  const learningRate = scheduleAt(schedule!, clock!, steps)[0]!;
  for (let i = 0; i < size; i++) {
    const g = gradients![i]! + weightDecay * parameters![i]!;
    const v = momentum * velocity![i]! + g;
    velocity![i] = v;
    parameters![i]! -= learningRate * (nesterov ? g + momentum * v : v);
  }
}
