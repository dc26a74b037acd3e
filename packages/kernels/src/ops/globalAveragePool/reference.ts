// The float64 twins of globalAveragePool.
import { padded, type Tensors } from '../op.js';
import type { GlobalAveragePoolShape } from './index.js';

/** x -> y */
export function forwardReference({ batch, height, width, channels }: GlobalAveragePoolShape, { x, y }: Tensors): void {
  const depth = padded(channels);
  const pixels = height * width;
  for (let n = 0; n < batch; n++) {
    for (let c = 0; c < depth; c++) {
      let sum = 0;
      for (let p = 0; p < pixels; p++) sum += x![(n * pixels + p) * depth + c]!;
      y![n * depth + c] = sum / pixels;
    }
  }
}

/** dy -> dx */
export function gradientReference({ batch, height, width, channels }: GlobalAveragePoolShape, { dy, dx }: Tensors): void {
  const depth = padded(channels);
  const pixels = height * width;
  for (let i = 0; i < batch * pixels * depth; i++) {
    const n = Math.floor(i / (pixels * depth));
    dx![i] = dy![n * depth + (i % depth)]! / pixels;
  }
}
