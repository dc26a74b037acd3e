// The dispatches of conv2d's `winograd` weight gradient, the adjoint of winograd.ts with respect to the weights:
// dweight = G^T [sum over tiles of (A dy A^T) (B^T x B)] G, element by element within the brackets, at the same 36 points. A
// tile takes 36 multiplications, too, where the direct sum takes 144.
import { padded, spread, type DeviceTraits, type Dispatch, type Variant } from '../op.js';
import { outputPixels, outputSize, type Conv2dShape } from './shape.js';
import { bestTile, tileConstants, TILES, tilesOf } from './subgroup.js';
import { isUsable, pays, planesAfter, planesAt, POINTS, tilingOf, transformsOf, wordsUpTo } from './winograd-tiles.js';
import type { Piece, Planes, Tiling, Times } from './winograd-tiles.js';

interface Layer extends Tiling {
  readonly channels4: number;
  readonly filters4: number;
  /** The transformed patches of x, the transformed tiles of dy, and the sums of their products. */
  readonly v: Planes;
  readonly z: Planes;
  readonly p: Planes;
}

function layerOf(shape: Conv2dShape): Layer {
  const [channels4, filters4] = [padded(shape.channels) / 4, padded(shape.filters) / 4];
  const tiling = tilingOf(shape, outputSize(shape));
  const { tiles } = tiling.pieces[0];
  const v = planesAt(0, tiles * channels4);
  const z = planesAfter(v, tiles * filters4);
  const p = planesAfter(z, filters4 * 4 * channels4);
  return { ...tiling, channels4, filters4, v, z, p };
}

function timesOf(shape: Conv2dShape): Times {
  const { channels4, filters4, allTiles } = layerOf(shape);
  const product = POINTS * Math.ceil(channels4 / 8) * bestTile(filters4 * 4, TILES).time * (allTiles / 4 + 8);
  const transforms = allTiles * (1.2 * channels4 + filters4) + 4 * filters4 * channels4;
  const dispatches = 4 * 50;
  // `window`: 8 lanes with 4 channels of a window row each, 16 filters, 4 pixels in a step.
  const direct = 1.86 * Math.ceil((3 * channels4) / 8) * (filters4 / 4) * (outputPixels(shape) / 4);
  return { direct, winograd: product + transforms + dispatches };
}

function dispatches(shape: Conv2dShape, device: DeviceTraits): Dispatch[] {
  const layer = layerOf(shape);
  const { channels4, filters4, p } = layer;
  const output: Dispatch = {
    wgsl: new URL('./winograd-gradient-output.wgsl', import.meta.url),
    constants: { SUBGROUP: device.subgroupSize },
    bind: ['scratch', 'dweight'],
    uniforms: [filters4 * 4, channels4, p.first, p.step],
    workgroups: transformsOf(filters4 * 4, device),
  };
  return [...layer.pieces.flatMap((piece) => dispatchesOf(shape, device, layer, piece)), output];
}

function dispatchesOf(shape: Conv2dShape, device: DeviceTraits, layer: Layer, { firstImage, tiles }: Piece): Dispatch[] {
  const { channels4, filters4, tilesPerImage, v, z, p } = layer;
  const { height, width, padding } = shape;
  const [x, y] = spread(Math.ceil(channels4 / device.subgroupSize) * tilesOf(filters4 * 4), device.maxWorkgroups);
  return [
    {
      wgsl: new URL('./winograd-input.wgsl', import.meta.url),
      constants: { SUBGROUP: device.subgroupSize },
      bind: ['x', 'scratch'],
      uniforms: [height, width, channels4, tiles, ...tilesPerImage, padding[0], padding[1], v.first, v.step, firstImage],
      workgroups: transformsOf(tiles, device),
    },
    {
      wgsl: new URL('./winograd-gradient-input.wgsl', import.meta.url),
      constants: { SUBGROUP: device.subgroupSize },
      bind: ['dy', 'scratch'],
      uniforms: [...outputSize(shape), filters4, tiles, ...tilesPerImage, z.first, z.step, firstImage],
      workgroups: transformsOf(tiles, device),
    },
    {
      wgsl: new URL('./winograd-gradient-product.subgroup.wgsl', import.meta.url),
      constants: tileConstants(filters4 * 4, device),
      bind: ['scratch'],
      uniforms: [tiles, channels4, filters4, v.first, v.step, z.first, z.step, p.first, p.step, Number(firstImage > 0)],
      workgroups: [x, y, POINTS],
    },
  ];
}

const scratchWords = (shape: Conv2dShape): number => wordsUpTo(layerOf(shape).p);

export const winogradWeightGradient: Variant<Conv2dShape> = {
  name: 'winograd',
  usable: (shape, device) => isUsable(shape, device, scratchWords(shape)),
  preferred: (shape, device) => pays(shape, device, timesOf(shape)),
  scratchWords,
  dispatches,
};
