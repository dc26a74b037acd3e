// Bilinear resizing, antialiased when it shrinks: the triangle filter is as wide as a target pixel then (as Pillow's BILINEAR and
// torchvision's Resize do). Pixel centres are at half-integers; the sides are scaled independently.
import type { Pixels } from './pixels.js';

/** [height, width, channels] */
export function resize({ width: fromWidth, height: fromHeight, channels, pixels }: Pixels, height: number, width: number): Uint8Array {
  if (fromWidth === width && fromHeight === height) return pixels;
  const columns = weightsOf(fromWidth, width);
  const rows = weightsOf(fromHeight, height);
  // Columns first: [fromHeight, width, channels].
  const narrow = new Float32Array(fromHeight * width * channels);
  for (let y = 0; y < fromHeight; y++) {
    for (const [x, { first, weights }] of columns.entries()) {
      for (let c = 0; c < channels; c++) {
        let sum = 0;
        for (let i = 0; i < weights.length; i++) sum += (weights[i] ?? 0) * (pixels[(y * fromWidth + first + i) * channels + c] ?? 0);
        narrow[(y * width + x) * channels + c] = sum;
      }
    }
  }
  const rowSize = width * channels;
  const resized = new Uint8Array(height * rowSize);
  for (const [y, { first, weights }] of rows.entries()) {
    for (let x = 0; x < rowSize; x++) {
      let sum = 0;
      for (let i = 0; i < weights.length; i++) sum += (weights[i] ?? 0) * (narrow[(first + i) * rowSize + x] ?? 0);
      resized[y * rowSize + x] = Math.min(255, Math.max(0, Math.round(sum)));
    }
  }
  return resized;
}

interface Weights {
  readonly first: number;
  /** Of `first`, `first` + 1, ...; their sum is 1. */
  readonly weights: Float64Array;
}

/** Weights of the source pixels for each of `to` target pixels. */
function weightsOf(from: number, to: number): Weights[] {
  const scale = from / to;
  const radius = Math.max(1, scale);
  return Array.from({ length: to }, (_, target) => {
    const center = (target + 0.5) * scale;
    const first = Math.max(0, Math.floor(center - radius));
    const end = Math.min(from, Math.ceil(center + radius));
    const weights = Float64Array.from({ length: end - first }, (__, i) => Math.max(0, 1 - Math.abs(first + i + 0.5 - center) / radius));
    const sum = weights.reduce((total, weight) => total + weight, 0);
    return { first, weights: weights.map((weight) => weight / sum) };
  });
}
