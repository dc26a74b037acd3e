// The float64 twins of sigmoid.
import { padded, type Tensors } from '../op.js';
import type { SigmoidShape } from './index.js';

/** x -> y; padded channels are 0. */
export function forwardReference({ rows, channels, kind, alpha = 0, beta = 0 }: SigmoidShape, { x, y }: Tensors): void {
  for (let row = 0; row < rows; row++) {
    for (let c = 0; c < channels; c++) {
      const i = row * padded(channels) + c;
      y![i] = kind === 'sigmoid' ? 1 / (1 + Math.exp(-x![i]!)) : Math.min(Math.max(Math.fround(alpha) * x![i]! + Math.fround(beta), 0), 1);
    }
  }
}

/** y, dy -> dx: y (1 - y), or the slope where y is strictly between 0 and 1. */
export function gradientReference({ kind, alpha = 0 }: SigmoidShape, { y, dy, dx }: Tensors): void {
  for (let i = 0; i < dx!.length; i++) {
    const value = y![i]!;
    const slope = kind === 'sigmoid' ? value * (1 - value) : value > 0 && value < 1 ? Math.fround(alpha) : 0;
    dx![i] = dy![i]! * slope;
  }
}
