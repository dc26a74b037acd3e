// The float64 twins of maxPool, and its shape.
import { padded, type Tensors } from '../op.js';
import { windowOutput, type WindowShape } from '../window.js';

export interface MaxPoolShape extends WindowShape {
  /** Whether the maximum goes through a ReLU; not by default. Before the pool it would give the same. */
  readonly relu?: boolean;
}

/** The index of a window that a ReLU cut off. */
const NO_PIXEL = 0xfffffffe;

/** x -> y, indices */
export function forwardReference(shape: MaxPoolShape, { x, y, indices }: Tensors): void {
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
          if (shape.relu !== true || !(y![o]! <= 0)) continue;
          y![o] = 0;
          indices![o] = NO_PIXEL;
        }
      }
    }
  }
}

/** dy, indices -> dx: scatters each gradient to the pixel that won its window. */
export function gradientReference(shape: MaxPoolShape, { dy, indices, dx }: Tensors): void {
  const { batch, height, width, kernel, stride, padding } = shape;
  const [outHeight, outWidth] = windowOutput(shape);
  const depth = padded(shape.channels);
  dx!.fill(0);
  let o = 0;
  for (let n = 0; n < batch; n++) {
    for (let oy = 0; oy < outHeight; oy++) {
      for (let ox = 0; ox < outWidth; ox++) {
        for (let c = 0; c < depth; c++, o++) {
          if (indices![o] === NO_PIXEL) continue;
          const iy = oy * stride[0] - padding[0] + Math.floor(indices![o]! / kernel[1]);
          const ix = ox * stride[1] - padding[1] + (indices![o]! % kernel[1]);
          dx![((n * height + iy) * width + ix) * depth + c]! += dy![o]!;
        }
      }
    }
  }
}
