// logitMse: distillation by matching logits, L_KD = 1/N sum_n ||student(x_n) - teacher(x_n)||^2 (N2N, section 4.3; Ba and Caruana
// 2014): a sum over the classes, a mean over the batch.
import type { Op } from '../op.js';
import { checkLoss, lossPasses, type LossShape } from '../loss.js';
import { squaredDistance, squaredDistanceGradient } from './reference.js';

export type LogitMseShape = LossShape;

const ordinary: LogitMseShape = { batch: 64, classes: 10, weight: 1, accumulate: false };

export const logitMse: Op<LogitMseShape> = {
  name: 'logitMse',
  passes: lossPasses<LogitMseShape>({
    forward: new URL('./forward.wgsl', import.meta.url),
    gradient: new URL('./gradient.wgsl', import.meta.url),
    teacher: true,
    parameter: () => 0,
    flops: [3, 3],
    tolerance: 1e-6,
    loss: squaredDistance,
    lossGradient: squaredDistanceGradient,
  }),
  check: (shape) => checkLoss('logitMse', shape),
  samples: [
    ordinary,
    { ...ordinary, weight: 0.3, accumulate: true },
    { batch: 1, classes: 2, weight: 2, accumulate: true },
    { batch: 7, classes: 3, weight: 1, accumulate: false },
    { batch: 13, classes: 4, weight: 0, accumulate: false },
    { batch: 33, classes: 101, weight: 1, accumulate: false },
  ],
  benchmarks: { '500x1000': { ...ordinary, batch: 500, classes: 1000 } },
  errors: [
    { shape: { ...ordinary, classes: 1 }, message: /classes is 1; .* at least 2/ },
    { shape: { ...ordinary, batch: 1.5 }, message: /batch is 1.5/ },
    { shape: { ...ordinary, weight: Infinity }, message: /weight is Infinity/ },
  ],
};
