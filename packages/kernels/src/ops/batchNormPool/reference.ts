// The float64 twins of batchNormPool: those of batchNorm and maxPool in turn.
import * as norm from '../batchNorm/reference.js';
import * as pool from '../maxPool/reference.js';
import type { Tensors } from '../op.js';
import { normShape, poolShape, type BatchNormPoolShape } from './shape.js';

/** Which pixel won, by the byte: four channels to a word, 4 where the ReLU cut it off. */
function pack(y: Float64Array, winners: Float64Array, indices: Float64Array): void {
  for (let i = 0; i < indices.length; i++) {
    let word = 0;
    for (let b = 3; b >= 0; b--) word = word * 256 + (y[4 * i + b]! > 0 ? winners[4 * i + b]! : 4);
    indices[i] = word;
  }
}

/** x, gamma, beta, runningMean, runningVariance -> y, indices, mean, variance, and the running statistics in place. */
export function forwardReference(shape: BatchNormPoolShape, t: Tensors): void {
  const full = { ...t, y: new Float64Array(t['x']!.length) };
  norm.forwardReference(normShape(shape), full);
  const winners = new Float64Array(t['y']!.length);
  pool.forwardReference(poolShape(shape), { x: full.y, y: t['y']!, indices: winners });
  pack(t['y']!, winners, t['indices']!);
}

/** x, gamma, beta, runningMean, runningVariance -> y */
export function evaluateReference(shape: BatchNormPoolShape, t: Tensors): void {
  const full = { ...t, y: new Float64Array(t['x']!.length) };
  norm.evaluateReference(normShape(shape), full);
  pool.forwardReference(poolShape(shape), { x: full.y, y: t['y']!, indices: new Float64Array(t['y']!.length) });
}

/** x, dy, indices, gamma, beta, mean, variance -> dx, dgamma, dbeta */
export function gradientReference(shape: BatchNormPoolShape, t: Tensors): void {
  const byte = (i: number): number => Math.floor(t['indices']![Math.floor(i / 4)]! / 256 ** (i % 4)) % 256;
  const winners = t['dy']!.map((_, i) => byte(i) % 4);
  const passed = t['dy']!.map((d, i) => (byte(i) === 4 ? 0 : d));
  const full = new Float64Array(t['x']!.length);
  pool.gradientReference(poolShape(shape), { dy: passed, indices: winners, dx: full });
  norm.gradientReference({ ...normShape(shape), relu: false }, { ...t, dy: full });
}
