// The float64 twins of batchNorm: two passes over the data for the variance.
import { padded, type Tensors } from '../op.js';
import type { BatchNormShape } from './index.js';

/** x, gamma, beta, runningMean, runningVariance -> y, mean, inverseDeviation, and the running statistics in place. */
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
    t['inverseDeviation']![c] = inverse;
    t['runningMean']![c] = (1 - momentum) * t['runningMean']![c]! + momentum * mean;
    t['runningVariance']![c] = (1 - momentum) * t['runningVariance']![c]! + momentum * (squares / Math.max(rows - 1, 1));
    for (let r = 0; r < rows; r++) {
      t['y']![r * width + c] = (x[r * width + c]! - mean) * inverse * t['gamma']![c]! + t['beta']![c]!;
    }
  }
}

/** x, gamma, beta, runningMean, runningVariance -> y */
export function evaluateReference({ rows, channels, epsilon }: BatchNormShape, t: Tensors): void {
  const width = padded(channels);
  for (let i = 0; i < rows * width; i++) {
    const c = i % width;
    const normalised = (t['x']![i]! - t['runningMean']![c]!) / Math.sqrt(t['runningVariance']![c]! + epsilon);
    t['y']![i] = normalised * t['gamma']![c]! + t['beta']![c]!;
  }
}

/** x, dy, gamma, mean, inverseDeviation -> dx, dgamma, dbeta */
export function gradientReference({ rows, channels }: BatchNormShape, t: Tensors): void {
  const width = padded(channels);
  for (let c = 0; c < width; c++) {
    const inverse = t['inverseDeviation']![c]!;
    const normalised = (i: number): number => (t['x']![i]! - t['mean']![c]!) * inverse;
    let sum = 0;
    let dot = 0;
    for (let i = c; i < rows * width; i += width) {
      sum += t['dy']![i]!;
      dot += t['dy']![i]! * normalised(i);
    }
    t['dbeta']![c] = sum;
    t['dgamma']![c] = dot;
    for (let i = c; i < rows * width; i += width) {
      t['dx']![i] = t['gamma']![c]! * inverse * (t['dy']![i]! - sum / rows - (normalised(i) * dot) / rows);
    }
  }
}
