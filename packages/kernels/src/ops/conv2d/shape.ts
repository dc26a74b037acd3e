// The shape of a convolution: what it means, what is refused, and the sizes that follow from it.
import { padded, ShapeError } from '../op.js';

/** A 2-D cross-correlation as in PyTorch's Conv2d. Channels and filters are the real counts; tensors hold the padded ones. */
export interface Conv2dShape {
  readonly batch: number;
  readonly height: number;
  readonly width: number;
  readonly channels: number;
  readonly filters: number;
  /** Height and width of the window. */
  readonly kernel: readonly [number, number];
  /** Vertical and horizontal step. */
  readonly stride: readonly [number, number];
  /** Rows and columns of zeros around the image: top, left, bottom, right. */
  readonly padding: readonly [number, number, number, number];
  /** Filters of group g see channels of group g only; 1 is the ordinary convolution, `channels` the depthwise one. */
  readonly groups: number;
  readonly bias: boolean;
}

/** Height and width of the output: floor((size + padding - kernel) / stride) + 1; below 1 when the window does not fit. */
export function outputSize({ height, width, kernel, stride, padding }: Conv2dShape): readonly [number, number] {
  const [top, left, bottom, right] = padding;
  return [Math.floor((height + top + bottom - kernel[0]) / stride[0]) + 1, Math.floor((width + left + right - kernel[1]) / stride[1]) + 1];
}

/** Output pixels of the whole batch: N OH OW. */
export function outputPixels(shape: Conv2dShape): number {
  const [height, width] = outputSize(shape);
  return shape.batch * height * width;
}

/** Words of one filter's window at one tap: padded channels, or the bare channels of a group. */
export const tapWords = ({ channels, groups }: Conv2dShape): number => (groups === 1 ? padded(channels) : channels / groups);

/** Words of the weight tensor: [F4][KH][KW][C4], with groups [F4][KH][KW][C / groups]; a multiple of 4 as F4 is. */
export const weightWords = (shape: Conv2dShape): number => padded(shape.filters) * shape.kernel[0] * shape.kernel[1] * tapWords(shape);

export const inputWords = ({ batch, height, width, channels }: Conv2dShape): number => batch * height * width * padded(channels);

export const outputWords = (shape: Conv2dShape): number => outputPixels(shape) * padded(shape.filters);

/** Pixels of dx by class, remainders after division by the stride: the grid of one class in an image. */
export const classGrid = ({ height, width, stride }: Conv2dShape): readonly [number, number] => [
  Math.ceil(height / stride[0]),
  Math.ceil(width / stride[1]),
];

/** 2 operations for each multiply-add of N OH OW F (C / groups) KH KW; taps that fall on padding count. */
export const multiplyAddFlops = (shape: Conv2dShape): number =>
  (2 * outputPixels(shape) * shape.filters * shape.channels * shape.kernel[0] * shape.kernel[1]) / shape.groups;

/** Throws ShapeError when the convolution cannot exist. */
export function checkConv2d(shape: Conv2dShape): void {
  const { channels, filters, kernel, stride, padding, groups } = shape;
  const counts = { batch: shape.batch, height: shape.height, width: shape.width, channels, filters, groups };
  for (const [name, value] of Object.entries(counts)) requireInteger(name, value, 1);
  kernel.forEach((value, i) => requireInteger(`kernel[${i}]`, value, 1));
  stride.forEach((value, i) => requireInteger(`stride[${i}]`, value, 1));
  padding.forEach((value, i) => requireInteger(`padding[${i}]`, value, 0));
  if (channels % groups !== 0 || filters % groups !== 0) {
    throw new ShapeError('conv2d', `${channels} channels and ${filters} filters do not divide into ${groups} groups`);
  }
  const [outHeight, outWidth] = outputSize(shape);
  if (outHeight < 1 || outWidth < 1) {
    throw new ShapeError(
      'conv2d',
      `a ${kernel.join('x')} window does not fit into ${shape.height}x${shape.width} with padding [${padding.join(', ')}]: ` +
        `the output would be ${outHeight}x${outWidth}`,
    );
  }
}

function requireInteger(name: string, value: number, least: number): void {
  if (!Number.isInteger(value) || value < least)
    throw new ShapeError('conv2d', `${name} is ${value}; it must be an integer of at least ${least}`);
}
