// What the passes of conv2d's `winograd` variants have in common: tiles, pieces of the batch, scratch memory, and when they pay.
import { padded, spread, type DeviceTraits } from '../op.js';
import type { Conv2dShape } from './shape.js';
import { hasLanes, preferred } from './subgroup.js';

/** Rows and columns of an output tile. */
const TILE = 4;
/** Multiplications a tile: (TILE + 2)^2. */
export const POINTS = 36;
/** Lanes that transform a tile together: one for each of the 6 columns of its patch, and two that idle. */
const LANES_PER_TILE = 8;
/** vec4f between planes beyond their contents: else planes a power of two apart would fall into the same cache lines. */
const PLANE_GAP = 12;
/** Transformed images are kept to about this many words by taking the batch in pieces. */
const WANTED_SCRATCH_WORDS = 2 ** 22;
/** Scratch memory is one binding; adapters grant at least 128 MiB. */
const MOST_SCRATCH_WORDS = 2 ** 25;
/** Fewer channels or filters gain nothing in any shape. */
const LEAST_CHANNELS = 16;
/** How many times faster than the direct form it has to be by the estimate. */
const LEAST_GAIN = 1.1;

export interface Piece {
  readonly firstImage: number;
  readonly tiles: number;
}

export interface Tiling {
  /** Tiles down and across an image. */
  readonly tilesPerImage: readonly [number, number];
  /** Tiles of the whole batch. */
  readonly allTiles: number;
  /** The batch in turn; the first piece is the largest. */
  readonly pieces: readonly [Piece, ...Piece[]];
}

/** The tiles that cover images of `size` (rows, columns). Those of a piece fit into the wanted scratch memory on both sides of the product. */
export function tilingOf({ batch, channels, filters }: Conv2dShape, size: readonly [number, number]): Tiling {
  const tilesPerImage = [Math.ceil(size[0] / TILE), Math.ceil(size[1] / TILE)] as const;
  const imageTiles = tilesPerImage[0] * tilesPerImage[1];
  const words = batch * imageTiles * POINTS * (padded(channels) + padded(filters));
  const images = Math.ceil(batch / Math.min(batch, Math.ceil(words / WANTED_SCRATCH_WORDS)));
  const piece = (firstImage: number): Piece => ({ firstImage, tiles: Math.min(images, batch - firstImage) * imageTiles });
  const others = Array.from({ length: Math.ceil(batch / images) - 1 }, (_, i) => piece((i + 1) * images));
  return { tilesPerImage, allTiles: batch * imageTiles, pieces: [piece(0), ...others] };
}

/** Where an operand begins in scratch memory, and how far its planes, one a point, are apart: in vec4f. */
export interface Planes {
  readonly first: number;
  readonly step: number;
}

/** Planes of `vectors` vec4f from `first` on. */
export const planesAt = (first: number, vectors: number): Planes => ({ first, step: vectors + PLANE_GAP });

/** Planes of `vectors` vec4f after those of `before`. */
export const planesAfter = ({ first, step }: Planes, vectors: number): Planes => planesAt(first + POINTS * step, vectors);

/** Words of scratch memory up to the end of the last planes. */
export const wordsUpTo = ({ first, step }: Planes): number => 4 * (first + POINTS * step);

/** Whether the kernels can run a convolution, within so much scratch memory. */
export const isUsable = ({ kernel, stride, groups }: Conv2dShape, device: DeviceTraits, scratchWords: number): boolean =>
  kernel.every((k) => k === 3) && stride.every((s) => s === 1) && groups === 1 && hasLanes(device) && scratchWords <= MOST_SCRATCH_WORDS;

/** Estimates for lavapipe, in the unit of `TILES` (0.25 us): see docs/kernels.md. */
export interface Times {
  readonly direct: number;
  readonly winograd: number;
}

export function pays(shape: Conv2dShape, device: DeviceTraits, { direct, winograd }: Times): boolean {
  return preferred(shape, device) && Math.min(shape.channels, shape.filters) >= LEAST_CHANNELS && direct >= LEAST_GAIN * winograd;
}

/** Workgroups that transform so many tiles or windows. */
export const transformsOf = (count: number, { subgroupSize, maxWorkgroups }: DeviceTraits): readonly [number, number, number] =>
  spread(Math.ceil((count * LANES_PER_TILE) / subgroupSize), maxWorkgroups);
