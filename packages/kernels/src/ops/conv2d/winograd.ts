// The dispatches of conv2d's `winograd` variants: 3x3 windows with stride 1 by Winograd's F(2x2, 3x3) (Lavin and Gray 2015,
// "Fast Algorithms for Convolutional Neural Networks"), 16 multiplications a 2x2 tile where the direct sum takes 36. The
// input gradient is the same convolution with the windows turned and the roles of channels and filters exchanged.
import { padded, spread, type DeviceTraits, type Dispatch, type Variant } from '../op.js';
import { workgroupsOf } from './plain.js';
import { outputSize, type Conv2dShape } from './shape.js';
import { hasLanes, preferred, TILE_PIXELS_PER_LANE, tileConstants, tilesOf } from './subgroup.js';

const POINTS = 16;
/** vec4f between planes beyond their contents: else planes a power of two apart would fall into the same cache lines. */
const PLANE_GAP = 12;
/** Speed against `subgroup` on lavapipe, over noisy runs: 0.8 with 32 channels, 0.8 to 1.3 with 64, 1.1 to 1.7 with 128. */
const LEAST_CHANNELS = 64;
/**
 * Least saving of multiplications that pays for the transforms; ragged tiles of small images lose some of the 2.25. 64 channels
 * at 7x7 save 1.72 and reach 0.77 of the speed of `subgroup`, 96 channels are equal there, 128 ahead by 1.2.
 */
const LEAST_SAVING = { fewChannels: 1.85, manyChannels: 1.6 };
const MANY_CHANNELS = 96;
/** Transformed images are kept to about this many words by taking the batch in pieces: what stays in a cache is faster. */
const WANTED_SCRATCH_WORDS = 2 ** 21;
/** Scratch memory is one binding; adapters grant at least 128 MiB. */
const MOST_SCRATCH_WORDS = 2 ** 25;

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

function layer(shape: Conv2dShape, backward: boolean): Layer {
  const image = [shape.height, shape.width] as const;
  const [source, result] = backward ? [outputSize(shape), image] : [image, outputSize(shape)];
  const [channels4, filters4] = [padded(shape.channels) / 4, padded(shape.filters) / 4];
  const [depth4, rows4] = backward ? [filters4, channels4] : [channels4, filters4];
  const [top, left] = shape.padding;
  const tilesPerImage = [Math.ceil(result[0] / 2), Math.ceil(result[1] / 2)] as const;
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

function usable(shape: Conv2dShape, device: DeviceTraits, backward: boolean): boolean {
  const { kernel, stride, groups, channels, filters } = shape;
  const fits = kernel.every((k) => k === 3) && stride.every((s) => s === 1) && groups === 1 && hasLanes(device);
  if (!fits || Math.min(channels, filters) < LEAST_CHANNELS) return false;
  const { result, tilesPerImage, scratchWords } = layer(shape, backward);
  const saving = (9 * result[0] * result[1]) / (POINTS * tilesPerImage[0] * tilesPerImage[1]);
  const { fewChannels, manyChannels } = LEAST_SAVING;
  return saving >= (Math.min(channels, filters) < MANY_CHANNELS ? fewChannels : manyChannels) && scratchWords <= MOST_SCRATCH_WORDS;
}

function dispatches(shape: Conv2dShape, device: DeviceTraits, backward: boolean): Dispatch[] {
  const whole = layer(shape, backward);
  const { depth4, rows4, images, uFirst, uPlane } = whole;
  const weights: Dispatch = {
    wgsl: new URL('./winograd-weights.wgsl', import.meta.url),
    bind: ['weight', 'scratch'],
    uniforms: [padded(shape.channels) / 4, rows4 * 4, depth4, uFirst, uPlane, Number(backward)],
    workgroups: workgroupsOf(rows4 * 4 * depth4, device),
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
  return [
    {
      wgsl: new URL('./winograd-input.wgsl', import.meta.url),
      bind: [backward ? 'dy' : 'x', 'scratch'],
      uniforms: [...source, depth4, tiles, ...tilesPerImage, top, left, vPlane, first],
      workgroups: workgroupsOf(tiles * depth4, device),
    },
    {
      wgsl: new URL('./winograd-product.subgroup.wgsl', import.meta.url),
      constants: tileConstants(rows4 * 4, device),
      bind: ['scratch'],
      uniforms: [tiles, depth4, rows4, vPlane, uFirst, uPlane, mFirst, mPlane],
      workgroups: [x, y, POINTS],
    },
    {
      wgsl: new URL('./winograd-output.wgsl', import.meta.url),
      bind: ['scratch', biased ? 'bias' : 'weight', backward ? 'dx' : 'y'],
      uniforms: [...result, rows4, tiles, ...tilesPerImage, mFirst, mPlane, first, Number(biased)],
      workgroups: workgroupsOf(tiles * rows4, device),
    },
  ];
}

const variant = (backward: boolean): Variant<Conv2dShape> => ({
  name: 'winograd',
  usable: (shape, device) => usable(shape, device, backward),
  preferred,
  scratchWords: (shape) => layer(shape, backward).scratchWords,
  dispatches: (shape, device) => dispatches(shape, device, backward),
});

export const winogradForward = variant(false);
export const winogradInputGradient = variant(true);
