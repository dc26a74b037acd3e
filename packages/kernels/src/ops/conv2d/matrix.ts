// The dispatches of conv2d's `matrix` variants: implicit matrix products on matrix units (tensor cores), operands rounded to f16,
// sums in f32. For mixed precision only, as the results carry 11 bits: about 1e-3 of the largest.
import { spread, type DeviceTraits, type Variant } from '../op.js';
import { halfOperands } from './half.js';
import { sizesOf, sumPartials, vectorsOf } from './plain.js';
import { classGrid, outputPixels, weightWords, type Conv2dShape } from './shape.js';
import { cutDepth, flattened, forwardProduct, inputProduct, weightProduct, type Cut, type Product } from './tiled.js';

/** Rows and columns of a workgroup's tile; invocations of a workgroup; numbers of K in a step. */
const TILE = 128;
const INVOCATIONS = 256;
const STEP = 32;

const common = {
  ...halfOperands,
  name: 'matrix',
  needs: 'chromium-experimental-subgroup-matrix',
  tolerance: 2e-3,
  usable: ({ groups }: Conv2dShape, { matrixUnits, subgroupSize }: DeviceTraits): boolean =>
    groups === 1 && matrixUnits === true && subgroupSize === 32,
} as const;

const tilesOf = ({ rows, columns }: Product): number => Math.ceil(rows / TILE) * Math.ceil(columns / TILE);

const cut = (product: Product, device: DeviceTraits): Cut =>
  cutDepth(product, STEP, INVOCATIONS * tilesOf(product) * product.copies, device);

const scratch = (product: Product, device: DeviceTraits): number => {
  const { splits } = cut(product, device);
  return splits === 1 ? 0 : splits * product.words;
};

export const matrixForward: Variant<Conv2dShape> = {
  ...common,
  scratchWords: (shape, device) => scratch(forwardProduct(shape), device),
  dispatches(shape, device) {
    const product = forwardProduct(shape);
    const { steps, stepsPerSplit, splits } = cut(product, device);
    const [x, y] = spread(tilesOf(product), device.maxWorkgroups);
    return [
      {
        wgsl: new URL('./forward.matrix.wgsl', import.meta.url),
        bind: ['x', 'weight', shape.bias ? 'bias' : 'weight', splits === 1 ? 'y' : 'scratch'],
        uniforms: [...sizesOf(shape, vectorsOf(shape)), product.rows, Number(shape.bias), steps, stepsPerSplit],
        workgroups: [x, y, splits],
      },
      ...sumPartials('y', product.words, splits, device),
    ];
  },
};

export const matrixInputGradient: Variant<Conv2dShape> = {
  ...common,
  scratchWords: (shape, device) => scratch(inputProduct(shape), device),
  dispatches(shape, device) {
    const product = inputProduct(shape);
    const { stepsPerSplit, splits } = cut(product, device);
    const [x, y] = spread(tilesOf(product), device.maxWorkgroups);
    const sizes = [...sizesOf(shape, vectorsOf(shape)), ...classGrid(shape), product.rows, splits, stepsPerSplit];
    return [
      {
        wgsl: new URL('./input-gradient.matrix.wgsl', import.meta.url),
        bind: ['dy', 'weight', splits === 1 ? 'dx' : 'scratch'],
        uniforms: sizes,
        workgroups: [x, y, product.copies * splits],
      },
      ...sumPartials('dx', product.words, splits, device),
    ];
  },
};

export const matrixWeightGradient: Variant<Conv2dShape> = {
  ...common,
  scratchWords: (shape, device) => scratch(weightProduct(shape), device),
  dispatches(original, device) {
    const shape = flattened(original);
    const product = weightProduct(shape);
    const { steps, stepsPerSplit, splits } = cut(product, device);
    const [x, y] = spread(tilesOf(product), device.maxWorkgroups);
    const sizes = [...sizesOf(shape, vectorsOf(shape)), outputPixels(shape), steps, stepsPerSplit];
    return [
      {
        wgsl: new URL('./weight-gradient.matrix.wgsl', import.meta.url),
        bind: ['x', 'dy', splits === 1 ? 'dweight' : 'scratch'],
        uniforms: sizes,
        workgroups: [x, y, splits],
      },
      ...sumPartials('dweight', weightWords(shape), splits, device),
    ];
  },
};
