// The shape of a linear layer, and the convolution it equals.
import { ShapeError } from '../op.js';
import type { Conv2dShape } from '../conv2d/index.js';

/** y [batch, O4] = x [batch, inputs] weight [O4, inputs]^T + bias [O4], with O4 = outputs rounded up to a multiple of 4. */
export interface LinearShape {
  readonly batch: number;
  /** A multiple of 4: padded words of the tensor before it. */
  readonly inputs: number;
  /** The real count; tensors hold the padded one. */
  readonly outputs: number;
  readonly bias: boolean;
}

/** A linear layer is a 1x1 convolution over images of one pixel. */
export const asConv2d = ({ batch, inputs, outputs, bias }: LinearShape): Conv2dShape => ({
  batch,
  height: 1,
  width: 1,
  channels: inputs,
  filters: outputs,
  kernel: [1, 1],
  stride: [1, 1],
  padding: [0, 0, 0, 0],
  groups: 1,
  bias,
});

/** Throws ShapeError when the layer cannot exist. */
export function checkLinear(shape: LinearShape): void {
  const counts = { batch: shape.batch, inputs: shape.inputs, outputs: shape.outputs };
  for (const [name, value] of Object.entries(counts)) {
    if (!Number.isInteger(value) || value < 1) throw new ShapeError('linear', `${name} is ${value}; it must be a positive integer`);
  }
  if (shape.inputs % 4 !== 0) throw new ShapeError('linear', `inputs is ${shape.inputs}; it must be a multiple of 4`);
}
