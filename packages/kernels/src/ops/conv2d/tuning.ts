// The classes of convolutions that a tuner tells apart, and the shapes that it times for them.
import type { Tuning } from '../op.js';
import { outputPixels, type Conv2dShape } from './shape.js';

const CHANNEL_BOUNDS = [1, 4, 16, 32, 64, 256, 1024];
const PIXEL_BOUNDS = [64, 1024, 4096, 16_384, 65_536];

/** The least bound that holds `value`, or `+` beyond the last. */
export const bucket = (value: number, bounds: readonly number[]): string => String(bounds.find((bound) => value <= bound) ?? '+');

const windowKind = ({ kernel, channels, filters, groups }: Conv2dShape): string => {
  const size = kernel.join('x');
  if (groups === 1) return size;
  return groups === channels && groups === filters ? `depthwise ${size}` : `grouped ${size}`;
};

/** Window, strides, and the bounds that channels, filters and output pixels of the batch stay within. */
function conv2dClass(shape: Conv2dShape): string {
  const { stride, channels, filters } = shape;
  const step = stride[0] === stride[1] ? `s${stride[0]}` : `s${stride.join('x')}`;
  const counts = `c${bucket(channels, CHANNEL_BOUNDS)} f${bucket(filters, CHANNEL_BOUNDS)}`;
  return `${windowKind(shape)} ${step} ${counts} p${bucket(outputPixels(shape), PIXEL_BOUNDS)}`;
}

/** Square images and windows with the border that keeps their size. */
function square(batch: number, channels: number, size: number, filters: number, kernel = 3, stride = 1, groups = 1): Conv2dShape {
  const border = (kernel - 1) / 2;
  return {
    batch,
    height: size,
    width: size,
    channels,
    filters,
    kernel: [kernel, kernel],
    stride: [stride, stride],
    padding: [border, border, border, border],
    groups,
    bias: false,
  };
}

export const conv2dTuning: Tuning<Conv2dShape> = {
  passes: ['forward', 'input-gradient', 'weight-gradient'],
  classOf: conv2dClass,
  shapes: [
    // Small networks on 28x28 and 32x32 images, batch 64, first what a search for small students meets.
    square(64, 16, 28, 32),
    square(64, 32, 14, 64),
    square(64, 64, 7, 64),
    square(64, 1, 28, 16),
    square(64, 16, 32, 16),
    square(64, 16, 14, 16),
    square(64, 16, 14, 32),
    square(64, 3, 32, 64),
    square(64, 64, 16, 64),
    square(64, 64, 16, 128, 3, 2),
    square(64, 16, 32, 32, 3, 2),
    square(64, 64, 16, 128, 1, 2),
    square(64, 64, 16, 64, 1),
    square(64, 128, 8, 128),
    square(64, 128, 8, 128, 1),
    square(64, 16, 14, 16, 5),
    square(64, 1, 28, 16, 5),
    square(64, 64, 16, 64, 3, 1, 64),
    // ResNet-18 at batch 256 and the like: too long for a software adapter.
    square(256, 64, 32, 64),
    square(256, 128, 16, 128),
    square(256, 512, 4, 512),
    square(256, 256, 8, 512, 3, 2),
  ],
};
