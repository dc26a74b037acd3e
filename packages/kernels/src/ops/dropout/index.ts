// dropout: zeroes each element with probability `rate` and multiplies the rest by 1 / (1 - rate). The mask is a hash of
// (seed, layer, step, element), so the gradient computes the forward pass's mask again instead of reading one.
import { requireVectors } from '../checks.js';
import { flatSlicing } from '../flat.js';
import { ShapeError, f32, type DeviceTraits, type Dispatch, type Op, type TensorDeclaration } from '../op.js';
import { dropThreshold, keptScale, maskReference } from './reference.js';

export interface DropoutShape {
  /** Elements in words; a multiple of 4. */
  readonly size: number;
  /** Probability of an element to be dropped, 0 <= rate < 1. */
  readonly rate: number;
  /** Seed of the training run, 32 bits unsigned. */
  readonly seed: number;
  /** Tells the dropout layers of a network apart, 32 bits unsigned. */
  readonly layer: number;
}

const words = ({ size }: DropoutShape): number => size;

/** The training clock; word 1 is the step since training began. */
const clock: TensorDeclaration<DropoutShape> = {
  name: 'clock',
  role: 'in',
  type: 'u32',
  words: () => 4,
  fill: (_, random) => Array.from({ length: 4 }, () => random.integer(2 ** 31)),
};

function dispatches(shape: DropoutShape, device: DeviceTraits, source: string, result: string): Dispatch[] {
  const { size, rate, seed, layer } = shape;
  const { share, workgroups } = flatSlicing(size / 4, device);
  return [
    {
      wgsl: new URL('./mask.wgsl', import.meta.url),
      bind: [source, 'clock', result],
      uniforms: [size / 4, share, dropThreshold(rate), seed, layer, f32(keptScale(rate))],
      workgroups,
    },
  ];
}

/** One multiplication by the f32 scale, rounded once: 2^-24. */
const TOLERANCE = 6e-8;

export const dropout: Op<DropoutShape> = {
  name: 'dropout',
  passes: {
    forward: {
      tensors: [{ name: 'x', role: 'in', type: 'f32', words }, clock, { name: 'y', role: 'out', type: 'f32', words }],
      flops: words,
      tolerance: TOLERANCE,
      reference: (shape, { x, clock: time, y }) => maskReference(shape, time![1]!, x!, y!),
      variants: [{ name: 'plain', usable: () => true, dispatches: (shape, device) => dispatches(shape, device, 'x', 'y') }],
    },
    gradient: {
      tensors: [{ name: 'dy', role: 'in', type: 'f32', words }, clock, { name: 'dx', role: 'out', type: 'f32', words }],
      flops: words,
      tolerance: TOLERANCE,
      reference: (shape, { dy, clock: time, dx }) => maskReference(shape, time![1]!, dy!, dx!),
      differentiates: { pass: 'forward', cotangents: { dy: 'y' }, gradients: { dx: 'x' } },
      variants: [{ name: 'plain', usable: () => true, dispatches: (shape, device) => dispatches(shape, device, 'dy', 'dx') }],
    },
  },
  check({ size, rate, seed, layer }) {
    requireVectors('dropout', size);
    if (!(rate >= 0 && rate < 1)) throw new ShapeError('dropout', `rate is ${rate}; it must be at least 0 and below 1`);
    for (const [name, value] of Object.entries({ seed, layer })) {
      if (!Number.isInteger(value) || value < 0 || value >= 2 ** 32) {
        throw new ShapeError('dropout', `${name} is ${value}; it must be an integer from 0 to 4294967295`);
      }
    }
  },
  samples: [
    { size: 4, rate: 0.5, seed: 1, layer: 0 },
    { size: 1020, rate: 0.1, seed: 0xffffffff, layer: 3 },
    { size: 10_004, rate: 0.9, seed: 12345, layer: 0x80000001 },
    { size: 256, rate: 0, seed: 7, layer: 1 },
  ],
  benchmarks: { '64x28x28x16': { size: 64 * 28 * 28 * 16, rate: 0.5, seed: 1, layer: 0 } },
  errors: [
    { shape: { size: 10, rate: 0.5, seed: 0, layer: 0 }, message: /multiple of 4/ },
    { shape: { size: 8, rate: 1, seed: 0, layer: 0 }, message: /rate is 1; it must be at least 0 and below 1/ },
    { shape: { size: 8, rate: 0.5, seed: -1, layer: 0 }, message: /seed is -1/ },
    { shape: { size: 8, rate: 0.5, seed: 0, layer: 0.5 }, message: /layer is 0.5/ },
  ],
};
