// The float64 twins of linear: three matrix products and a column sum, written apart from conv2d's on purpose.
import { padded, type Tensors } from '../op.js';
import type { LinearShape } from './shape.js';

/** y[n, o] = bias[o] + sum over i of x[n, i] weight[o, i]. */
export function linearForward({ batch, inputs, outputs }: LinearShape, { x, weight, bias, y }: Tensors): void {
  for (let n = 0; n < batch; n++) {
    for (let o = 0; o < outputs; o++) {
      let sum = bias?.[o] ?? 0;
      for (let i = 0; i < inputs; i++) sum += x![n * inputs + i]! * weight![o * inputs + i]!;
      y![n * padded(outputs) + o] = sum;
    }
  }
}

/** dx[n, i] = sum over o of dy[n, o] weight[o, i]. */
export function linearInputGradient({ batch, inputs, outputs }: LinearShape, { dy, weight, dx }: Tensors): void {
  for (let n = 0; n < batch; n++) {
    for (let o = 0; o < outputs; o++) {
      const gradient = dy![n * padded(outputs) + o]!;
      for (let i = 0; i < inputs; i++) dx![n * inputs + i]! += gradient * weight![o * inputs + i]!;
    }
  }
}

/** dweight[o, i] = sum over n of dy[n, o] x[n, i]. */
export function linearWeightGradient({ batch, inputs, outputs }: LinearShape, { x, dy, dweight }: Tensors): void {
  for (let n = 0; n < batch; n++) {
    for (let o = 0; o < outputs; o++) {
      const gradient = dy![n * padded(outputs) + o]!;
      for (let i = 0; i < inputs; i++) dweight![o * inputs + i]! += gradient * x![n * inputs + i]!;
    }
  }
}

/** dbias[o] = sum over n of dy[n, o]. */
export function linearBiasGradient({ batch, outputs }: LinearShape, { dy, dbias }: Tensors): void {
  for (let n = 0; n < batch; n++) for (let o = 0; o < outputs; o++) dbias![o]! += dy![n * padded(outputs) + o]!;
}
