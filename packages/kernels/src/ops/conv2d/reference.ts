// The float64 twins of conv2d: one walk over all multiply-adds, used four ways.
import { padded, type Tensors } from '../op.js';
import { outputPixels, outputSize, tapWords, type Conv2dShape } from './shape.js';

/** Calls visit(word of x, word of weight, word of y) for every multiply-add that does not fall on padding. */
function eachProduct(shape: Conv2dShape, visit: (x: number, weight: number, y: number) => void): void {
  const { batch, height, width, channels, filters, kernel, stride, padding, groups } = shape;
  const [outHeight, outWidth] = outputSize(shape);
  const groupChannels = channels / groups;
  const groupFilters = filters / groups;
  const words = tapWords(shape);
  for (let n = 0; n < batch; n++) {
    for (let oy = 0; oy < outHeight; oy++) {
      for (let ox = 0; ox < outWidth; ox++) {
        const y = ((n * outHeight + oy) * outWidth + ox) * padded(filters);
        for (let ky = 0; ky < kernel[0]; ky++) {
          const iy = oy * stride[0] + ky - padding[0];
          if (iy < 0 || iy >= height) continue;
          for (let kx = 0; kx < kernel[1]; kx++) {
            const ix = ox * stride[1] + kx - padding[1];
            if (ix < 0 || ix >= width) continue;
            const x = ((n * height + iy) * width + ix) * padded(channels);
            for (let f = 0; f < filters; f++) {
              const weight = ((f * kernel[0] + ky) * kernel[1] + kx) * words;
              const first = x + Math.floor(f / groupFilters) * groupChannels;
              for (let c = 0; c < groupChannels; c++) visit(first + c, weight + c, y + f);
            }
          }
        }
      }
    }
  }
}

/** y[n, oy, ox, f] = bias[f] + sum over ky, kx, c of x[n, oy s + ky - p, ox s + kx - p, c] weight[f, ky, kx, c]. */
export function conv2dForward(shape: Conv2dShape, { x, weight, bias, y }: Tensors): void {
  if (bias !== undefined) {
    const filters4 = padded(shape.filters);
    for (let i = 0; i < y!.length; i++) y![i] = i % filters4 < shape.filters ? bias[i % filters4]! : 0;
  }
  eachProduct(shape, (ix, iw, iy) => (y![iy]! += x![ix]! * weight![iw]!));
}

/** dx = the forward map's adjoint in x, applied to dy. */
export function conv2dInputGradient(shape: Conv2dShape, { dy, weight, dx }: Tensors): void {
  eachProduct(shape, (ix, iw, iy) => (dx![ix]! += dy![iy]! * weight![iw]!));
}

/** dweight = the forward map's adjoint in weight, applied to dy. */
export function conv2dWeightGradient(shape: Conv2dShape, { x, dy, dweight }: Tensors): void {
  eachProduct(shape, (ix, iw, iy) => (dweight![iw]! += x![ix]! * dy![iy]!));
}

/** dbias[f] = sum of dy[..., f] over all pixels. */
export function conv2dBiasGradient(shape: Conv2dShape, { dy, dbias }: Tensors): void {
  const filters4 = padded(shape.filters);
  const pixels = outputPixels(shape);
  for (let p = 0; p < pixels; p++) for (let f = 0; f < shape.filters; f++) dbias![f]! += dy![p * filters4 + f]!;
}
