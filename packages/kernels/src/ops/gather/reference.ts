// The float64 twin of gather. The choice of crop, flip and cutout is exact: integer hashes of (seed, image, view).
import { padded, type Tensors } from '../op.js';
import { entryAt, PLAIN_VIEW, type Entry } from '../order.js';
import type { GatherShape } from './index.js';

/** The finaliser of MurmurHash3. */
function mix(value: number): number {
  let h = value >>> 0;
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}

export interface Crop {
  /** Where the crop starts in the image: -padding .. padding. */
  readonly dx: number;
  readonly dy: number;
  readonly mirrored: boolean;
  /** Upper left pixel of the square cut out of what is left of the image, and its side. */
  readonly cutX: number;
  readonly cutY: number;
  readonly side: number;
}

type Draws = Pick<GatherShape, 'cropPadding' | 'flip' | 'cutout' | 'height' | 'width' | 'seed'>;

/** The augmentation of one view of one image. */
export function cropOf(shape: Draws, image: number, view: number): Crop {
  if (view === PLAIN_VIEW) return { dx: 0, dy: 0, mirrored: false, cutX: 0, cutY: 0, side: 0 };
  const key = mix(image ^ mix(view ^ mix(shape.seed)));
  const range = 2 * shape.cropPadding + 1;
  return {
    dx: (mix(key + 1) % range) - shape.cropPadding,
    dy: (mix(key + 2) % range) - shape.cropPadding,
    mirrored: shape.flip && (mix(key + 3) & 1) === 1,
    cutX: (mix(key + 4) % shape.width) - Math.floor(shape.cutout / 2),
    cutY: (mix(key + 5) % shape.height) - Math.floor(shape.cutout / 2),
    side: shape.cutout,
  };
}

export function gatherReference(shape: GatherShape, tensors: Tensors): void {
  const { batch, height, width, channels } = shape;
  const stride = padded(channels);
  for (let i = 0; i < batch; i++) {
    const entry = entryAt(shape, tensors, i);
    const row = tensors['x']!.subarray(i * height * width * stride, (i + 1) * height * width * stride);
    if (entry.void) row.fill(0);
    const local = shape.ring === 0 ? entry.local : (tensors['clock']![0]! % shape.ring) * batch + i;
    if (!entry.void && local !== undefined) augment(shape, tensors['images']!, entry, local, row);
  }
}

function augment(shape: GatherShape, images: Float64Array, { image, view }: Entry, local: number, x: Float64Array): void {
  const { height, width, channels, mean, std } = shape;
  const { dx, dy, mirrored, cutX, cutY, side } = cropOf(shape, image, view);
  const strideBytes = padded(channels * height * width);
  const pixel = (c: number, row: number, column: number): number => {
    if (row < 0 || row >= height || column < 0 || column >= width) return 0;
    const at = local * strideBytes + (c * height + row) * width + column;
    return (images[Math.floor(at / 4)]! >>> (8 * (at % 4))) & 255;
  };
  x.fill(0);
  for (let row = 0; row < height; row++) {
    for (let column = 0; column < width; column++) {
      if (row >= cutY && row < cutY + side && column >= cutX && column < cutX + side) continue;
      const cropped = mirrored ? width - 1 - column : column;
      for (let c = 0; c < channels; c++) {
        const value = (pixel(c, row + dy, cropped + dx) / 255 - mean[c]!) / std[c]!;
        x[(row * width + column) * padded(channels) + c] = value;
      }
    }
  }
}
