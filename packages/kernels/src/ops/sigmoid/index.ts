// sigmoid: y = 1 / (1 + exp(-x)), or its piecewise linear form min(max(alpha x + beta, 0), 1). Neither maps 0 to 0, so the
// kernels know which channels are padding and keep those zero; that is why they are no kinds of `activation`.
import { requirePositiveIntegers } from '../checks.js';
import { flatSlicing } from '../flat.js';
import { f32, padded, ShapeError, type DeviceTraits, type Op } from '../op.js';
import { paddedNormal, type Random } from '../../testing/random.js';
import { forwardReference, gradientReference } from './reference.js';

/** The kinds, in the order of the kernels' KIND constant. */
export const sigmoidKinds = ['sigmoid', 'hard-sigmoid'] as const;
export type SigmoidKind = (typeof sigmoidKinds)[number];

export interface SigmoidShape {
  /** Pixels: batch x height x width. */
  readonly rows: number;
  readonly channels: number;
  readonly kind: SigmoidKind;
  /** Slope and offset of hard-sigmoid; finite. */
  readonly alpha?: number;
  readonly beta?: number;
}

const words = ({ rows, channels }: SigmoidShape): number => rows * padded(channels);
/** Wide enough that both kinds saturate. */
const wide = ({ rows, channels }: SigmoidShape, random: Random): Float64Array => paddedNormal(rows, channels, random).map((x) => 4 * x);
const narrow = ({ rows, channels }: SigmoidShape, random: Random): Float64Array => paddedNormal(rows, channels, random);

function launch(shape: SigmoidShape, device: DeviceTraits) {
  const { channels, kind, alpha = 0, beta = 0 } = shape;
  const vectors = words(shape) / 4;
  const { share, workgroups } = flatSlicing(vectors, device);
  const uniforms = [vectors, share, padded(channels) / 4, channels, f32(alpha), f32(beta)];
  return { constants: { KIND: sigmoidKinds.indexOf(kind) }, uniforms, workgroups };
}

export const sigmoid: Op<SigmoidShape> = {
  name: 'sigmoid',
  passes: {
    forward: {
      tensors: [
        { name: 'x', role: 'in', type: 'f32', words, fill: wide },
        { name: 'y', role: 'out', type: 'f32', words },
      ],
      flops: (shape) => 3 * words(shape),
      // WGSL allows exp 3 + 2|x| units in the last place, and the division 2.5.
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
        { name: 'y', role: 'in', type: 'f32', words },
        { name: 'dy', role: 'in', type: 'f32', words, fill: narrow },
        { name: 'dx', role: 'out', type: 'f32', words },
      ],
      flops: (shape) => 3 * words(shape),
      tolerance: 2e-6,
      reference: gradientReference,
      differentiates: { pass: 'forward', cotangents: { dy: 'y' }, gradients: { dx: 'x' } },
      variants: [
        {
          name: 'plain',
          usable: () => true,
          dispatches: (shape, device) => [
            { wgsl: new URL('./gradient.wgsl', import.meta.url), bind: ['y', 'dy', 'dx'], ...launch(shape, device) },
          ],
        },
      ],
    },
  },
  check({ rows, channels, kind, alpha, beta }) {
    requirePositiveIntegers('sigmoid', { rows, channels });
    if (!sigmoidKinds.includes(kind))
      throw new ShapeError('sigmoid', `kind is "${String(kind)}"; it must be one of ${sigmoidKinds.join(', ')}`);
    if (kind === 'hard-sigmoid' && !(Number.isFinite(alpha) && Number.isFinite(beta))) {
      throw new ShapeError('sigmoid', `alpha is ${String(alpha)} and beta ${String(beta)}; hard-sigmoid needs finite ones`);
    }
  },
  samples: sigmoidKinds.flatMap((kind) =>
    [
      { rows: 300, channels: 16 },
      { rows: 70, channels: 5 },
      { rows: 1, channels: 1 },
      { rows: 9, channels: 259 },
    ].map((size) => ({ ...size, kind, ...(kind === 'sigmoid' ? {} : { alpha: 0.2, beta: 0.4 }) })),
  ),
  benchmarks: { '64x28x28x16': { rows: 64 * 28 * 28, channels: 16, kind: 'sigmoid' } },
  errors: [
    { shape: { rows: 0, channels: 4, kind: 'sigmoid' }, message: /rows is 0; it must be a positive integer/ },
    { shape: { rows: 1, channels: 4, kind: 'tanh' as SigmoidKind }, message: /"tanh"; it must be one of sigmoid, hard-sigmoid/ },
    { shape: { rows: 1, channels: 4, kind: 'hard-sigmoid', alpha: 1 }, message: /beta undefined; hard-sigmoid needs finite ones/ },
  ],
};
