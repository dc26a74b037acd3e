// adam: Adam (Kingma and Ba 2015, algorithm 1) with L2 decay, or AdamW (Loshchilov and Hutter 2019, algorithm 2) when decoupled, over a
// network's flat parameters. The bias corrections come with the schedule, from the host in float64: 1 - 0.999^t has
// few correct digits in float32.
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
import { adamReference } from './reference.js';

export interface AdamShape extends OptimiserShape {
  /** Decay of the first moment, 0 .. below 1; 0.9 is usual. */
  readonly beta1: number;
  /** Decay of the second moment, 0 .. below 1; 0.999 is usual. */
  readonly beta2: number;
  /** Added to the root of the second moment; above 0; 1e-8 is usual. */
  readonly epsilon: number;
  /** AdamW: the decay acts on the parameters, not through the moments. */
  readonly decoupled: boolean;
}

const ordinary: AdamShape = { size: 1024, steps: 5, beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weightDecay: 0.01, decoupled: false };

export const adam: Op<AdamShape> = {
  name: 'adam',
  passes: {
    step: {
      tensors: [
        flat('parameters', 'inout'),
        flat('firstMoment', 'inout'),
        flat('secondMoment', 'inout', ({ size }, random) => Array.from({ length: size }, () => random.uniform())),
        flat('gradients', 'in'),
        scheduleTensor,
        clockTensor,
        scalingTensor,
      ],
      flops: ({ size }) => size * 16,
      bytes: ({ size }) => size * 4 * 7, // reads four arrays, writes all but the gradients
      tolerance: 2e-6,
      reference: adamReference,
      variants: [
        {
          name: 'plain',
          usable: () => true,
          dispatches: (shape, device) => [
            {
              wgsl: new URL('./step.wgsl', import.meta.url),
              bind: ['parameters', 'firstMoment', 'secondMoment', 'gradients', 'schedule', 'clock', scalingBinding(shape)],
              uniforms: [
                shape.size / 4,
                shape.steps,
                Number(shape.decoupled),
                Number(shape.scaled ?? false),
                ...[shape.beta1, 1 - shape.beta1, shape.beta2, 1 - shape.beta2, shape.epsilon, shape.weightDecay].map(f32),
              ],
              workgroups: optimiserWorkgroups(shape, device.maxWorkgroups),
            },
          ],
        },
      ],
    },
  },
  check(shape) {
    checkOptimiser('adam', shape);
    const { beta1, beta2, epsilon } = shape;
    if (!(beta1 >= 0 && beta1 < 1)) throw new ShapeError('adam', `beta1 is ${beta1}; it must be in 0 .. 1, 1 excluded`);
    if (!(beta2 >= 0 && beta2 < 1)) throw new ShapeError('adam', `beta2 is ${beta2}; it must be in 0 .. 1, 1 excluded`);
    if (!(epsilon > 0 && epsilon < Infinity)) throw new ShapeError('adam', `epsilon is ${epsilon}; it must be a finite number above 0`);
  },
  samples: [
    ordinary,
    { ...ordinary, size: 4, decoupled: true },
    { ...ordinary, size: 1020, steps: 1, beta1: 0, beta2: 0.9, epsilon: 0.1, weightDecay: 0 },
    { ...ordinary, size: 70_004, decoupled: true, weightDecay: 0.1 },
    { ...ordinary, steps: 4, scaled: true },
    { ...ordinary, steps: 3, decoupled: true, scaled: true },
  ],
  benchmarks: { '1M': { ...ordinary, size: 1_000_000 } },
  errors: [
    { shape: { ...ordinary, size: 0 }, message: /size is 0; .*multiple of 4/ },
    { shape: { ...ordinary, steps: 1.5 }, message: /steps is 1.5/ },
    { shape: { ...ordinary, beta1: 1 }, message: /beta1 is 1/ },
    { shape: { ...ordinary, beta2: -0.1 }, message: /beta2 is -0.1/ },
    { shape: { ...ordinary, epsilon: 0 }, message: /epsilon is 0/ },
  ],
};
