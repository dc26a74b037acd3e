// lossScale: dynamic loss scaling (Micikevicius et al. 2018, arXiv 1710.03740, section 3.2), wholly on the device. The gradient of
// the loss is multiplied by a scale, so that the small gradients behind it are not lost when they are rounded to f16; the optimisers
// divide by it. A step whose gradients overflowed is skipped, and the scale halved; so it stays about as large as it can be.
//
// A step: `apply` to the gradient of the logits; the backward pass; `check` of each part of the gradients; the optimiser, which
// leaves everything alone where unscale is 0; `update`. State: scaling [4] = (scale, unscale, good steps, skipped steps).
import type { Random } from '../../testing/random.js';
import { requirePositiveIntegers, requireVectors } from '../checks.js';
import { f32, spread, type Op, type TensorDeclaration } from '../op.js';
import { SCALING_WORDS } from '../optimiser.js';
import { applyReference, checkReference, updateReference } from './reference.js';

export interface LossScaleShape {
  /** Words of the gradient; a multiple of 4. */
  readonly size: number;
  /** Good steps after which the scale is doubled. */
  readonly interval: number;
  /** The largest scale that doubling reaches. */
  readonly most: number;
}

/** vec4 elements of a workgroup of `apply`, and of one turn of a workgroup of `check`. */
const APPLY_VECTORS = 256;
const CHECK_VECTORS = 64;
/** Workgroups of `check`, at most: one more workgroup reads what they found. */
const MOST_WORKGROUPS = 1024;

const checkWorkgroups = ({ size }: LossScaleShape): number => Math.min(MOST_WORKGROUPS, Math.ceil(size / 4 / CHECK_VECTORS));

/** Any state; a skipped step is as likely as a good one, and one before doubling as any other. */
function fillScaling({ interval }: LossScaleShape, random: Random): number[] {
  const scale = 2 ** random.integer(26);
  const good = random.uniform() < 0.5 ? interval - 1 : random.integer(interval);
  return [scale, random.uniform() < 0.5 ? 0 : 1 / scale, good, random.integer(9)];
}

/** Normal numbers, and in half of all cases one that is none, anywhere. */
function fillGradients({ size }: LossScaleShape, random: Random): number[] {
  const values = Array.from({ length: size }, () => random.normal());
  if (random.uniform() < 0.5) values[random.integer(size)] = [Infinity, -Infinity, NaN][random.integer(3)]!;
  return values;
}

const size = (shape: LossScaleShape): number => shape.size;
const scaling = (role: 'in' | 'inout'): TensorDeclaration<LossScaleShape> => ({
  name: 'scaling',
  role,
  type: 'f32',
  words: () => SCALING_WORDS,
  fill: fillScaling,
});

const ordinary: LossScaleShape = { size: 1024, interval: 5, most: 2 ** 24 };

export const lossScale: Op<LossScaleShape> = {
  name: 'lossScale',
  passes: {
    apply: {
      tensors: [{ name: 'gradient', role: 'inout', type: 'f32', words: size }, scaling('in')],
      flops: size,
      bytes: (shape) => shape.size * 8,
      tolerance: 0,
      reference: applyReference,
      variants: [
        {
          name: 'plain',
          usable: () => true,
          dispatches: (shape, { maxWorkgroups }) => [
            {
              wgsl: new URL('./apply.wgsl', import.meta.url),
              bind: ['gradient', 'scaling'],
              uniforms: [shape.size / 4],
              workgroups: spread(Math.ceil(shape.size / 4 / APPLY_VECTORS), maxWorkgroups),
            },
          ],
        },
      ],
    },
    check: {
      tensors: [{ name: 'gradients', role: 'in', type: 'f32', words: size, fill: fillGradients }, scaling('inout')],
      flops: () => 0,
      bytes: (shape) => shape.size * 4,
      tolerance: 0,
      reference: checkReference,
      variants: [
        {
          name: 'plain',
          usable: () => true,
          scratchWords: checkWorkgroups,
          dispatches(shape) {
            const workgroups = checkWorkgroups(shape);
            const common = {
              wgsl: new URL('./check.wgsl', import.meta.url),
              bind: ['gradients', 'scratch', 'scaling'],
              uniforms: [shape.size / 4, workgroups],
            };
            return [
              { ...common, workgroups: [workgroups, 1, 1] },
              { ...common, entryPoint: 'conclude', workgroups: [1, 1, 1] },
            ];
          },
        },
      ],
    },
    update: {
      tensors: [scaling('inout')],
      flops: () => 0,
      tolerance: 0,
      reference: updateReference,
      variants: [
        {
          name: 'plain',
          usable: () => true,
          dispatches: ({ interval, most }) => [
            {
              wgsl: new URL('./update.wgsl', import.meta.url),
              bind: ['scaling'],
              uniforms: [f32(interval), f32(most)],
              workgroups: [1, 1, 1],
            },
          ],
        },
      ],
    },
  },
  check({ size: words, interval, most }) {
    requireVectors('lossScale', words);
    requirePositiveIntegers('lossScale', { interval, most });
  },
  samples: [
    ordinary,
    { ...ordinary, size: 4 },
    { ...ordinary, size: 1020, interval: 1 },
    { ...ordinary, size: 70_004, most: 1 },
    { ...ordinary, size: 300_000, interval: 2 },
    { ...ordinary, size: 12, interval: 7 },
  ],
  benchmarks: { '1M': { ...ordinary, size: 1_000_000 } },
  errors: [
    { shape: { ...ordinary, size: 6 }, message: /size is 6; .*multiple of 4/ },
    { shape: { ...ordinary, interval: 0 }, message: /interval is 0/ },
    { shape: { ...ordinary, most: 0.5 }, message: /most is 0.5/ },
  ],
};
