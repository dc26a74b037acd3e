// A decoded image, and how large one may be.
import { DataError } from './dataset.js';

export interface Pixels {
  readonly width: number;
  readonly height: number;
  readonly channels: 1 | 3;
  /** [height, width, channels] */
  readonly pixels: Uint8Array;
}

/** Largest image that is decoded: 2^25 pixels (such as 8192 x 4096), some 400 MB while a JPEG is decoded. */
const MAX_PIXELS = 2 ** 25;
export function checkDimensions(path: string, width: number, height: number): void {
  if (width === 0 || height === 0) throw new DataError(path, `declares an image of ${width} x ${height}; at least one pixel is needed`);
  if (width * height > MAX_PIXELS) {
    throw new DataError(path, `declares an image of ${width} x ${height}; at most ${MAX_PIXELS} pixels are decoded: make it smaller`);
  }
}
