// The dispatches of conv2d's `window` variants: windows 2 or 3 wide, stride 1, and a border that keeps rows and columns as they are.
// Pixels of input and output then lie in the same place, and so one load of a pixel serves all taps of a window row, where
// `subgroup` loads it for each.
import { padded, spread, type DeviceTraits, type Variant } from '../op.js';
import { epilogueUniforms, plainEpilogue, type ForwardVariant } from './epilogue.js';
import { sumPartials, vectorsOf } from './plain.js';
import { outputPixels, weightWords, type Conv2dShape } from './shape.js';
import { bestTile, hasLanes, preferred, TILE_PIXELS_PER_LANE, TILES, type Tile } from './subgroup.js';

/** Tiles of the forward pass and the input gradient by the window's width; the costs in the unit of `subgroup`'s, as measured on lavapipe. */
const PIXEL_TILES: Readonly<Record<number, readonly Tile[]>> = {
  2: [
    { rows: 16, cost: 0.88 },
    { rows: 8, cost: 0.5 },
  ],
  3: [
    { rows: 12, cost: 0.75 },
    { rows: 8, cost: 0.53 },
  ],
};
/** Tiles of the weight gradient. Larger ones, here and above, would not fit into the instruction cache. */
const GRADIENT_TILES: readonly Tile[] = [
  { rows: 16, cost: 1 },
  { rows: 8, cost: 0.6 },
];
/** Workgroups wanted at least when a weight gradient's sum over pixels is split: some tens for each core. */
const WANTED_WORKGROUPS = 96;
/** A split sums at least this many pixels, as each split writes and reads a copy of the weights. */
const LEAST_PIXELS_PER_SPLIT = 256;

const usable = ({ kernel, stride, padding, groups }: Conv2dShape, device: DeviceTraits): boolean => {
  const [top, left, bottom, right] = padding;
  const [tall, wide] = kernel;
  const keepsSize = left === wide - 2 && right === 1 && top + bottom === tall - 1;
  return groups === 1 && hasLanes(device) && (wide === 2 || wide === 3) && stride.every((s) => s === 1) && keepsSize;
};

const pixelTile = ({ kernel }: Conv2dShape, words: number): ReturnType<typeof bestTile> => bestTile(words, PIXEL_TILES[kernel[1]]!);

/** Of two loops over taps the larger tile wins where rows are many: `subgroup` with 16 or 32 rows. */
const pays = (shape: Conv2dShape, words: number): boolean => pixelTile(shape, words).time < bestTile(words, TILES).time;

/** Workgroups that cover all pixels with tiles of `rows` of `words`. */
const workgroups = (shape: Conv2dShape, words: number, rows: number, device: DeviceTraits): readonly [number, number, number] =>
  spread(Math.ceil(outputPixels(shape) / (TILE_PIXELS_PER_LANE * device.subgroupSize)) * Math.ceil(words / rows), device.maxWorkgroups);

export const windowForward: ForwardVariant = {
  name: 'window',
  usable: (shape, device) => usable(shape, device) && pays(shape, padded(shape.filters)),
  // A lane has 4 pixels in a row: no squares to pool.
  takes: (_shape, _device, { side }) => side === 1,
  preferred,
  dispatches(shape, device, epilogue = plainEpilogue(shape)) {
    const { height, width, filters, kernel, padding } = shape;
    const { rows } = pixelTile(shape, padded(filters));
    const [has, relu] = epilogueUniforms(epilogue);
    return [
      {
        wgsl: new URL('./forward.window.wgsl', import.meta.url),
        constants: { SUBGROUP: device.subgroupSize, ROWS: rows, TAPS: kernel[1] },
        bind: ['x', 'weight', epilogue.terms, 'y'],
        uniforms: [height, width, ...vectorsOf(shape), kernel[0], padding[0], outputPixels(shape), has, relu],
        workgroups: workgroups(shape, padded(filters), rows, device),
      },
    ];
  },
};

export const windowInputGradient: Variant<Conv2dShape> = {
  name: 'window',
  usable: (shape, device) => usable(shape, device) && pays(shape, padded(shape.channels)),
  preferred,
  dispatches(shape, device) {
    const { height, width, channels, kernel, padding } = shape;
    const { rows } = pixelTile(shape, padded(channels));
    return [
      {
        wgsl: new URL('./input-gradient.window.wgsl', import.meta.url),
        constants: { SUBGROUP: device.subgroupSize, ROWS: rows, TAPS: kernel[1] },
        bind: ['dy', 'weight', 'dx'],
        uniforms: [height, width, ...vectorsOf(shape), kernel[0], padding[0], outputPixels(shape)],
        workgroups: workgroups(shape, padded(channels), rows, device),
      },
    ];
  },
};

interface Cut {
  /** Filters of a tile. */
  readonly rows: number;
  /** Workgroups of one split. */
  readonly tiles: number;
  readonly pixels: number;
  /** A multiple of 4. */
  readonly pixelsPerSplit: number;
  readonly splits: number;
}

function cut(shape: Conv2dShape, device: DeviceTraits): Cut {
  const words = padded(shape.filters);
  const { rows } = bestTile(words, GRADIENT_TILES);
  const columns = (shape.kernel[0] * padded(shape.channels)) / 4;
  const tiles = Math.ceil(columns / device.subgroupSize) * Math.ceil(words / rows);
  const pixels = outputPixels(shape);
  const wanted = Math.min(Math.ceil(pixels / LEAST_PIXELS_PER_SPLIT), Math.ceil(WANTED_WORKGROUPS / tiles));
  const pixelsPerSplit = padded(Math.ceil(pixels / wanted));
  return { rows, tiles, pixels, pixelsPerSplit, splits: Math.ceil(pixels / pixelsPerSplit) };
}

export const windowWeightGradient: Variant<Conv2dShape> = {
  name: 'window',
  usable,
  preferred,
  scratchWords: (shape, device) => {
    const { splits } = cut(shape, device);
    return splits === 1 ? 0 : splits * weightWords(shape);
  },
  dispatches(shape, device) {
    const { height, width, kernel, padding } = shape;
    const { rows, tiles, pixels, pixelsPerSplit, splits } = cut(shape, device);
    const [x, y] = spread(tiles, device.maxWorkgroups);
    return [
      {
        wgsl: new URL('./weight-gradient.window.wgsl', import.meta.url),
        constants: { SUBGROUP: device.subgroupSize, ROWS: rows, TAPS: kernel[1] },
        bind: ['x', 'dy', splits === 1 ? 'dweight' : 'scratch'],
        uniforms: [height, width, ...vectorsOf(shape), kernel[0], padding[0], pixels, pixelsPerSplit],
        workgroups: [x, y, splits],
      },
      ...sumPartials('dweight', weightWords(shape), splits, device),
    ];
  },
};
