// The dispatches of conv2d's `winograd` variants: 3x3 windows with stride 1 by Winograd's F(4x4, 3x3) (Lavin and Gray 2015,
// "Fast Algorithms for Convolutional Neural Networks"), 36 multiplications a 4x4 tile where the direct sum takes 144. The
// input gradient is the same convolution with the windows turned and the roles of channels and filters exchanged.
//
// Windows and patches are polynomials, multiplied at the points 0, +-sqrt(1/2), +-sqrt(2) and infinity. The paper's 0, +-1, +-2
// and infinity give errors 4 times as large: pairs of reciprocals keep all coefficients small.
import { padded, spread, type DeviceTraits, type Dispatch, type Variant } from '../op.js';
import { epilogueUniforms, plainEpilogue, type Epilogue, type ForwardVariant } from './epilogue.js';
import { outputSize, type Conv2dShape } from './shape.js';
import { bestTile, TILE_PIXELS_PER_LANE, tileConstants, TILES, tilesOf } from './subgroup.js';
import { isUsable, pays, planesAfter, planesAt, POINTS, tilingOf, transformsOf, wordsUpTo } from './winograd-tiles.js';
import type { Piece, Planes, Tiling, Times } from './winograd-tiles.js';

/** A 3x3 convolution with stride 1, of either direction: source to result. Depths and rows in vec4f. */
interface Layer extends Tiling {
  readonly backward: boolean;
  readonly source: readonly [number, number];
  readonly result: readonly [number, number];
  readonly depth4: number;
  readonly rows4: number;
  readonly top: number;
  readonly left: number;
  /** The transformed patches, the transformed windows, and their products. */
  readonly v: Planes;
  readonly u: Planes;
  readonly m: Planes;
}

function layerOf(shape: Conv2dShape, backward: boolean): Layer {
  const image = [shape.height, shape.width] as const;
  const [source, result] = backward ? [outputSize(shape), image] : [image, outputSize(shape)];
  const [channels4, filters4] = [padded(shape.channels) / 4, padded(shape.filters) / 4];
  const [depth4, rows4] = backward ? [filters4, channels4] : [channels4, filters4];
  const [top, left] = backward ? [2 - shape.padding[0], 2 - shape.padding[1]] : shape.padding;
  const tiling = tilingOf(shape, result);
  const { tiles } = tiling.pieces[0];
  const v = planesAt(2 * rows4, tiles * depth4); // an epilogue's terms and factors come first
  const u = planesAfter(v, rows4 * 4 * depth4);
  const m = planesAfter(u, tiles * rows4);
  return { ...tiling, backward, source, result, depth4, rows4, top, left, v, u, m };
}

function timesOf(shape: Conv2dShape, backward: boolean): Times {
  const { result, depth4, rows4, allTiles } = layerOf(shape, backward);
  const rowTime = bestTile(rows4 * 4, TILES).time;
  const blocks = (columns: number): number => Math.ceil(columns / (TILE_PIXELS_PER_LANE * 8));
  const product = POINTS * blocks(allTiles) * rowTime * (depth4 + 6);
  const transforms = allTiles * (1.2 * depth4 + 1.1 * rows4) + 4 * rows4 * depth4;
  const dispatches = 4 * 50;
  return {
    direct: 9 * blocks(shape.batch * result[0] * result[1]) * rowTime * (depth4 + 1.3),
    winograd: product + transforms + dispatches,
  };
}

function dispatches(shape: Conv2dShape, device: DeviceTraits, backward: boolean, epilogue: Epilogue): Dispatch[] {
  const layer = layerOf(shape, backward);
  const weights: Dispatch = {
    wgsl: new URL('./winograd-weights.wgsl', import.meta.url),
    constants: { SUBGROUP: device.subgroupSize },
    bind: ['weight', 'scratch'],
    uniforms: [padded(shape.filters), padded(shape.channels) / 4, layer.u.first, layer.u.step, Number(backward)],
    workgroups: transformsOf(padded(shape.filters), device),
  };
  return [weights, ...layer.pieces.flatMap((piece) => dispatchesOf(device, layer, epilogue, piece))];
}

function dispatchesOf(device: DeviceTraits, layer: Layer, epilogue: Epilogue, { firstImage, tiles }: Piece): Dispatch[] {
  const { backward, source, result, depth4, rows4, top, left, tilesPerImage, v, u, m } = layer;
  const blocks = Math.ceil(tiles / (TILE_PIXELS_PER_LANE * device.subgroupSize)) * tilesOf(rows4 * 4);
  const [x, y] = spread(blocks, device.maxWorkgroups);
  return [
    {
      wgsl: new URL('./winograd-input.wgsl', import.meta.url),
      constants: { SUBGROUP: device.subgroupSize },
      bind: [backward ? 'dy' : 'x', 'scratch'],
      uniforms: [...source, depth4, tiles, ...tilesPerImage, top, left, v.first, v.step, firstImage],
      workgroups: transformsOf(tiles, device),
    },
    {
      wgsl: new URL('./winograd-product.subgroup.wgsl', import.meta.url),
      constants: { ...tileConstants(rows4 * 4, device), TRANSPOSED: Number(backward) },
      bind: ['scratch'],
      uniforms: [tiles, depth4, rows4, v.first, v.step, u.first, u.step, m.first, m.step],
      workgroups: [x, y, POINTS],
    },
    {
      wgsl: new URL('./winograd-output.wgsl', import.meta.url),
      constants: { SUBGROUP: device.subgroupSize },
      bind: ['scratch', epilogue.has === 1 ? epilogue.terms : 'weight', backward ? 'dx' : 'y'],
      uniforms: [...result, rows4, tiles, ...tilesPerImage, m.first, m.step, firstImage, ...epilogueUniforms(epilogue)],
      workgroups: transformsOf(tiles, device),
    },
  ];
}

function variant(backward: boolean): Pick<ForwardVariant, 'name' | 'usable' | 'preferred' | 'scratchWords'> {
  const scratchWords = (shape: Conv2dShape): number => wordsUpTo(layerOf(shape, backward).m);
  return {
    name: 'winograd',
    usable: (shape, device) => isUsable(shape, device, scratchWords(shape)),
    preferred: (shape, device) => pays(shape, device, timesOf(shape, backward)),
    scratchWords,
  };
}

export const winogradForward: ForwardVariant = {
  ...variant(false),
  dispatches: (shape, device, epilogue = plainEpilogue(shape)) => dispatches(shape, device, false, epilogue),
};

export const winogradInputGradient: Variant<Conv2dShape> = {
  ...variant(true),
  dispatches: (shape, device) => dispatches(shape, device, true, plainEpilogue({ ...shape, bias: false })),
};
