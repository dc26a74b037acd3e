// The dispatches of conv2d's `taps` variants, for images with one channel: they read only the first word of each padded
// pixel and sum over taps, where `subgroup` would spend three quarters of its loads and multiply-adds on padding. On lavapipe
// the forward pass is more than 1.6 to 3 times as fast, the weight gradient 1.6 to 7 times.
import { padded, spread, type DeviceTraits, type Variant } from '../op.js';
import { epilogueUniforms, plainEpilogue, type ForwardVariant } from './epilogue.js';
import { sizesOf, sumPartials } from './plain.js';
import { outputPixels, outputSize, weightWords, type Conv2dShape } from './shape.js';
import { bestTile, hasLanes, preferred, type Tile } from './subgroup.js';

/** Rows and columns of output pixels that a lane computes. */
const BLOCK = [2, 4] as const;
/**
 * Windows and steps taken here; each pair makes pipelines of its own, so these are few: what first layers have. The samples
 * reach every pipeline, so that none is left to compile for an architecture that turns up later.
 */
const KERNELS = [2, 3, 5];
const STRIDES = [1, 2];
/** Tiles of the forward pass, with their relative times. One of 32 filters gains too little for its pipelines. */
const TILES: readonly Tile[] = [
  { rows: 16, cost: 1 },
  { rows: 8, cost: 0.7 },
];
/** Neighbouring taps taken together in the forward pass. */
const MOST_TAPS = 4;
/** Taps of a kernel row, and taps in all, that a lane of the weight gradient sums for each of its filters. */
const MOST_GRADIENT_TAPS_ACROSS = 5;
const MOST_GRADIENT_TAPS = 15;
/** Workgroups wanted at least when a weight gradient's sum over rows is split: some tens for each core. */
const WANTED_WORKGROUPS = 128;
/** A split sums at least this many pixels, as each split writes and reads a copy of the weights. */
const LEAST_PIXELS_PER_SPLIT = 256;

// One channel cannot be in several groups.
const usable = ({ channels, kernel, stride }: Conv2dShape, device: DeviceTraits): boolean =>
  channels === 1 &&
  hasLanes(device) &&
  kernel[0] === kernel[1] &&
  stride[0] === stride[1] &&
  KERNELS.includes(kernel[0]) &&
  STRIDES.includes(stride[0]);

/** The size of the pieces when `count` is cut evenly into as few as hold at most `most` each. */
const piece = (count: number, most: number): number => Math.ceil(count / Math.ceil(count / most));

export const tapsForward: ForwardVariant = {
  name: 'taps',
  usable,
  preferred,
  dispatches(shape, device, epilogue = plainEpilogue(shape)) {
    const [outHeight, outWidth] = outputSize(shape);
    const words = padded(shape.filters);
    const { rows } = bestTile(words, TILES);
    const blocks = shape.batch * Math.ceil(outHeight / BLOCK[0]) * Math.ceil(outWidth / BLOCK[1]);
    return [
      {
        wgsl: new URL('./forward.taps.wgsl', import.meta.url),
        constants: { SUBGROUP: device.subgroupSize, ROWS: rows, TAPS: piece(shape.kernel[1], MOST_TAPS), STRIDE: shape.stride[1] },
        bind: ['x', 'weight', epilogue.terms, 'y'],
        uniforms: [...sizesOf(shape, [words / 4]), blocks, ...epilogueUniforms(epilogue)],
        workgroups: spread(Math.ceil(blocks / device.subgroupSize) * Math.ceil(words / rows), device.maxWorkgroups),
      },
    ];
  },
};

interface GradientCut {
  readonly perLane: number;
  readonly taps: number;
  readonly lines: number;
  /** Workgroups of one split. */
  readonly tiles: number;
  readonly rows: number;
  readonly rowsPerSplit: number;
  readonly splits: number;
}

function cut(shape: Conv2dShape, device: DeviceTraits): GradientCut {
  const words = padded(shape.filters);
  const perLane = words <= device.subgroupSize ? 1 : 2;
  const taps = piece(shape.kernel[1], MOST_GRADIENT_TAPS_ACROSS);
  const lines = piece(shape.kernel[0], Math.floor(MOST_GRADIENT_TAPS / taps));
  const blocks = Math.ceil(words / (perLane * device.subgroupSize));
  const tiles = blocks * Math.ceil(shape.kernel[1] / taps) * Math.ceil(shape.kernel[0] / lines);
  const rows = shape.batch * outputSize(shape)[0];
  const most = Math.ceil(outputPixels(shape) / LEAST_PIXELS_PER_SPLIT);
  const rowsPerSplit = Math.ceil(rows / Math.min(rows, most, Math.ceil(WANTED_WORKGROUPS / tiles)));
  return { perLane, taps, lines, tiles, rows, rowsPerSplit, splits: Math.ceil(rows / rowsPerSplit) };
}

export const tapsWeightGradient: Variant<Conv2dShape> = {
  name: 'taps',
  usable,
  preferred,
  scratchWords: (shape, device) => {
    const { splits } = cut(shape, device);
    return splits === 1 ? 0 : splits * weightWords(shape);
  },
  dispatches(shape, device) {
    const { perLane, taps, lines, tiles, rows, rowsPerSplit, splits } = cut(shape, device);
    const [x, y] = spread(tiles, device.maxWorkgroups);
    return [
      {
        wgsl: new URL('./weight-gradient.taps.wgsl', import.meta.url),
        constants: { SUBGROUP: device.subgroupSize, PER_LANE: perLane, LINES: lines, TAPS: taps, STRIDE: shape.stride[1] },
        bind: ['x', 'dy', splits === 1 ? 'dweight' : 'scratch'],
        uniforms: [...sizesOf(shape, [padded(shape.filters)]), rows, rowsPerSplit],
        workgroups: [x, y, splits],
      },
      ...sumPartials('dweight', weightWords(shape), splits, device),
    ];
  },
};
