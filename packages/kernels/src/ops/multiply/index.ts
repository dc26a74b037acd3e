// multiply: y = a * b, elementwise, or with one factor a channel and image (squeeze-and-excite): b is [N, C4] beside a's
// [N, H, W, C4].
import { requirePositiveIntegers } from '../checks.js';
import { flatSlicing } from '../flat.js';
import { padded, spread, type DeviceTraits, type Dispatch, type Op } from '../op.js';
import { paddedNormal, type Random } from '../../testing/random.js';
import { forwardReference, gradientReference } from './reference.js';

export interface MultiplyShape {
  readonly batch: number;
  /** Pixels of an image. */
  readonly positions: number;
  readonly channels: number;
  /** b has one value a channel and image. */
  readonly broadcast: boolean;
}

const LANES = 64;

const rows = ({ batch, positions }: MultiplyShape): number => batch * positions;
const gateRows = ({ batch, positions, broadcast }: MultiplyShape): number => (broadcast ? batch : batch * positions);
const words = (shape: MultiplyShape): number => rows(shape) * padded(shape.channels);
const gateWords = (shape: MultiplyShape): number => gateRows(shape) * padded(shape.channels);
const fill = (shape: MultiplyShape, random: Random): Float64Array => paddedNormal(rows(shape), shape.channels, random);
const gateFill = (shape: MultiplyShape, random: Random): Float64Array => paddedNormal(gateRows(shape), shape.channels, random);

/** result = left * right, where `right` may be the factor of a channel. */
function product(shape: MultiplyShape, device: DeviceTraits, bind: readonly string[], broadcast: boolean): Dispatch {
  const vectors = words(shape) / 4;
  const { share, workgroups } = flatSlicing(vectors, device);
  const perRow = padded(shape.channels) / 4;
  const uniforms = [vectors, share, perRow, broadcast ? shape.positions * perRow : 0];
  return { wgsl: new URL('./forward.wgsl', import.meta.url), bind, uniforms, workgroups };
}

function gradient(shape: MultiplyShape, device: DeviceTraits): Dispatch[] {
  const da = product(shape, device, ['dy', 'b', 'da'], shape.broadcast);
  if (!shape.broadcast) return [da, product(shape, device, ['dy', 'a', 'db'], false)];
  const perRow = padded(shape.channels) / 4;
  const db: Dispatch = {
    wgsl: new URL('./gate-gradient.wgsl', import.meta.url),
    bind: ['a', 'dy', 'db'],
    uniforms: [shape.batch * perRow, shape.positions, perRow],
    workgroups: spread(Math.ceil((shape.batch * perRow) / LANES), device.maxWorkgroups),
  };
  return [da, db];
}

export const multiply: Op<MultiplyShape> = {
  name: 'multiply',
  passes: {
    forward: {
      tensors: [
        { name: 'a', role: 'in', type: 'f32', words, fill },
        { name: 'b', role: 'in', type: 'f32', words: gateWords, fill: gateFill },
        { name: 'y', role: 'out', type: 'f32', words },
      ],
      flops: words,
      // One rounding.
      tolerance: 1e-7,
      reference: forwardReference,
      variants: [
        { name: 'plain', usable: () => true, dispatches: (shape, device) => [product(shape, device, ['a', 'b', 'y'], shape.broadcast)] },
      ],
    },
    gradient: {
      tensors: [
        { name: 'a', role: 'in', type: 'f32', words, fill },
        { name: 'b', role: 'in', type: 'f32', words: gateWords, fill: gateFill },
        { name: 'dy', role: 'in', type: 'f32', words, fill },
        { name: 'da', role: 'out', type: 'f32', words },
        { name: 'db', role: 'out', type: 'f32', words: gateWords },
      ],
      flops: (shape) => 3 * words(shape),
      // A sum over P pixels of both signs rounds by about 2^-24 * sqrt(P) of its terms: P = 784.
      tolerance: 1e-5,
      reference: gradientReference,
      differentiates: { pass: 'forward', cotangents: { dy: 'y' }, gradients: { da: 'a', db: 'b' } },
      variants: [{ name: 'plain', usable: () => true, dispatches: gradient }],
    },
  },
  check: ({ batch, positions, channels }) => requirePositiveIntegers('multiply', { batch, positions, channels }),
  samples: [true, false].flatMap((broadcast) => [
    { batch: 3, positions: 49, channels: 16, broadcast },
    { batch: 2, positions: 784, channels: 3, broadcast },
    { batch: 17, positions: 1, channels: 5, broadcast },
    { batch: 2, positions: 35, channels: 262, broadcast },
  ]),
  benchmarks: { '64x28x28x16': { batch: 64, positions: 28 * 28, channels: 16, broadcast: true } },
  errors: [
    { shape: { batch: 1, positions: 0, channels: 4, broadcast: true }, message: /positions is 0; it must be a positive integer/ },
    { shape: { batch: 1, positions: 4, channels: 1.5, broadcast: false }, message: /channels is 1.5/ },
  ],
};
