// The float64 twins of batchNorm: two passes over the data for the variance.
import { padded, type Tensors } from '../op.js';
import type { BatchNormShape } from './index.js';

/** Of `value`, the normalised x at index i: the residual added, the ReLU applied. */
function finish({ relu, residual }: BatchNormShape, t: Tensors, i: number, value: number): number {
  const sum = residual === true ? value + t['residual']![i]! : value;
  return relu === true && sum <= 0 ? 0 : sum;
}

/** x, gamma, beta, runningMean, runningVariance, residual -> y, mean, variance, and the running statistics in place. */
export function forwardReference(shape: BatchNormShape, t: Tensors): void {
  const { rows, epsilon, momentum } = shape;
  const width = padded(shape.channels);
  const x = t['x']!;
  for (let c = 0; c < width; c++) {
    let mean = 0;
    for (let r = 0; r < rows; r++) mean += x[r * width + c]! / rows;
    let squares = 0;
    for (let r = 0; r < rows; r++) squares += (x[r * width + c]! - mean) ** 2;
    const inverse = 1 / Math.sqrt(squares / rows + epsilon);
    t['mean']![c] = mean;
    t['variance']![c] = squares / rows;
    t['runningMean']![c] = (1 - momentum) * t['runningMean']![c]! + momentum * mean;
    t['runningVariance']![c] = (1 - momentum) * t['runningVariance']![c]! + momentum * (squares / Math.max(rows - 1, 1));
    for (let i = c; i < rows * width; i += width) {
      t['y']![i] = finish(shape, t, i, (x[i]! - mean) * inverse * t['gamma']![c]! + t['beta']![c]!);
    }
  }
}

/** x, gamma, beta, runningMean, runningVariance, residual -> y */
export function evaluateReference(shape: BatchNormShape, t: Tensors): void {
  const width = padded(shape.channels);
  for (let i = 0; i < shape.rows * width; i++) {
    const c = i % width;
    const normalised = (t['x']![i]! - t['runningMean']![c]!) / Math.sqrt(t['runningVariance']![c]! + shape.epsilon);
    t['y']![i] = finish(shape, t, i, normalised * t['gamma']![c]! + t['beta']![c]!);
  }
}

/** x, dy, dyOther, y, gamma, beta, mean, variance -> dx, dresidual, dgamma, dbeta */
export function gradientReference({ rows, channels, epsilon, relu, residual, twoReaders }: BatchNormShape, t: Tensors): void {
  const width = padded(channels);
  const whole = (i: number): number => t['dy']![i]! + (twoReaders === true ? t['dyOther']![i]! : 0);
  for (let c = 0; c < width; c++) {
    const inverse = 1 / Math.sqrt(t['variance']![c]! + epsilon);
    const normalised = (i: number): number => (t['x']![i]! - t['mean']![c]!) * inverse;
    const active = (i: number): boolean => (residual === true ? t['y']![i]! : normalised(i) * t['gamma']![c]! + t['beta']![c]!) > 0;
    const masked = (i: number): number => (relu !== true || active(i) ? whole(i) : 0);
    let sum = 0;
    let dot = 0;
    for (let i = c; i < rows * width; i += width) {
      sum += masked(i);
      dot += masked(i) * normalised(i);
    }
    t['dbeta']![c] = sum;
    t['dgamma']![c] = dot;
    for (let i = c; i < rows * width; i += width) {
      t['dx']![i] = t['gamma']![c]! * inverse * (masked(i) - sum / rows - (normalised(i) * dot) / rows);
      if (residual === true && relu === true) t['dresidual']![i] = masked(i);
    }
  }
}
