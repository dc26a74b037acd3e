// The float64 twins of maxPool.
import { padded, type Tensors } from '../op.js';
import { windowOutput, type WindowShape } from '../window.js';

/** x -> y, indices */
export function forwardReference(shape: WindowShape, { x, y, indices }: Tensors): void {
  const { batch, height, width, kernel, stride, padding } = shape;
  const [outHeight, outWidth] = windowOutput(shape);
  const depth = padded(shape.channels);
  let o = 0;
  for (let n = 0; n < batch; n++) {
    for (let oy = 0; oy < outHeight; oy++) {
      for (let ox = 0; ox < outWidth; ox++) {
        for (let c = 0; c < depth; c++, o++) {
          let best = -1;
          for (let k = 0; k < kernel[0] * kernel[1]; k++) {
            const iy = oy * stride[0] - padding[0] + Math.floor(k / kernel[1]);
            const ix = ox * stride[1] - padding[1] + (k % kernel[1]);
            if (iy < 0 || iy >= height || ix < 0 || ix >= width) continue;
            const value = x![((n * height + iy) * width + ix) * depth + c]!;
            if (best >= 0 && !(value > y![o]!) && !Number.isNaN(value)) continue;
            best = k;
            y![o] = value;
          }
          indices![o] = best;
        }
      }
    }
  }
}

/** dy, indices -> dx: scatters each gradient to the pixel that won its window. */
export function gradientReference(shape: WindowShape, { dy, indices, dx }: Tensors): void {
  const { batch, height, width, kernel, stride, padding } = shape;
  const [outHeight, outWidth] = windowOutput(shape);
  const depth = padded(shape.channels);
  dx!.fill(0);
  let o = 0;
  for (let n = 0; n < batch; n++) {
    for (let oy = 0; oy < outHeight; oy++) {
      for (let ox = 0; ox < outWidth; ox++) {
        for (let c = 0; c < depth; c++, o++) {
          const iy = oy * stride[0] - padding[0] + Math.floor(indices![o]! / kernel[1]);
          const ix = ox * stride[1] - padding[1] + (indices![o]! % kernel[1]);
          dx![((n * height + iy) * width + ix) * depth + c]! += dy![o]!;
        }
      }
    }
  }
}
