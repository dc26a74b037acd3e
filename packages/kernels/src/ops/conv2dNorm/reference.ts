// The float64 twin of conv2dNorm: conv2d's, batchNorm's, and the pool.
import * as norm from '../batchNorm/reference.js';
import { conv2dForward } from '../conv2d/reference.js';
import { outputPixels, outputSize, outputWords } from '../conv2d/shape.js';
import { padded, type Tensors } from '../op.js';
import type { Conv2dNormShape } from './index.js';

/** x, weight, bias, gamma, beta, runningMean, runningVariance -> y */
export function evaluateReference(shape: Conv2dNormShape, t: Tensors): void {
  const sums = new Float64Array(outputWords(shape));
  conv2dForward(shape, { ...t, y: sums });
  const map = new Float64Array(sums.length);
  const { filters, norm: epsilon, relu } = shape;
  if (epsilon === undefined) map.set(relu ? sums.map((value) => (value <= 0 ? 0 : value)) : sums);
  else {
    const rows = { rows: outputPixels(shape), channels: filters, epsilon, momentum: 0, relu };
    norm.evaluateReference(rows, { ...t, x: sums, y: map });
  }
  if (!shape.pool) {
    t['y']!.set(map);
    return;
  }
  const depth = padded(filters);
  const [height, width] = outputSize(shape);
  let output = 0;
  for (let n = 0; n < shape.batch; n++) {
    for (let row = 0; row + 2 <= height; row += 2) {
      for (let column = 0; column + 2 <= width; column += 2) {
        const corner = ((n * height + row) * width + column) * depth;
        const square = [corner, corner + depth, corner + width * depth, corner + (width + 1) * depth];
        for (let f = 0; f < depth; f++) t['y']![output++] = Math.max(...square.map((pixel) => map[pixel + f]!));
      }
    }
  }
}
