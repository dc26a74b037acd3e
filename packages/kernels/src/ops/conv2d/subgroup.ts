// The dispatches of conv2d's `subgroup` variants: matrix products held in registers, one operand loaded once a subgroup and
// broadcast. A load costs a software adapter as much as tens of multiply-adds, so all that counts is reuse.
import { padded, spread, type DeviceTraits, type Variant } from '../op.js';
import { epilogueUniforms, outputsOf, plainEpilogue, type ForwardVariant } from './epilogue.js';
import { sizesOf, sumPartials, vectorsOf } from './plain.js';
import { outputPixels, outputSize, weightWords, type Conv2dShape } from './shape.js';

/** Pixels that one lane owns in the forward pass and the input gradient. */
export const TILE_PIXELS_PER_LANE = 4;
/** Workgroups wanted at least when a weight gradient's sum over pixels is split: some tens for each core. */
const WANTED_WORKGROUPS = 192;
/** A split sums at least this many pixels, as each split writes and reads a copy of the weights. */
const LEAST_PIXELS_PER_SPLIT = 256;
/** Pixels of an output row that are summed in one go. */
const LONGEST_SEGMENT = 64;

/** Lanes that the kernels which broadcast over a subgroup are written for. */
const LANES = [8, 16, 32];

export const hasLanes = ({ subgroupSize }: DeviceTraits): boolean => LANES.includes(subgroupSize);

/** The tiles were sized on 8 lanes. With 16 lavapipe turns every shuffle into a loop, and a GPU's wider ones do not need them. */
export const preferred = (_: Conv2dShape, { subgroupSize }: DeviceTraits): boolean => subgroupSize === 8;

const usable = ({ groups }: Conv2dShape, device: DeviceTraits): boolean => groups === 1 && hasLanes(device);

/** Rows of the register tile, and the time that one step of such a tile takes, relative, as measured on lavapipe. */
export const TILES: readonly Tile[] = [
  { rows: 32, cost: 1.6 },
  { rows: 16, cost: 1 },
  { rows: 8, cost: 0.7 },
];

export interface Tile {
  readonly rows: number;
  readonly cost: number;
}

/** The time that equal tiles take to cover `words` rows, and the rows of the tiles that take least. */
export function bestTile(words: number, tiles: readonly Tile[]): { readonly rows: number; readonly time: number } {
  const times = tiles.map(({ rows, cost }) => ({ rows, time: Math.ceil(words / rows) * cost }));
  return times.reduce((best, tile) => (tile.time < best.time ? tile : best));
}

const tileRows = (words: number): number => bestTile(words, TILES).rows;

/** Constants of the kernels for `words` rows. */
export const tileConstants = (words: number, { subgroupSize }: DeviceTraits): Record<string, number> => ({
  SUBGROUP: subgroupSize,
  ROWS: tileRows(words),
});

/** Tiles that cover `words` rows. */
export const tilesOf = (words: number): number => Math.ceil(words / tileRows(words));

export const subgroupForward: ForwardVariant = {
  name: 'subgroup',
  usable,
  preferred,
  dispatches(shape, device, epilogue = plainEpilogue(shape)) {
    const outputs = outputsOf(shape, epilogue);
    const perLane = TILE_PIXELS_PER_LANE / epilogue.side ** 2;
    return [
      {
        wgsl: new URL('./forward.subgroup.wgsl', import.meta.url),
        constants: tileConstants(padded(shape.filters), device),
        bind: ['x', 'weight', epilogue.terms, 'y'],
        uniforms: [...sizesOf(shape, vectorsOf(shape)), outputs, ...epilogueUniforms(epilogue)],
        workgroups: spread(Math.ceil(outputs / (perLane * device.subgroupSize)) * tilesOf(padded(shape.filters)), device.maxWorkgroups),
      },
    ];
  },
};

export const subgroupInputGradient: Variant<Conv2dShape> = {
  name: 'subgroup',
  usable,
  preferred,
  dispatches(shape, device) {
    const { batch, height, width, channels, stride } = shape;
    const grid = [Math.ceil(height / stride[0]), Math.ceil(width / stride[1])] as const;
    const pixels = batch * grid[0] * grid[1];
    const [x, y] = spread(
      Math.ceil(pixels / (TILE_PIXELS_PER_LANE * device.subgroupSize)) * tilesOf(padded(channels)),
      device.maxWorkgroups,
    );
    return [
      {
        wgsl: new URL('./input-gradient.subgroup.wgsl', import.meta.url),
        constants: tileConstants(padded(channels), device),
        bind: ['dy', 'weight', 'dx'],
        uniforms: [...sizesOf(shape, vectorsOf(shape)), ...grid, pixels],
        workgroups: [x, y, stride[0] * stride[1]],
      },
    ];
  },
};

/** Without window, stride and padding all pixels are alike: one long row wastes no step at the ends of short ones. */
function flattened(shape: Conv2dShape): Conv2dShape {
  const plainWindow = shape.kernel.every((k) => k === 1) && shape.stride.every((s) => s === 1) && shape.padding.every((p) => p === 0);
  return plainWindow ? { ...shape, batch: 1, height: 1, width: outputPixels(shape) } : shape;
}

interface Cut {
  /** Pixels of a row summed in one go, a multiple of 4. */
  readonly segment: number;
  readonly segmentsPerRow: number;
  readonly segments: number;
  readonly segmentsPerSplit: number;
  readonly splits: number;
  /** Workgroups of one split. */
  readonly tiles: number;
}

function cut(shape: Conv2dShape, device: DeviceTraits): Cut {
  const [outHeight, outWidth] = outputSize(shape);
  const vectors = weightWords(shape) / padded(shape.filters) / 4;
  const tileCount = Math.ceil(vectors / device.subgroupSize) * tilesOf(padded(shape.filters));
  const segment = Math.min(LONGEST_SEGMENT, padded(outWidth));
  const segmentsPerRow = Math.ceil(outWidth / segment);
  const segments = shape.batch * outHeight * segmentsPerRow;
  const most = Math.ceil((segments * Math.min(segment, outWidth)) / LEAST_PIXELS_PER_SPLIT);
  const wanted = Math.min(segments, most, Math.ceil(WANTED_WORKGROUPS / tileCount));
  const segmentsPerSplit = Math.ceil(segments / wanted);
  return { segment, segmentsPerRow, segments, segmentsPerSplit, splits: Math.ceil(segments / segmentsPerSplit), tiles: tileCount };
}

export const subgroupWeightGradient: Variant<Conv2dShape> = {
  name: 'subgroup',
  usable,
  preferred,
  scratchWords: (original, device) => {
    const { splits } = cut(flattened(original), device);
    return splits === 1 ? 0 : splits * weightWords(original);
  },
  dispatches(original, device) {
    const shape = flattened(original);
    const { segment, segmentsPerRow, segments, segmentsPerSplit, splits, tiles: tileCount } = cut(shape, device);
    const { filters } = shape;
    const [x, y] = spread(tileCount, device.maxWorkgroups);
    return [
      {
        wgsl: new URL('./weight-gradient.subgroup.wgsl', import.meta.url),
        constants: tileConstants(padded(filters), device),
        bind: ['x', 'dy', splits === 1 ? 'dweight' : 'scratch'],
        uniforms: [...sizesOf(shape, vectorsOf(shape)), segment, segmentsPerRow, segments, segmentsPerSplit],
        workgroups: [x, y, splits],
      },
      ...sumPartials('dweight', weightWords(shape), splits, device),
    ];
  },
};
