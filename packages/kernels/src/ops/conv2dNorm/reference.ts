// The float64 twin of conv2dNorm: those of conv2d, batchNorm and maxPool.
import * as norm from '../batchNorm/reference.js';
import { conv2dForward } from '../conv2d/reference.js';
import { outputPixels, outputSize, outputWords } from '../conv2d/shape.js';
import * as pool from '../maxPool/reference.js';
import type { Tensors } from '../op.js';
import type { Conv2dNormShape } from './index.js';

/** x, weight, bias, gamma, beta, runningMean, runningVariance -> y */
export function evaluateReference(shape: Conv2dNormShape, t: Tensors): void {
  const sums = new Float64Array(outputWords(shape));
  conv2dForward(shape, { ...t, y: sums });
  const map = new Float64Array(sums.length);
  const { batch, filters, norm: epsilon, relu } = shape;
  if (epsilon === undefined) map.set(relu ? sums.map((value) => (value <= 0 ? 0 : value)) : sums);
  else {
    const rows = { rows: outputPixels(shape), channels: filters, epsilon, momentum: 0, relu };
    norm.evaluateReference(rows, { ...t, x: sums, y: map });
  }
  if (!shape.pool) {
    t['y']!.set(map);
    return;
  }
  const [height, width] = outputSize(shape);
  const windows = { kernel: [2, 2], stride: [2, 2], padding: [0, 0, 0, 0] } as const;
  const indices = new Float64Array(t['y']!.length);
  pool.forwardReference({ batch, height, width, channels: filters, ...windows }, { x: map, y: t['y']!, indices });
}
