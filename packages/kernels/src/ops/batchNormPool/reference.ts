// The float64 twins of batchNormPool: those of batchNorm, and the pool.
import * as norm from '../batchNorm/reference.js';
import { padded, type Tensors } from '../op.js';
import { normShape, type BatchNormPoolShape } from './shape.js';

/** Calls `visit` with every output's index and its four pixels' in x, in scan order. */
function forWindows(shape: BatchNormPoolShape, visit: (output: number, pixels: readonly number[]) => void): void {
  const { batch, height, width, window = 2 } = shape;
  const depth = padded(shape.channels);
  let output = 0;
  for (let n = 0; n < batch; n++) {
    for (let y = 0; y + window <= height; y += 2) {
      for (let x = 0; x + window <= width; x += 2) {
        const corner = ((n * height + y) * width + x) * depth;
        for (let c = 0; c < depth; c++, output++) {
          const steps = window === 1 ? [0] : [0, depth, width * depth, (width + 1) * depth];
          visit(
            output,
            steps.map((step) => corner + step + c),
          );
        }
      }
    }
  }
}

/** x, gamma, beta, runningMean, runningVariance -> y, winners, mean, variance, and the running statistics in place. */
export function forwardReference(shape: BatchNormPoolShape, t: Tensors): void {
  const full = { ...t, y: new Float64Array(t['x']!.length) };
  norm.forwardReference({ ...normShape(shape), relu: false }, full);
  forWindows(shape, (output, pixels) => {
    const winner = pixels.reduce((best, pixel) => (full.y[pixel]! > full.y[best]! ? pixel : best));
    t['winners']![output] = t['x']![winner]!;
    t['y']![output] = shape.relu === true ? Math.max(full.y[winner]!, 0) : full.y[winner]!;
  });
}

/** x, gamma, beta, runningMean, runningVariance -> y */
export function evaluateReference(shape: BatchNormPoolShape, t: Tensors): void {
  const full = { ...t, y: new Float64Array(t['x']!.length) };
  norm.evaluateReference(normShape(shape), full);
  forWindows(shape, (output, pixels) => (t['y']![output] = Math.max(...pixels.map((pixel) => full.y[pixel]!))));
}

/** x, dy, winners, gamma, beta, mean, variance -> dx, dgamma, dbeta */
export function gradientReference(shape: BatchNormPoolShape, t: Tensors): void {
  const full = new Float64Array(t['x']!.length);
  forWindows(shape, (output, pixels) => {
    const winner = pixels.find((pixel) => t['x']![pixel] === t['winners']![output]);
    full[winner!] = t['dy']![output]!;
  });
  norm.gradientReference(normShape(shape), { ...t, dy: full });
}
