// The float64 twins of averagePool. Both walk the same windows: forward gathers each, gradient scatters it.
import { padded, type Tensors } from '../op.js';
import { windowOutput } from '../window.js';
import type { AveragePoolShape } from './index.js';

/** Calls `visit` for every output value with its window's positions in x and what the window is divided by. */
function eachWindow(shape: AveragePoolShape, visit: (output: number, inputs: readonly number[], count: number) => void): void {
  const { batch, height, width, kernel, stride, padding, countIncludePad } = shape;
  const [outHeight, outWidth] = windowOutput(shape);
  const depth = padded(shape.channels);
  let o = 0;
  for (let n = 0; n < batch; n++) {
    for (let oy = 0; oy < outHeight; oy++) {
      for (let ox = 0; ox < outWidth; ox++) {
        for (let c = 0; c < depth; c++, o++) {
          const inputs: number[] = [];
          for (let k = 0; k < kernel[0] * kernel[1]; k++) {
            const iy = oy * stride[0] - padding[0] + Math.floor(k / kernel[1]);
            const ix = ox * stride[1] - padding[1] + (k % kernel[1]);
            if (iy >= 0 && iy < height && ix >= 0 && ix < width) inputs.push(((n * height + iy) * width + ix) * depth + c);
          }
          visit(o, inputs, countIncludePad ? kernel[0] * kernel[1] : inputs.length);
        }
      }
    }
  }
}

/** x -> y */
export function forwardReference(shape: AveragePoolShape, { x, y }: Tensors): void {
  eachWindow(shape, (output, inputs, count) => {
    y![output] = inputs.reduce((sum, i) => sum + x![i]!, 0) / count;
  });
}

/** dy -> dx */
export function gradientReference(shape: AveragePoolShape, { dy, dx }: Tensors): void {
  dx!.fill(0);
  eachWindow(shape, (output, inputs, count) => {
    for (const i of inputs) dx![i]! += dy![output]! / count;
  });
}
