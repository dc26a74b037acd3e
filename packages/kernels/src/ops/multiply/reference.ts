// The float64 twins of multiply.
import { padded, type Tensors } from '../op.js';
import type { MultiplyShape } from './index.js';

/** Index in b of element i of a. */
function gateIndex({ positions, channels, broadcast }: MultiplyShape, i: number): number {
  const stride = padded(channels);
  return broadcast ? Math.floor(i / (positions * stride)) * stride + (i % stride) : i;
}

/** a, b -> y */
export function forwardReference(shape: MultiplyShape, { a, b, y }: Tensors): void {
  for (let i = 0; i < y!.length; i++) y![i] = a![i]! * b![gateIndex(shape, i)]!;
}

/** a, b, dy -> da, db */
export function gradientReference(shape: MultiplyShape, { a, b, dy, da, db }: Tensors): void {
  db!.fill(0);
  for (let i = 0; i < dy!.length; i++) {
    const at = gateIndex(shape, i);
    da![i] = dy![i]! * b![at]!;
    db![at]! += dy![i]! * a![i]!;
  }
}
