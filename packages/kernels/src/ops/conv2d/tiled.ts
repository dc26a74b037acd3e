// The dispatches of conv2d's `tiled` variants: implicit matrix products through workgroup memory, 8 x 8 sums an invocation,
// for discrete GPUs. A software adapter runs them correctly but slowly: its workgroup memory is memory, its barriers switch
// coroutines. They take 16 KiB of workgroup memory and 256 invocations at most, which every WebGPU adapter grants.
import { padded, spread, type DeviceTraits, type Variant } from '../op.js';
import { epilogueUniforms, plainEpilogue, type ForwardVariant } from './epilogue.js';
import { sizesOf, sumPartials, vectorsOf } from './plain.js';
import { classGrid, inputWords, outputPixels, outputWords, weightWords, type Conv2dShape } from './shape.js';

/** Rows of every tile: pixels, or (tap, channel) pairs in the weight gradient. */
const TILE_ROWS = 128;
/** Numbers of K that one step takes. */
const STEP = 8;
const INVOCATIONS_PER_ACROSS = 16;
/** Tiles have 8 times as many columns, and 16 times as many invocations. */
type Across = 16 | 4;
/** The large tile needs half the loads for a product; it is taken where its columns are used to this share. */
const LEAST_USE = 0.75;
/** At most this many partial sums of one number. */
const MOST_SPLITS = 256;
/** Scratch memory is one binding; adapters grant at least 128 MiB. */
const MOST_SCRATCH_WORDS = 2 ** 25;

/** What it takes to occupy a device. */
interface Occupancy {
  /** Workgroups of the large tile. */
  readonly largeTiles: number;
  readonly invocations: number;
  /** A split sums at least this many numbers of K for each sum that it writes and that is read again. */
  readonly depthPerSplit: number;
}

/** Judged for GPUs of 100 and more cores, not measured. Software adapters, which only test these kernels, take all forms early. */
const occupancy = ({ kind }: DeviceTraits): Occupancy =>
  kind === 'gpu' ? { largeTiles: 128, invocations: 65_536, depthPerSplit: 256 } : { largeTiles: 1, invocations: 1024, depthPerSplit: 32 };

const usable = ({ groups }: Conv2dShape): boolean => groups === 1;
const preferred = (_: Conv2dShape, { kind }: DeviceTraits): boolean => kind === 'gpu';

/** A product of rows x columns, `copies` times, each summed over `depth`; `words` is the length of the result. */
export interface Product {
  readonly rows: number;
  readonly columns: number;
  readonly copies: number;
  readonly depth: number;
  readonly words: number;
}

/** How the sums over K are cut into splits, so that the workgroups occupy the device. */
export interface Cut {
  readonly steps: number;
  readonly stepsPerSplit: number;
  readonly splits: number;
}

const mostSplits = ({ depth, words }: Product, device: DeviceTraits): number =>
  Math.max(1, Math.min(MOST_SPLITS, Math.floor(MOST_SCRATCH_WORDS / words), Math.floor(depth / occupancy(device).depthPerSplit)));

/** Steps of `step` numbers, for so many invocations a split. */
export function cutDepth(product: Product, step: number, invocations: number, device: DeviceTraits): Cut {
  const steps = Math.ceil(product.depth / step);
  const splitsWanted = Math.max(1, Math.floor(occupancy(device).invocations / invocations));
  const stepsPerSplit = Math.max(1, Math.ceil(steps / Math.min(mostSplits(product, device), splitsWanted)));
  return { steps, stepsPerSplit, splits: Math.max(1, Math.ceil(steps / stepsPerSplit)) };
}

interface TiledCut extends Cut {
  readonly across: Across;
  /** Workgroups of one copy and split. */
  readonly tiles: number;
}

function cut(product: Product, device: DeviceTraits): TiledCut {
  const { rows, columns, copies } = product;
  const tilesOf = (candidate: Across): number => Math.ceil(rows / TILE_ROWS) * Math.ceil(columns / (8 * candidate));
  const used = columns / (Math.ceil(columns / 128) * 128);
  const large = used >= LEAST_USE && tilesOf(16) * copies * mostSplits(product, device) >= occupancy(device).largeTiles;
  const across = large ? 16 : 4;
  const tiles = tilesOf(across);
  return { across, tiles, ...cutDepth(product, STEP, INVOCATIONS_PER_ACROSS * across * tiles * copies, device) };
}

