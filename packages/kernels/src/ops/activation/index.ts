// activation: y = f(x), elementwise, for the functions that map 0 to 0 and so keep padded channels zero. A sigmoid does
// not (sigmoid(0) = 1/2) and is no kind of this op.
import { requireVectors } from '../checks.js';
import { flatSlicing } from '../flat.js';
import { ShapeError, f32, type DeviceTraits, type Op } from '../op.js';
import type { Random } from '../../testing/random.js';
import { forwardReference, gradientReference } from './reference.js';

export const activationKinds = ['relu', 'relu6', 'leaky-relu', 'silu', 'hard-swish'] as const;
export type ActivationKind = (typeof activationKinds)[number];

export interface ActivationShape {
  /** Elements in words; a multiple of 4. */
  readonly size: number;
  readonly kind: ActivationKind;
  /** Factor of negative inputs, for leaky-relu; finite. */
  readonly slope?: number;
}

/** Operations an element: a comparison, a multiplication, a division or an exponential is 1 each. */
const FORWARD_FLOPS: Record<ActivationKind, number> = { relu: 1, relu6: 2, 'leaky-relu': 2, silu: 4, 'hard-swish': 5 };
const GRADIENT_FLOPS: Record<ActivationKind, number> = { relu: 1, relu6: 2, 'leaky-relu': 2, silu: 8, 'hard-swish': 5 };

const words = ({ size }: ActivationShape): number => size;

/** Wide enough that relu6 saturates and hard-swish and silu reach their tails. */
const wide = ({ size }: ActivationShape, random: Random): number[] => Array.from({ length: size }, () => 4 * random.normal());

/** The kernels' KIND constant: the kinds of straight pieces are one, told apart by uniforms. */
const KIND: Record<ActivationKind, number> = { relu: 0, relu6: 0, 'leaky-relu': 0, silu: 1, 'hard-swish': 2 };

function launch({ size, kind, slope = 0 }: ActivationShape, device: DeviceTraits) {
  const { share, workgroups } = flatSlicing(size / 4, device);
  const pieces = [f32(kind === 'leaky-relu' ? slope : 0), f32(kind === 'relu6' ? 6 : Infinity)];
  return { constants: { KIND: KIND[kind] }, uniforms: [size / 4, share, ...pieces], workgroups };
}

export const activation: Op<ActivationShape> = {
  name: 'activation',
  passes: {
    forward: {
      tensors: [
        { name: 'x', role: 'in', type: 'f32', words, fill: wide },
        { name: 'y', role: 'out', type: 'f32', words },
      ],
      flops: ({ size, kind }) => size * FORWARD_FLOPS[kind],
      // A handful of roundings (2^-24 = 6e-8 each); WGSL allows exp 3 + 2|x| units in the last place.
      tolerance: 2e-6,
      reference: forwardReference,
      variants: [
        {
          name: 'plain',
          usable: () => true,
          dispatches: (shape, device) => [{ wgsl: new URL('./forward.wgsl', import.meta.url), bind: ['x', 'y'], ...launch(shape, device) }],
        },
      ],
    },
    gradient: {
      tensors: [
        { name: 'x', role: 'in', type: 'f32', words, fill: wide },
        { name: 'dy', role: 'in', type: 'f32', words },
        { name: 'dx', role: 'out', type: 'f32', words },
      ],
      flops: ({ size, kind }) => size * GRADIENT_FLOPS[kind],
      tolerance: 2e-6,
      reference: gradientReference,
      differentiates: { pass: 'forward', cotangents: { dy: 'y' }, gradients: { dx: 'x' } },
      variants: [
        {
          name: 'plain',
          usable: () => true,
          dispatches: (shape, device) => [
            { wgsl: new URL('./gradient.wgsl', import.meta.url), bind: ['x', 'dy', 'dx'], ...launch(shape, device) },
          ],
        },
      ],
    },
  },
  check({ size, kind, slope }) {
    requireVectors('activation', size);
    if (!activationKinds.includes(kind)) {
      throw new ShapeError('activation', `kind is "${String(kind)}"; it must be one of ${activationKinds.join(', ')}`);
    }
    if (kind === 'leaky-relu' && !Number.isFinite(slope)) {
      throw new ShapeError('activation', `slope is ${String(slope)}; leaky-relu needs a finite slope`);
    }
  },
  samples: activationKinds.flatMap((kind) =>
    [4, 1020, 5004].map((size) => ({ size, kind, ...(kind === 'leaky-relu' ? { slope: 0.1 } : {}) })),
  ),
  benchmarks: {
    'relu/64x28x28x16': { size: 64 * 28 * 28 * 16, kind: 'relu' },
    'silu/64x28x28x16': { size: 64 * 28 * 28 * 16, kind: 'silu' },
  },
  errors: [
    { shape: { size: 6, kind: 'relu' }, message: /multiple of 4/ },
    { shape: { size: 8, kind: 'sigmoid' as ActivationKind }, message: /"sigmoid"; it must be one of relu, / },
    { shape: { size: 8, kind: 'leaky-relu' }, message: /needs a finite slope/ },
  ],
};
