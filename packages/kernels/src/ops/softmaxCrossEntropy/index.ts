// softmaxCrossEntropy: the loss against hard labels, with label smoothing (Szegedy et al. 2016, section 7): L_hard of the student.
import { ShapeError, type Op } from '../op.js';
import { checkLoss, lossPasses, type LossShape } from '../loss.js';
import { crossEntropy, crossEntropyGradient } from './reference.js';

export interface SoftmaxCrossEntropyShape extends LossShape {
  /** Share of the target spread evenly over all classes: 0 .. below 1. */
  readonly smoothing: number;
}

const ordinary: SoftmaxCrossEntropyShape = { batch: 64, classes: 10, smoothing: 0, weight: 1, accumulate: false };

export const softmaxCrossEntropy: Op<SoftmaxCrossEntropyShape> = {
  name: 'softmaxCrossEntropy',
  passes: lossPasses<SoftmaxCrossEntropyShape>({
    forward: new URL('./forward.wgsl', import.meta.url),
    gradient: new URL('./gradient.wgsl', import.meta.url),
    teacher: false,
    parameter: ({ smoothing }) => smoothing,
    flops: [6, 9], // maximum, subtract, exp, add, smoothing; again exp, divide, subtract, scale
    tolerance: 3e-6,
    loss: crossEntropy,
    lossGradient: crossEntropyGradient,
  }),
  check(shape) {
    checkLoss('softmaxCrossEntropy', shape);
    const { smoothing } = shape;
    if (!(smoothing >= 0 && smoothing < 1))
      throw new ShapeError('softmaxCrossEntropy', `smoothing is ${smoothing}; it must be in 0 .. 1, 1 excluded`);
  },
  samples: [
    ordinary,
    { ...ordinary, smoothing: 0.1, accumulate: true },
    { batch: 1, classes: 2, smoothing: 0, weight: 0.5, accumulate: true },
    { batch: 7, classes: 3, smoothing: 0.2, weight: 2, accumulate: false },
    { batch: 13, classes: 4, smoothing: 0, weight: 0, accumulate: false },
    { batch: 33, classes: 101, smoothing: 0.1, weight: 1, accumulate: false },
  ],
  benchmarks: { '500x1000': { ...ordinary, batch: 500, classes: 1000 } },
  errors: [
    { shape: { ...ordinary, classes: 1 }, message: /classes is 1; .* at least 2/ },
    { shape: { ...ordinary, batch: 0 }, message: /batch is 0/ },
    { shape: { ...ordinary, smoothing: 1 }, message: /smoothing is 1/ },
    { shape: { ...ordinary, weight: -1 }, message: /weight is -1/ },
    { shape: { ...ordinary, weight: Number.NaN }, message: /weight is NaN/ },
  ],
};
