// The geometry of pooling windows, and the checks on it.
import { requirePositiveIntegers } from './checks.js';
import { ShapeError } from './op.js';

export interface WindowShape {
  readonly batch: number;
  readonly height: number;
  readonly width: number;
  readonly channels: number;
  /** [height, width], like the stride. */
  readonly kernel: readonly [number, number];
  readonly stride: readonly [number, number];
  /** [top, left, bottom, right], each smaller than the kernel: no window lies outside the image. */
  readonly padding: readonly [number, number, number, number];
}

/** Output [height, width]: floor((size + padding - kernel) / stride) + 1. */
export function windowOutput({ height, width, kernel, stride, padding }: WindowShape): readonly [number, number] {
  const [top, left, bottom, right] = padding;
  return [Math.floor((height + top + bottom - kernel[0]) / stride[0]) + 1, Math.floor((width + left + right - kernel[1]) / stride[1]) + 1];
}

/** Throws ShapeError unless every output value has a window that meets the image. */
export function checkWindow(op: string, shape: WindowShape): void {
  const { batch, height, width, channels, kernel, stride, padding } = shape;
  requirePositiveIntegers(op, { batch, height, width, channels });
  requirePositiveIntegers(op, {
    'kernel height': kernel[0],
    'kernel width': kernel[1],
    'stride height': stride[0],
    'stride width': stride[1],
  });
  padding.forEach((value, side) => {
    const extent = kernel[side % 2]!;
    if (!Number.isInteger(value) || value < 0 || value >= extent) {
      throw new ShapeError(op, `padding [${padding.join(', ')}] must hold integers from 0 to ${extent - 1}: less than the kernel`);
    }
  });
  const [outHeight, outWidth] = windowOutput(shape);
  if (outHeight < 1 || outWidth < 1) {
    throw new ShapeError(op, `a ${kernel.join('x')} kernel does not fit into ${height}x${width} with padding [${padding.join(', ')}]`);
  }
}

/** Windows an invocation walks along a row: they share the divisions that find its place. */
export const STRIP = 4;

/** The kernels' common uniforms, in order: batch, height, width, vectors, outHeight, outWidth, kernel, stride, padding top and left. */
export function windowUniforms(shape: WindowShape): number[] {
  const { batch, height, width, channels, kernel, stride, padding } = shape;
  return [batch, height, width, Math.ceil(channels / 4), ...windowOutput(shape), ...kernel, ...stride, padding[0], padding[1]];
}
