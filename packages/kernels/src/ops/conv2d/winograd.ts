// The dispatches of conv2d's `winograd` variants: 3x3 windows with stride 1 by Winograd's F(4x4, 3x3) (Lavin and Gray 2015,
// "Fast Algorithms for Convolutional Neural Networks"), 36 multiplications a 4x4 tile where the direct sum takes 144. The
// input gradient is the same convolution with the windows turned and the roles of channels and filters exchanged.
//
// Tile, window and patch are polynomials, multiplied at 0, +-sqrt(1/2), +-sqrt(2) and infinity. The paper's 0, +-1, +-2 and
// infinity give errors 4 times as large: pairs of reciprocals keep all coefficients small.
import { padded, spread, type DeviceTraits, type Dispatch, type Variant } from '../op.js';
import { outputSize, type Conv2dShape } from './shape.js';
import { bestTile, hasLanes, preferred, TILE_PIXELS_PER_LANE, tileConstants, TILES, tilesOf } from './subgroup.js';

/** Rows and columns of an output tile. */
const TILE = 4;
/** Multiplications a tile: (TILE + 2)^2. */
export const POINTS = 36;
/** Lanes that transform a tile together: one for each of the 6 columns of its patch, and two that idle. */
const LANES_PER_TILE = 8;
/** vec4f between planes beyond their contents: else planes a power of two apart would fall into the same cache lines. */
export const PLANE_GAP = 12;
/** Transformed images are kept to about this many words by taking the batch in pieces. */
export const WANTED_SCRATCH_WORDS = 2 ** 22;
/** Scratch memory is one binding; adapters grant at least 128 MiB. */
export const MOST_SCRATCH_WORDS = 2 ** 25;
/** Fewer channels or filters gain nothing in any shape. */
const LEAST_CHANNELS = 16;
/** How many times faster than the direct form it has to be by the estimate, which is right to some 15 %. */
const LEAST_GAIN = 1.1;

/** A 3x3 convolution with stride 1, of either direction: source to result. Depths and rows in vec4f, planes in vec4f. */
interface Layer {
  readonly source: readonly [number, number];
  readonly result: readonly [number, number];
  readonly depth4: number;
  readonly rows4: number;
  readonly top: number;
  readonly left: number;
  readonly tilesPerImage: readonly [number, number];
  /** Images taken at once. */
  readonly images: number;
  /** Tiles of that many images. */
  readonly tiles: number;
  readonly vPlane: number;
  readonly uFirst: number;
  readonly uPlane: number;
  readonly mFirst: number;
  readonly mPlane: number;
  readonly scratchWords: number;
}

/** Tiles down and across that cover an image. */
export const tilesPerImageOf = ([height, width]: readonly [number, number]): readonly [number, number] => [
  Math.ceil(height / TILE),
  Math.ceil(width / TILE),
];

function layer(shape: Conv2dShape, backward: boolean): Layer {
  const image = [shape.height, shape.width] as const;
  const [source, result] = backward ? [outputSize(shape), image] : [image, outputSize(shape)];
  const [channels4, filters4] = [padded(shape.channels) / 4, padded(shape.filters) / 4];
  const [depth4, rows4] = backward ? [filters4, channels4] : [channels4, filters4];
  const [top, left] = shape.padding;
  const tilesPerImage = tilesPerImageOf(result);
  const imageTiles = tilesPerImage[0] * tilesPerImage[1];
  const pieces = Math.ceil((shape.batch * imageTiles * POINTS * 4 * (depth4 + rows4)) / WANTED_SCRATCH_WORDS);
  const images = Math.ceil(shape.batch / Math.min(shape.batch, pieces));
  const tiles = images * imageTiles;
  const vPlane = tiles * depth4 + PLANE_GAP;
  const uPlane = rows4 * 4 * depth4 + PLANE_GAP;
  const mPlane = tiles * rows4 + PLANE_GAP;
  const uFirst = POINTS * vPlane;
  const mFirst = uFirst + POINTS * uPlane;
  const paddings = backward ? { top: 2 - top, left: 2 - left } : { top, left };
  const scratchWords = 4 * (mFirst + POINTS * mPlane);
  return { source, result, depth4, rows4, ...paddings, tilesPerImage, images, tiles, vPlane, uFirst, uPlane, mFirst, mPlane, scratchWords };
}

/** Whether these kernels can run a convolution at all. */
export const fits = ({ kernel, stride, groups }: Conv2dShape, device: DeviceTraits): boolean =>
  kernel.every((k) => k === 3) && stride.every((s) => s === 1) && groups === 1 && hasLanes(device);

/** Times of the direct form and of this one on lavapipe, in the unit of `TILES` (0.25 us): see docs/kernels.md. */
export interface Times {
  readonly direct: number;
  readonly winograd: number;
}

