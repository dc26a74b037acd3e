// sgd: stochastic gradient descent with (Nesterov) momentum and L2 decay over a network's flat parameters: Sutskever et al. 2013 in
// PyTorch's form, where the learning rate stays outside the velocity.
import { f32, ShapeError, type Op } from '../op.js';
import {
  checkOptimiser,
  clockTensor,
  flat,
  optimiserWorkgroups,
  scalingBinding,
  scalingTensor,
  scheduleTensor,
  type OptimiserShape,
} from '../optimiser.js';
import { sgdReference } from './reference.js';

export interface SgdShape extends OptimiserShape {
  /** 0 .. below 1; 0 is plain gradient descent. */
  readonly momentum: number;
  readonly nesterov: boolean;
}

const ordinary: SgdShape = { size: 1024, steps: 5, momentum: 0.9, nesterov: true, weightDecay: 5e-4 };

export const sgd: Op<SgdShape> = {
  name: 'sgd',
  passes: {
    step: {
      tensors: [
        flat('parameters', 'inout'),
        flat('velocity', 'inout'),
        flat('gradients', 'in'),
        scheduleTensor,
        clockTensor,
        scalingTensor,
      ],
      flops: ({ size }) => size * 8,
      bytes: ({ size }) => size * 4 * 5, // reads parameters, velocity and gradients, writes the first two
      tolerance: 1e-6,
      reference: sgdReference,
      variants: [
        {
          name: 'plain',
          usable: () => true,
          dispatches: (shape, device) => [
            {
              wgsl: new URL('./step.wgsl', import.meta.url),
              bind: ['parameters', 'velocity', 'gradients', 'schedule', 'clock', scalingBinding(shape)],
              uniforms: [
                shape.size / 4,
                shape.steps,
                Number(shape.nesterov),
                Number(shape.scaled ?? false),
                f32(shape.momentum),
                f32(shape.weightDecay),
              ],
              workgroups: optimiserWorkgroups(shape, device.maxWorkgroups),
            },
          ],
        },
      ],
    },
  },
  check(shape) {
    checkOptimiser('sgd', shape);
    const { momentum } = shape;
    if (!(momentum >= 0 && momentum < 1)) throw new ShapeError('sgd', `momentum is ${momentum}; it must be in 0 .. 1, 1 excluded`);
  },
  samples: [
    ordinary,
    { ...ordinary, size: 4, nesterov: false },
    { ...ordinary, size: 1020, steps: 1, momentum: 0, nesterov: false, weightDecay: 0 },
    { ...ordinary, size: 70_004, weightDecay: 0.1 },
    { ...ordinary, steps: 4, scaled: true },
    { ...ordinary, steps: 3, scaled: true },
  ],
  benchmarks: { '1M': { ...ordinary, size: 1_000_000 } },
  errors: [
    { shape: { ...ordinary, size: 6 }, message: /size is 6; .*multiple of 4/ },
    { shape: { ...ordinary, steps: 0 }, message: /steps is 0/ },
    { shape: { ...ordinary, momentum: 1 }, message: /momentum is 1/ },
    { shape: { ...ordinary, weightDecay: -1 }, message: /weightDecay is -1/ },
  ],
};