const scratch = (product: Product, device: DeviceTraits): number => {
  const { splits } = cut(product, device);
  return splits === 1 ? 0 : splits * product.words;
};

export const forwardProduct = (shape: Conv2dShape): Product => ({
  rows: outputPixels(shape),
  columns: padded(shape.filters),
  copies: 1,
  depth: shape.kernel[0] * shape.kernel[1] * padded(shape.channels),
  words: outputWords(shape),
});

export const tiledForward: ForwardVariant = {
  name: 'tiled',
  usable,
  preferred,
  takes: (shape, device, { side }) => side === 1 && cut(forwardProduct(shape), device).splits === 1,
  scratchWords: (shape, device) => scratch(forwardProduct(shape), device),
  dispatches(shape, device, epilogue = plainEpilogue(shape)) {
    const { across, tiles, steps, stepsPerSplit, splits } = cut(forwardProduct(shape), device);
    const [x, y] = spread(tiles, device.maxWorkgroups);
    const [has, relu] = epilogueUniforms(epilogue);
    return [
      {
        wgsl: new URL('./forward.tiled.wgsl', import.meta.url),
        constants: { ACROSS: across },
        bind: ['x', 'weight', epilogue.terms, splits === 1 ? 'y' : 'scratch'],
        uniforms: [...sizesOf(shape, vectorsOf(shape)), outputPixels(shape), has, relu, steps, stepsPerSplit],
        workgroups: [x, y, splits],
      },
      ...sumPartials('y', outputWords(shape), splits, device),
    ];
  },
};

/** Without window, stride and padding all pixels are alike; one long row spares the walk over short ones. */
export function flattened(shape: Conv2dShape): Conv2dShape {
  const pointwise = shape.kernel.every((k) => k === 1) && shape.stride.every((s) => s === 1) && shape.padding.every((p) => p === 0);
  return pointwise ? { ...shape, batch: 1, height: 1, width: outputPixels(shape) } : shape;
}

export const inputProduct = (shape: Conv2dShape): Product => {
  const { batch, channels, filters, kernel, stride } = shape;
  const [gridHeight, gridWidth] = classGrid(shape);
  return {
    rows: batch * gridHeight * gridWidth,
    columns: padded(channels),
    copies: stride[0] * stride[1],
    // Of the class with most taps.
    depth: Math.ceil(kernel[0] / stride[0]) * Math.ceil(kernel[1] / stride[1]) * padded(filters),
    words: inputWords(shape),
  };
};

export const tiledInputGradient: Variant<Conv2dShape> = {
  name: 'tiled',
  usable,
  preferred,
  scratchWords: (shape, device) => scratch(inputProduct(shape), device),
  dispatches(shape, device) {
    const product = inputProduct(shape);
    const { across, tiles, stepsPerSplit, splits } = cut(product, device);
    const [x, y] = spread(tiles, device.maxWorkgroups);
    return [
      {
        wgsl: new URL('./input-gradient.tiled.wgsl', import.meta.url),
        constants: { ACROSS: across },
        bind: ['dy', 'weight', splits === 1 ? 'dx' : 'scratch'],
        uniforms: [...sizesOf(shape, vectorsOf(shape)), ...classGrid(shape), product.rows, splits, stepsPerSplit],
        workgroups: [x, y, product.copies * splits],
      },
      ...sumPartials('dx', product.words, splits, device),
    ];
  },
};

export const weightProduct = (shape: Conv2dShape): Product => ({
  rows: weightWords(shape) / padded(shape.filters),
  columns: padded(shape.filters),
  copies: 1,
  depth: outputPixels(shape),
  words: weightWords(shape),
});

export const tiledWeightGradient: Variant<Conv2dShape> = {
  name: 'tiled',
  usable,
  preferred,
  scratchWords: (shape, device) => scratch(weightProduct(shape), device),
  dispatches(original, device) {
    const shape = flattened(original);
    const { across, tiles, steps, stepsPerSplit, splits } = cut(weightProduct(shape), device);
    const [x, y] = spread(tiles, device.maxWorkgroups);
    return [
      {
        wgsl: new URL('./weight-gradient.tiled.wgsl', import.meta.url),
        constants: { ACROSS: across },
        bind: ['x', 'dy', splits === 1 ? 'dweight' : 'scratch'],
        uniforms: [...sizesOf(shape, vectorsOf(shape)), outputPixels(shape), steps, stepsPerSplit],
        workgroups: [x, y, splits],
      },
      ...sumPartials('dweight', weightWords(shape), splits, device),
    ];
  },
};
