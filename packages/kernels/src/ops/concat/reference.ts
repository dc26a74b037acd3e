// The float64 twins of concat: copies.
import { padded, type Tensors } from '../op.js';
import type { ConcatShape } from './index.js';

/** x into its channels of y; the last input also zeroes y's padding. */
export function forwardReference({ rows, channels, offset, total }: ConcatShape, { x, y }: Tensors): void {
  for (let row = 0; row < rows; row++) {
    for (let c = 0; c < channels; c++) y![row * padded(total) + offset + c] = x![row * padded(channels) + c]!;
    if (offset + channels === total) y!.fill(0, row * padded(total) + total, (row + 1) * padded(total));
  }
}

/** dy -> dx */
export function gradientReference({ rows, channels, offset, total }: ConcatShape, { dy, dx }: Tensors): void {
  for (let row = 0; row < rows; row++) {
    for (let c = 0; c < channels; c++) dx![row * padded(channels) + c] = dy![row * padded(total) + offset + c]!;
  }
}
