// maxPool: the maximum of each window and where it lay, so that the gradient goes to that pixel alone; and the ReLU of that maximum,
// which costs nothing here: a window without a positive pixel names no pixel, and so passes no gradient.
import { f32, padded, spread, type Op, type TensorDeclaration } from '../op.js';
import { paddedNormal, type Random } from '../../testing/random.js';
import { STRIP, checkWindow, windowOutput, windowUniforms } from '../window.js';
import { forwardReference, gradientReference, type MaxPoolShape } from './reference.js';

export type { MaxPoolShape };

const LANES = 64;

const inputRows = ({ batch, height, width }: MaxPoolShape): number => batch * height * width;
const outputRows = (shape: MaxPoolShape): number => {
  const [outHeight, outWidth] = windowOutput(shape);
  return shape.batch * outHeight * outWidth;
};

const inputWords = (shape: MaxPoolShape): number => inputRows(shape) * padded(shape.channels);
const outputWords = (shape: MaxPoolShape): number => outputRows(shape) * padded(shape.channels);

const indices = (role: 'in' | 'out'): TensorDeclaration<MaxPoolShape> => ({ name: 'indices', role, type: 'u32', words: outputWords });

/** Workgroups of 64 invocations, each a strip of `width` of one of `rows` rows and a vector of channels. */
const strips = (rows: number, width: number, channels: number, limit: number): readonly [number, number, number] =>
  spread(Math.ceil((rows * Math.ceil(width / STRIP) * padded(channels)) / 4 / LANES), limit);

/** No pixel lies in two windows, and the first window starts at the image's corner. */
const disjoint = ({ kernel, stride, padding }: MaxPoolShape): boolean =>
  kernel[0] <= stride[0] && kernel[1] <= stride[1] && padding[0] === 0 && padding[1] === 0;

export const maxPool: Op<MaxPoolShape> = {
  name: 'maxPool',
  passes: {
    forward: {
      tensors: [
        {
          name: 'x',
          role: 'in',
          type: 'f32',
          words: inputWords,
          fill: (shape: MaxPoolShape, random: Random) => paddedNormal(inputRows(shape), shape.channels, random),
        },
        { name: 'y', role: 'out', type: 'f32', words: outputWords },
        indices('out'),
      ],
      // A comparison a window element.
      flops: (shape) => outputRows(shape) * shape.channels * shape.kernel[0] * shape.kernel[1],
      tolerance: 0,
      reference: forwardReference,
      variants: [
        {
          name: 'plain',
          usable: () => true,
          dispatches: (shape, device) => [
            {
              wgsl: new URL('./forward.wgsl', import.meta.url),
              bind: ['x', 'y', 'indices'],
              uniforms: [...windowUniforms(shape), f32(-Infinity), shape.relu === true ? 1 : 0],
              workgroups: strips(shape.batch * windowOutput(shape)[0], windowOutput(shape)[1], shape.channels, device.maxWorkgroups),
            },
          ],
        },
      ],
    },
    gradient: {
      tensors: [
        {
          name: 'dy',
          role: 'in',
          type: 'f32',
          words: outputWords,
          fill: (shape: MaxPoolShape, random: Random) => paddedNormal(outputRows(shape), shape.channels, random),
        },
        indices('in'),
        { name: 'dx', role: 'out', type: 'f32', words: inputWords },
      ],
      // An addition an output value.
      flops: (shape) => outputRows(shape) * shape.channels,
      // A pixel sums at most one value a window that covers it, each addition rounded (2^-24).
      tolerance: 1e-6,
      reference: gradientReference,
      differentiates: { pass: 'forward', cotangents: { dy: 'y' }, gradients: { dx: 'x' } },
      variants: [
        {
          name: 'disjoint',
          usable: disjoint,
          dispatches: (shape, device) => [
            {
              wgsl: new URL('./gradient.disjoint.wgsl', import.meta.url),
              bind: ['dy', 'indices', 'dx'],
              uniforms: windowUniforms(shape),
              workgroups: strips(shape.batch * windowOutput(shape)[0], windowOutput(shape)[1], shape.channels, device.maxWorkgroups),
            },
          ],
        },
        {
          name: 'plain',
          usable: () => true,
          dispatches: (shape, device) => [
            {
              wgsl: new URL('./gradient.wgsl', import.meta.url),
              bind: ['dy', 'indices', 'dx'],
              uniforms: windowUniforms(shape),
              workgroups: strips(shape.batch * shape.height, shape.width, shape.channels, device.maxWorkgroups),
            },
          ],
        },
      ],
    },
  },
  check: (shape) => checkWindow('maxPool', shape),
  samples: [
    { batch: 3, height: 14, width: 14, channels: 16, kernel: [2, 2], stride: [2, 2], padding: [0, 0, 0, 0] },
    { batch: 2, height: 13, width: 7, channels: 5, kernel: [3, 3], stride: [2, 2], padding: [1, 1, 1, 1] },
    { batch: 2, height: 7, width: 9, channels: 10, kernel: [3, 2], stride: [1, 1], padding: [1, 0, 2, 1] },
    { batch: 1, height: 13, width: 13, channels: 3, kernel: [2, 3], stride: [3, 4], padding: [0, 2, 1, 0] }, // gaps between windows
    { batch: 2, height: 11, width: 8, channels: 3, kernel: [2, 3], stride: [3, 5], padding: [0, 0, 1, 2] }, // gaps, and a rest at the end
    { batch: 2, height: 7, width: 7, channels: 8, kernel: [2, 2], stride: [2, 2], padding: [0, 0, 0, 0] },
    { batch: 5, height: 1, width: 1, channels: 1, kernel: [3, 3], stride: [2, 2], padding: [1, 1, 1, 1] },
    { batch: 1, height: 7, width: 7, channels: 3, kernel: [7, 7], stride: [1, 1], padding: [0, 0, 0, 0] },
    // A ReLU behind the pool: few pixels a window, so that many windows have no positive one.
    { batch: 2, height: 9, width: 7, channels: 6, kernel: [2, 2], stride: [2, 2], padding: [0, 0, 0, 0], relu: true },
    { batch: 2, height: 7, width: 8, channels: 3, kernel: [1, 1], stride: [2, 2], padding: [0, 0, 0, 0], relu: true },
    { batch: 1, height: 8, width: 7, channels: 5, kernel: [1, 2], stride: [3, 4], padding: [0, 0, 0, 1], relu: true },
    { batch: 2, height: 7, width: 6, channels: 5, kernel: [3, 2], stride: [2, 1], padding: [1, 1, 1, 0], relu: true },
  ],
  benchmarks: { '64x28x28x16': { batch: 64, height: 28, width: 28, channels: 16, kernel: [2, 2], stride: [2, 2], padding: [0, 0, 0, 0] } },
  errors: [
    {
      shape: { batch: 1, height: 4, width: 4, channels: 4, kernel: [5, 5], stride: [1, 1], padding: [0, 0, 0, 0] },
      message: /5x5 kernel does not fit into 4x4/,
    },
    {
      shape: { batch: 1, height: 4, width: 4, channels: 4, kernel: [2, 2], stride: [2, 2], padding: [0, 2, 0, 0] },
      message: /less than the kernel/,
    },
    {
      shape: { batch: 1, height: 4, width: 4, channels: 4, kernel: [2, 2], stride: [0, 2], padding: [0, 0, 0, 0] },
      message: /stride height is 0/,
    },
    {
      shape: { batch: 0, height: 4, width: 4, channels: 4, kernel: [2, 2], stride: [2, 2], padding: [0, 0, 0, 0] },
      message: /batch is 0/,
    },
  ],
};
