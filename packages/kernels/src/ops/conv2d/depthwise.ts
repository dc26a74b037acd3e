// The dispatches of conv2d's `depthwise` variants: one filter a channel, 4 channels at a time, where the `plain` form for groups
// walks single words. Of use on every adapter: the sums are short, so that all that counts is few and wide loads.
import type { Variant } from '../op.js';
import { sizesOf, splitWork, sumPartials, vectorsOf, workgroupsOf, type WorkSplit } from './plain.js';
import { classGrid, outputSize, weightWords, type Conv2dShape } from './shape.js';

/** Neighbouring pixels of a row that one invocation computes. */
const STRIP_PIXELS = 4;
/** Neighbouring taps of a kernel row that one invocation of the weight gradient sums. */
const GRADIENT_TAPS = 3;

const usable = ({ channels, filters, groups }: Conv2dShape): boolean => groups > 1 && groups === channels && groups === filters;

export const depthwiseForward: Variant<Conv2dShape> = {
  name: 'depthwise',
  usable,
  dispatches(shape, device) {
    const [outHeight, outWidth] = outputSize(shape);
    const [channels4] = vectorsOf(shape);
    const rows = shape.batch * outHeight;
    return [
      {
        wgsl: new URL('./forward.depthwise.wgsl', import.meta.url),
        bind: ['x', 'weight', shape.bias ? 'bias' : 'weight', 'y'],
        uniforms: [...sizesOf(shape, [channels4]), rows, Number(shape.bias)],
        workgroups: workgroupsOf(rows * Math.ceil(outWidth / STRIP_PIXELS) * channels4, device),
      },
    ];
  },
};

export const depthwiseInputGradient: Variant<Conv2dShape> = {
  name: 'depthwise',
  usable,
  dispatches(shape, device) {
    const [channels4] = vectorsOf(shape);
    const grid = classGrid(shape);
    const rows = shape.batch * grid[0];
    const [x, y] = workgroupsOf(rows * Math.ceil(grid[1] / STRIP_PIXELS) * channels4, device);
    return [
      {
        wgsl: new URL('./input-gradient.depthwise.wgsl', import.meta.url),
        bind: ['dy', 'weight', 'dx'],
        uniforms: [...sizesOf(shape, [channels4]), ...grid, rows],
        workgroups: [x, y, shape.stride[0] * shape.stride[1]],
      },
    ];
  },
};

/** Invocations of one split. */
const gradientInvocations = (shape: Conv2dShape): number =>
  vectorsOf(shape)[0] * shape.kernel[0] * Math.ceil(shape.kernel[1] / GRADIENT_TAPS);

const gradientSplit = (shape: Conv2dShape): WorkSplit => splitWork(shape.batch * outputSize(shape)[0], gradientInvocations(shape));

export const depthwiseWeightGradient: Variant<Conv2dShape> = {
  name: 'depthwise',
  usable,
  scratchWords: (shape) => {
    const { splits } = gradientSplit(shape);
    return splits === 1 ? 0 : splits * weightWords(shape);
  },
  dispatches(shape, device) {
    const { each, splits } = gradientSplit(shape);
    return [
      {
        wgsl: new URL('./weight-gradient.depthwise.wgsl', import.meta.url),
        bind: ['x', 'dy', splits === 1 ? 'dweight' : 'scratch'],
        uniforms: [...sizesOf(shape, [vectorsOf(shape)[0]]), shape.batch * outputSize(shape)[0], each, splits],
        workgroups: workgroupsOf(splits * gradientInvocations(shape), device),
      },
      ...sumPartials('dweight', weightWords(shape), splits, device),
    ];
  },
};
