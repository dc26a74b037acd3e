// Shapes of batchNormPool, and those of the ops that it is made of.
import type { BatchNormShape } from '../batchNorm/index.js';
import type { WindowShape } from '../window.js';

export interface BatchNormPoolShape {
  readonly batch: number;
  readonly height: number;
  readonly width: number;
  readonly channels: number;
  /** As in batchNorm. */
  readonly epsilon: number;
  readonly momentum: number;
}

export const rowsOf = ({ batch, height, width }: BatchNormPoolShape): number => batch * height * width;
export const outputsOf = ({ batch, height, width }: BatchNormPoolShape): number => batch * Math.floor(height / 2) * Math.floor(width / 2);
export const cellsOf = ({ batch, height, width }: BatchNormPoolShape): number => batch * Math.ceil(height / 2) * Math.ceil(width / 2);

/** The batch-norm and ReLU alone. */
export const normShape = (shape: BatchNormPoolShape): BatchNormShape => ({
  rows: rowsOf(shape),
  channels: shape.channels,
  epsilon: shape.epsilon,
  momentum: shape.momentum,
  relu: true,
});

/** The pool alone. */
export const poolShape = ({ batch, height, width, channels }: BatchNormPoolShape): WindowShape => ({
  batch,
  height,
  width,
  channels,
  kernel: [2, 2],
  stride: [2, 2],
  padding: [0, 0, 0, 0],
});