export function isWorthwhile(shape: Conv2dShape, device: DeviceTraits, timesOf: (shape: Conv2dShape) => Times): boolean {
  if (!preferred(shape, device) || Math.min(shape.channels, shape.filters) < LEAST_CHANNELS) return false;
  const { direct, winograd } = timesOf(shape);
  return direct >= LEAST_GAIN * winograd;
}

function timesOf(shape: Conv2dShape, backward: boolean): Times {
  const { result, depth4, rows4, tilesPerImage } = layer(shape, backward);
  const rowTime = bestTile(rows4 * 4, TILES).time;
  const blocks = (columns: number): number => Math.ceil(columns / (TILE_PIXELS_PER_LANE * 8));
  const tiles = shape.batch * tilesPerImage[0] * tilesPerImage[1];
  const product = POINTS * blocks(tiles) * rowTime * (depth4 + 6);
  const transforms = tiles * (1.2 * depth4 + 1.1 * rows4) + 4 * rows4 * depth4;
  const dispatches = 4 * 50;
  return {
    direct: 9 * blocks(shape.batch * result[0] * result[1]) * rowTime * (depth4 + 1.3),
    winograd: product + transforms + dispatches,
  };
}

/** Workgroups that transform so many tiles or windows. */
export const transformsOf = (count: number, { subgroupSize, maxWorkgroups }: DeviceTraits): readonly [number, number, number] =>
  spread(Math.ceil((count * LANES_PER_TILE) / subgroupSize), maxWorkgroups);

function dispatches(shape: Conv2dShape, device: DeviceTraits, backward: boolean): Dispatch[] {
  const whole = layer(shape, backward);
  const { images, uFirst, uPlane } = whole;
  const weights: Dispatch = {
    wgsl: new URL('./winograd-weights.wgsl', import.meta.url),
    bind: ['weight', 'scratch'],
    constants: { SUBGROUP: device.subgroupSize },
    uniforms: [padded(shape.filters), padded(shape.channels) / 4, uFirst, uPlane, Number(backward)],
    workgroups: transformsOf(padded(shape.filters), device),
  };
  const firsts = Array.from({ length: Math.ceil(shape.batch / images) }, (_, i) => i * images);
  return [weights, ...firsts.flatMap((first) => pieceOf(shape, device, backward, whole, first))];
}

/** The dispatches of the images from `first` on. */
function pieceOf(shape: Conv2dShape, device: DeviceTraits, backward: boolean, whole: Layer, first: number): Dispatch[] {
  const { source, result, depth4, rows4, top, left, tilesPerImage, images, vPlane, uFirst, uPlane, mFirst, mPlane } = whole;
  const tiles = Math.min(images, shape.batch - first) * tilesPerImage[0] * tilesPerImage[1];
  const biased = shape.bias && !backward;
  const blocks = Math.ceil(tiles / (TILE_PIXELS_PER_LANE * device.subgroupSize)) * tilesOf(rows4 * 4);
  const [x, y] = spread(blocks, device.maxWorkgroups);
  const constants = { SUBGROUP: device.subgroupSize };
  const transforms = transformsOf(tiles, device);
  return [
    {
      wgsl: new URL('./winograd-input.wgsl', import.meta.url),
      bind: [backward ? 'dy' : 'x', 'scratch'],
      constants,
      uniforms: [...source, depth4, tiles, ...tilesPerImage, top, left, vPlane, first],
      workgroups: transforms,
    },
    {
      wgsl: new URL('./winograd-product.subgroup.wgsl', import.meta.url),
      constants: { ...tileConstants(rows4 * 4, device), TRANSPOSED: Number(backward) },
      bind: ['scratch'],
      uniforms: [tiles, depth4, rows4, vPlane, uFirst, uPlane, mFirst, mPlane],
      workgroups: [x, y, POINTS],
    },
    {
      wgsl: new URL('./winograd-output.wgsl', import.meta.url),
      bind: ['scratch', biased ? 'bias' : 'weight', backward ? 'dx' : 'y'],
      constants,
      uniforms: [...result, rows4, tiles, ...tilesPerImage, mFirst, mPlane, first, Number(biased)],
      workgroups: transforms,
    },
  ];
}

const variant = (backward: boolean): Variant<Conv2dShape> => ({
  name: 'winograd',
  usable: (shape, device) => fits(shape, device) && layer(shape, backward).scratchWords <= MOST_SCRATCH_WORDS,
  preferred: (shape, device) => isWorthwhile(shape, device, (one) => timesOf(one, backward)),
  scratchWords: (shape) => layer(shape, backward).scratchWords,
  dispatches: (shape, device) => dispatches(shape, device, backward),
});

export const winogradForward = variant(false);
export const winogradInputGradient = variant(true);
