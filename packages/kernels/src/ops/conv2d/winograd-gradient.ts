// The dispatches of conv2d's `winograd` weight gradient, the adjoint of winograd.ts with respect to the weights: for windows 3x3
// with stride 1, dweight = G^T [sum over tiles of (A dy A^T) (B^T d B)] G, F(3x3, 4x4) at the points of the forward pass. A
// product at 36 points in place of 9 x 16 multiply-adds a tile.
import { padded, spread, type DeviceTraits, type Dispatch, type Variant } from '../op.js';
import { outputPixels, outputSize, type Conv2dShape } from './shape.js';
import { bestTile, tileConstants, TILES, tilesOf } from './subgroup.js';
import {
  fits,
  isWorthwhile,
  MOST_SCRATCH_WORDS,
  PLANE_GAP,
  POINTS,
  tilesPerImageOf,
  transformsOf,
  type Times,
  WANTED_SCRATCH_WORDS,
} from './winograd.js';

/** Planes of scratch memory: V of x, Z of dy, P of the weights; depths and planes in vec4f. */
interface Layer {
  readonly channels4: number;
  readonly filters4: number;
  readonly tilesPerImage: readonly [number, number];
  /** Images taken at once. */
  readonly images: number;
  readonly vPlane: number;
  readonly zFirst: number;
  readonly zPlane: number;
  readonly pFirst: number;
  readonly pPlane: number;
  readonly scratchWords: number;
}

function layer(shape: Conv2dShape): Layer {
  const [channels4, filters4] = [padded(shape.channels) / 4, padded(shape.filters) / 4];
  const tilesPerImage = tilesPerImageOf(outputSize(shape));
  const imageTiles = tilesPerImage[0] * tilesPerImage[1];
  const pieces = Math.ceil((shape.batch * imageTiles * POINTS * 4 * (channels4 + filters4)) / WANTED_SCRATCH_WORDS);
  const images = Math.ceil(shape.batch / Math.min(shape.batch, pieces));
  const vPlane = images * imageTiles * channels4 + PLANE_GAP;
  const zPlane = images * imageTiles * filters4 + PLANE_GAP;
  const pPlane = filters4 * 4 * channels4 + PLANE_GAP;
  const zFirst = POINTS * vPlane;
  const pFirst = zFirst + POINTS * zPlane;
  const scratchWords = 4 * (pFirst + POINTS * pPlane);
  return { channels4, filters4, tilesPerImage, images, vPlane, zFirst, zPlane, pFirst, pPlane, scratchWords };
}

function timesOf(shape: Conv2dShape): Times {
  const { channels4, filters4, tilesPerImage } = layer(shape);
  const tiles = shape.batch * tilesPerImage[0] * tilesPerImage[1];
  const product = POINTS * Math.ceil(channels4 / 8) * bestTile(filters4 * 4, TILES).time * (tiles / 4 + 8);
  const transforms = tiles * (1.2 * channels4 + filters4) + 4 * filters4 * channels4;
  const dispatches = 4 * 50;
  // `window`: 8 lanes with 4 channels of a window row each, 16 filters, 4 pixels in a step.
  const direct = 1.86 * Math.ceil((3 * channels4) / 8) * (filters4 / 4) * (outputPixels(shape) / 4);
  return { direct, winograd: product + transforms + dispatches };
}

function dispatches(shape: Conv2dShape, device: DeviceTraits): Dispatch[] {
  const whole = layer(shape);
  const { channels4, filters4, images, pFirst, pPlane } = whole;
  const firsts = Array.from({ length: Math.ceil(shape.batch / images) }, (_, i) => i * images);
  const output: Dispatch = {
    wgsl: new URL('./winograd-gradient-output.wgsl', import.meta.url),
    constants: { SUBGROUP: device.subgroupSize },
    bind: ['scratch', 'dweight'],
    uniforms: [filters4 * 4, channels4, pFirst, pPlane],
    workgroups: transformsOf(filters4 * 4, device),
  };
  return [...firsts.flatMap((first) => pieceOf(shape, device, whole, first)), output];
}

/** The dispatches of the images from `first` on. */
function pieceOf(shape: Conv2dShape, device: DeviceTraits, whole: Layer, first: number): Dispatch[] {
  const { channels4, filters4, tilesPerImage, images, vPlane, zFirst, zPlane, pFirst, pPlane } = whole;
  const tiles = Math.min(images, shape.batch - first) * tilesPerImage[0] * tilesPerImage[1];
  const [x, y] = spread(Math.ceil(channels4 / device.subgroupSize) * tilesOf(filters4 * 4), device.maxWorkgroups);
  const constants = { SUBGROUP: device.subgroupSize };
  const [top, left] = shape.padding;
  return [
    {
      wgsl: new URL('./winograd-input.wgsl', import.meta.url),
      constants,
      bind: ['x', 'scratch'],
      uniforms: [shape.height, shape.width, channels4, tiles, ...tilesPerImage, top, left, vPlane, first],
      workgroups: transformsOf(tiles, device),
    },
    {
      wgsl: new URL('./winograd-gradient-input.wgsl', import.meta.url),
      constants,
      bind: ['dy', 'scratch'],
      uniforms: [...outputSize(shape), filters4, tiles, ...tilesPerImage, zFirst, zPlane, first],
      workgroups: transformsOf(tiles, device),
    },
    {
      wgsl: new URL('./winograd-gradient-product.subgroup.wgsl', import.meta.url),
      constants: tileConstants(filters4 * 4, device),
      bind: ['scratch'],
      uniforms: [tiles, channels4, filters4, vPlane, zFirst, zPlane, pFirst, pPlane, Number(first > 0)],
      workgroups: [x, y, POINTS],
    },
  ];
}

export const winogradWeightGradient: Variant<Conv2dShape> = {
  name: 'winograd',
  usable: (shape, device) => fits(shape, device) && layer(shape).scratchWords <= MOST_SCRATCH_WORDS,
  preferred: (shape, device) => isWorthwhile(shape, device, timesOf),
  scratchWords: (shape) => layer(shape).scratchWords,
  dispatches,
};
