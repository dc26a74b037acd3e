// The float64 twins of padChannels: the channels that both sides have, zeros behind them.
import { padded, type Tensors } from '../op.js';
import type { PadChannelsShape } from './index.js';

function copy(rows: number, source: ArrayLike<number>, from: number, result: { [index: number]: number }, to: number): void {
  for (let row = 0; row < rows; row++) {
    for (let c = 0; c < padded(to); c++) result[row * padded(to) + c] = c < Math.min(from, to) ? source[row * padded(from) + c]! : 0;
  }
}

/** x -> y */
export function forwardReference({ rows, inputs, outputs }: PadChannelsShape, { x, y }: Tensors): void {
  copy(rows, x!, inputs, y!, outputs);
}

/** dy -> dx */
export function gradientReference({ rows, inputs, outputs }: PadChannelsShape, { dy, dx }: Tensors): void {
  copy(rows, dy!, outputs, dx!, inputs);
}
