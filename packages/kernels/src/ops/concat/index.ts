// concat: one input's part of the channels of several joined, [N, H, W, C4] -> channels offset .. offset + C of [N, H, W, T4].
// An input is a dispatch: a join of any number of inputs is that many of them, and a gradient likewise.
import { requirePositiveIntegers } from '../checks.js';
import { flatSlicing } from '../flat.js';
import { padded, ShapeError, type DeviceTraits, type Dispatch, type Op } from '../op.js';
import { paddedNormal, type Random } from '../../testing/random.js';
import { forwardReference, gradientReference } from './reference.js';

export interface ConcatShape {
  /** Pixels: batch x height x width. */
  readonly rows: number;
  readonly channels: number;
  /** Channels of the inputs before this one. */
  readonly offset: number;
  /** Channels of all inputs together. */
  readonly total: number;
}

const partWords = ({ rows, channels }: ConcatShape): number => rows * padded(channels);
const wholeWords = ({ rows, total }: ConcatShape): number => rows * padded(total);
const isLast = ({ channels, offset, total }: ConcatShape): boolean => offset + channels === total;
/** Whether whole vectors of the input are whole vectors of the output. */
const aligned = (shape: ConcatShape): boolean => shape.offset % 4 === 0 && (shape.channels % 4 === 0 || isLast(shape));

const part = ({ rows, channels }: ConcatShape, random: Random): Float64Array => paddedNormal(rows, channels, random);
const whole = ({ rows, total }: ConcatShape, random: Random): Float64Array => paddedNormal(rows, total, random);

function launch(wgsl: URL, bind: readonly string[], uniforms: readonly number[], shape: ConcatShape, device: DeviceTraits): Dispatch {
  const vectors = partWords(shape) / 4;
  const { share, workgroups } = flatSlicing(vectors, device);
  return { wgsl, bind, uniforms: [vectors, share, padded(shape.channels) / 4, ...uniforms], workgroups };
}

const vectorUniforms = ({ offset, total }: ConcatShape): number[] => [offset / 4, padded(total) / 4];
const scalarUniforms = ({ channels, offset, total }: ConcatShape): number[] => [channels, offset, padded(total)];

export const concat: Op<ConcatShape> = {
  name: 'concat',
  passes: {
    forward: {
      tensors: [
        { name: 'x', role: 'in', type: 'f32', words: partWords, fill: part },
        // The other inputs' channels stay as they are; the last input also zeroes the padding.
        { name: 'y', role: 'inout', type: 'f32', words: wholeWords, fill: whole },
      ],
      flops: () => 0,
      bytes: (shape) => 8 * partWords(shape),
      tolerance: 0,
      reference: forwardReference,
      variants: [
        {
          name: 'vectors',
          usable: aligned,
          dispatches: (shape, device) => [
            launch(new URL('./forward.vectors.wgsl', import.meta.url), ['x', 'y'], vectorUniforms(shape), shape, device),
          ],
        },
        {
          name: 'plain',
          usable: () => true,
          dispatches: (shape, device) => {
            const padding = isLast(shape) ? padded(shape.total) - shape.total : 0;
            return [launch(new URL('./forward.wgsl', import.meta.url), ['x', 'y'], [...scalarUniforms(shape), padding], shape, device)];
          },
        },
      ],
    },
    gradient: {
      tensors: [
        { name: 'dy', role: 'in', type: 'f32', words: wholeWords, fill: whole },
        { name: 'dx', role: 'out', type: 'f32', words: partWords },
      ],
      flops: () => 0,
      bytes: (shape) => 8 * partWords(shape),
      tolerance: 0,
      reference: gradientReference,
      differentiates: { pass: 'forward', cotangents: { dy: 'y' }, gradients: { dx: 'x' } },
      variants: [
        {
          name: 'vectors',
          usable: aligned,
          dispatches: (shape, device) => [
            launch(new URL('./gradient.vectors.wgsl', import.meta.url), ['dy', 'dx'], vectorUniforms(shape), shape, device),
          ],
        },
        {
          name: 'plain',
          usable: () => true,
          dispatches: (shape, device) => [
            launch(new URL('./gradient.wgsl', import.meta.url), ['dy', 'dx'], scalarUniforms(shape), shape, device),
          ],
        },
      ],
    },
  },
  check(shape) {
    const { rows, channels, offset, total } = shape;
    requirePositiveIntegers('concat', { rows, channels, total });
    if (!Number.isInteger(offset) || offset < 0 || offset + channels > total) {
      throw new ShapeError('concat', `channels ${offset} to ${offset + channels} of ${total}; they must lie inside`);
    }
  },
  samples: [
    { rows: 70, channels: 16, offset: 8, total: 32 },
    { rows: 9, channels: 6, offset: 0, total: 13 },
    { rows: 9, channels: 7, offset: 6, total: 13 },
    { rows: 33, channels: 5, offset: 12, total: 17 },
    { rows: 300, channels: 1, offset: 3, total: 4 },
    { rows: 1, channels: 260, offset: 2, total: 301 },
    { rows: 5, channels: 8, offset: 5, total: 13 },
  ],
  benchmarks: { '64x28x28x16-32': { rows: 64 * 28 * 28, channels: 16, offset: 16, total: 32 } },
  errors: [
    { shape: { rows: 4, channels: 5, offset: 4, total: 8 }, message: /channels 4 to 9 of 8; they must lie inside/ },
    { shape: { rows: 0, channels: 5, offset: 0, total: 8 }, message: /rows is 0/ },
  ],
};
