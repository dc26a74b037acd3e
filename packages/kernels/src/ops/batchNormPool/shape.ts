// Shapes of batchNormPool, and those of the ops that it is made of.
import type { BatchNormShape } from '../batchNorm/index.js';
import { windowOutput, type WindowShape } from '../window.js';

export interface BatchNormPoolShape {
  readonly batch: number;
  readonly height: number;
  readonly width: number;
  readonly channels: number;
  /** As in batchNorm. */
  readonly epsilon: number;
  readonly momentum: number;
  /** Whether a ReLU lies between (behind the pool it would give the same); not by default. */
  readonly relu?: boolean;
  /** Side of the windows, whose stride is 2: 2 by default; with 1 the pool keeps every second pixel. */
  readonly window?: 1 | 2;
}

export const rowsOf = ({ batch, height, width }: BatchNormPoolShape): number => batch * height * width;
export const outputsOf = (shape: BatchNormPoolShape): number => {
  const [outHeight, outWidth] = windowOutput(poolShape(shape));
  return shape.batch * outHeight * outWidth;
};
export const cellsOf = ({ batch, height, width }: BatchNormPoolShape): number => batch * Math.ceil(height / 2) * Math.ceil(width / 2);

/** The batch-norm and the ReLU alone. */
export const normShape = (shape: BatchNormPoolShape): BatchNormShape => ({
  rows: rowsOf(shape),
  channels: shape.channels,
  epsilon: shape.epsilon,
  momentum: shape.momentum,
  relu: shape.relu === true,
});

/** The pool alone. */
export const poolShape = ({ batch, height, width, channels, window = 2 }: BatchNormPoolShape): WindowShape => ({
  batch,
  height,
  width,
  channels,
  kernel: [window, window],
  stride: [2, 2],
  padding: [0, 0, 0, 0],
});
