// Geometry of a window that slides over a map: output sizes of convolution and pooling, and how to reach a wanted size.
import type { Shape } from '../spec.js';
import { describeShape } from '../shape.js';
import type { Pair, Sides } from './attributes.js';

export interface Window {
  readonly kernel: Pair;
  readonly stride: Pair;
  readonly padding: Sides;
}

export type MapShape = Extract<Shape, { kind: 'map' }>;

/** The only input as a map; throws when it is a vector. */
export function mapInput(inputs: readonly Shape[]): MapShape {
  const [shape] = inputs;
  if (shape?.kind !== 'map') {
    throw new Error(`got ${shape === undefined ? 'no input' : describeShape(shape)}, needs a map (channels x height x width)`);
  }
  return shape;
}

/** floor((size + padding - kernel) / stride) + 1, PyTorch's floor mode, for height and width. */
export function slide(window: Window, input: MapShape): { height: number; width: number } {
  const [top, left, bottom, right] = window.padding;
  const paddedHeight = input.height + top + bottom;
  const paddedWidth = input.width + left + right;
  const [kernelHeight, kernelWidth] = window.kernel;
  if (kernelHeight > paddedHeight || kernelWidth > paddedWidth) {
    throw new Error(
      `kernel ${kernelHeight}x${kernelWidth} does not fit: got ${describeShape(input)}, ${paddedHeight}x${paddedWidth} with padding; needs at least the kernel's size`,
    );
  }
  return {
    height: Math.floor((paddedHeight - kernelHeight) / window.stride[0]) + 1,
    width: Math.floor((paddedWidth - kernelWidth) / window.stride[1]) + 1,
  };
}

/** Pooling only: a window that lies wholly in the padding has no maximum and no mean. */
export function checkPoolPadding({ kernel: [kernelHeight, kernelWidth], padding }: Window): void {
  const [top, left, bottom, right] = padding;
  if (Math.max(top, bottom) >= kernelHeight || Math.max(left, right) >= kernelWidth) {
    throw new Error(`padding [${padding.join(', ')}] with kernel ${kernelHeight}x${kernelWidth}: needs each side smaller than the kernel`);
  }
}

/**
 * Stride and total padding of one axis with which `size` gives `target`: the stride as near as possible to the present
 * one, then the padding as near as possible to the present one.
 * (target - 1) * stride <= size + padding - kernel < target * stride.
 */
function fitAxis(size: number, target: number, kernel: number, stride: number, padding: number): { stride: number; padding: number } {
  const slack = size - kernel;
  const smallest = Math.max(1, Math.floor(slack / target) + 1);
  // Above this stride the windows could only be spread by padding more than the kernel's own reach.
  const largest = target === 1 ? Infinity : Math.max(smallest, Math.floor((slack + 2 * (kernel - 1)) / (target - 1)));
  const fitted = Math.min(Math.max(stride, smallest), largest);
  const least = Math.max(0, (target - 1) * fitted - slack);
  if (least > Math.max(size, 2 * kernel)) {
    throw new Error(`got an axis of ${size}, needs ${target}: a kernel of ${kernel} would slide over more padding than input`);
  }
  const most = target * fitted - slack - 1;
  return { stride: fitted, padding: Math.min(Math.max(padding, least), most) };
}

/** The window with stride and padding changed, where needed, so that `input` gives a map of `size`. */
export function fitWindow<W extends Window>(window: W, input: Shape, size: { readonly height: number; readonly width: number }): W {
  const { height, width } = mapInput([input]);
  const [top, left, bottom, right] = window.padding;
  const vertical = fitAxis(height, size.height, window.kernel[0], window.stride[0], top + bottom);
  const horizontal = fitAxis(width, size.width, window.kernel[1], window.stride[1], left + right);
  const [newTop, newBottom] = vertical.padding === top + bottom ? [top, bottom] : split(vertical.padding);
  const [newLeft, newRight] = horizontal.padding === left + right ? [left, right] : split(horizontal.padding);
  return {
    ...window,
    stride: [vertical.stride, horizontal.stride],
    padding: [newTop, newLeft, newBottom, newRight],
  };
}

function split(total: number): [before: number, after: number] {
  return [Math.floor(total / 2), Math.ceil(total / 2)];
}
