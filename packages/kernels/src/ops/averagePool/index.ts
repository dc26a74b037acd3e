// averagePool: the mean of each window, over the whole kernel or over the pixels within the image.
import { padded, spread, type DeviceTraits, type Op } from '../op.js';
import { paddedNormal, type Random } from '../../testing/random.js';
import { STRIP, checkWindow, windowOutput, windowUniforms, type WindowShape } from '../window.js';
import { forwardReference, gradientReference } from './reference.js';

export interface AveragePoolShape extends WindowShape {
  /** Whether padding counts as zeros of the window: PyTorch's `count_include_pad`, ONNX's with the same name. */
  readonly countIncludePad: boolean;
}

const LANES = 64;

const inputRows = ({ batch, height, width }: AveragePoolShape): number => batch * height * width;
const outputRows = (shape: AveragePoolShape): number => {
  const [outHeight, outWidth] = windowOutput(shape);
  return shape.batch * outHeight * outWidth;
};
const inputWords = (shape: AveragePoolShape): number => inputRows(shape) * padded(shape.channels);
const outputWords = (shape: AveragePoolShape): number => outputRows(shape) * padded(shape.channels);

/** One launch whose invocations own a strip of `width` of one of `rows` rows and a vector of channels. */
function launch(shape: AveragePoolShape, rows: number, width: number, device: DeviceTraits) {
  const invocations = (rows * Math.ceil(width / STRIP) * padded(shape.channels)) / 4;
  return {
    uniforms: [...windowUniforms(shape), shape.countIncludePad ? 1 : 0],
    workgroups: spread(Math.ceil(invocations / LANES), device.maxWorkgroups),
  };
}

const flops = (shape: AveragePoolShape): number => outputRows(shape) * shape.channels * (shape.kernel[0] * shape.kernel[1] + 1);

export const averagePool: Op<AveragePoolShape> = {
  name: 'averagePool',
  passes: {
    forward: {
      tensors: [
        {
          name: 'x',
          role: 'in',
          type: 'f32',
          words: inputWords,
          fill: (shape: AveragePoolShape, random: Random) => paddedNormal(inputRows(shape), shape.channels, random),
        },
        { name: 'y', role: 'out', type: 'f32', words: outputWords },
      ],
      // An addition a window element and a division.
      flops,
      // Each of up to 49 additions in the samples rounds by 2^-24 of the running sum.
      tolerance: 2e-6,
      reference: forwardReference,
      variants: [
        {
          name: 'plain',
          usable: () => true,
          dispatches: (shape, device) => {
            const [outHeight, outWidth] = windowOutput(shape);
            const wgsl = new URL('./forward.wgsl', import.meta.url);
            return [{ wgsl, bind: ['x', 'y'], ...launch(shape, shape.batch * outHeight, outWidth, device) }];
          },
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
          fill: (shape: AveragePoolShape, random: Random) => paddedNormal(outputRows(shape), shape.channels, random),
        },
        { name: 'dx', role: 'out', type: 'f32', words: inputWords },
      ],
      flops,
      tolerance: 2e-6,
      reference: gradientReference,
      differentiates: { pass: 'forward', cotangents: { dy: 'y' }, gradients: { dx: 'x' } },
      variants: [
        {
          name: 'plain',
          usable: () => true,
          dispatches: (shape, device) => {
            const wgsl = new URL('./gradient.wgsl', import.meta.url);
            return [{ wgsl, bind: ['dy', 'dx'], ...launch(shape, shape.batch * shape.height, shape.width, device) }];
          },
        },
      ],
    },
  },
  check: (shape) => checkWindow('averagePool', shape),
  samples: [
    { batch: 3, height: 14, width: 14, channels: 16, kernel: [2, 2], stride: [2, 2], padding: [0, 0, 0, 0], countIncludePad: true },
    { batch: 2, height: 13, width: 7, channels: 5, kernel: [3, 3], stride: [2, 2], padding: [1, 1, 1, 1], countIncludePad: true },
    { batch: 2, height: 13, width: 7, channels: 5, kernel: [3, 3], stride: [2, 2], padding: [1, 1, 1, 1], countIncludePad: false },
    { batch: 2, height: 7, width: 9, channels: 10, kernel: [3, 2], stride: [1, 1], padding: [1, 0, 2, 1], countIncludePad: false },
    { batch: 1, height: 13, width: 13, channels: 3, kernel: [2, 3], stride: [3, 4], padding: [0, 2, 1, 0], countIncludePad: false },
    { batch: 5, height: 1, width: 1, channels: 1, kernel: [3, 3], stride: [2, 2], padding: [1, 1, 1, 1], countIncludePad: false },
    { batch: 1, height: 7, width: 7, channels: 3, kernel: [7, 7], stride: [1, 1], padding: [0, 0, 0, 0], countIncludePad: true },
  ],
  benchmarks: {
    '64x28x28x16': {
      batch: 64,
      height: 28,
      width: 28,
      channels: 16,
      kernel: [2, 2],
      stride: [2, 2],
      padding: [0, 0, 0, 0],
      countIncludePad: true,
    },
  },
  errors: [
    {
      shape: {
        batch: 1,
        height: 3,
        width: 4,
        channels: 4,
        kernel: [4, 4],
        stride: [1, 1],
        padding: [0, 0, 0, 0],
        countIncludePad: true,
      },
      message: /4x4 kernel does not fit into 3x4/,
    },
    {
      shape: {
        batch: 1,
        height: 4,
        width: 4,
        channels: 4,
        kernel: [2, 2],
        stride: [2, 2],
        padding: [0, 0, 2, 0],
        countIncludePad: false,
      },
      message: /less than the kernel/,
    },
  ],
};
