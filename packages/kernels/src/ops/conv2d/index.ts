// conv2d: 2-D cross-correlation with stride, padding and groups, and its gradients.
//
// Layouts (F filters, C channels; a 4 behind a letter: rounded up to a multiple of 4, the excess zero):
//   x, dx [N, H, W, C4]   y, dy [N, OH, OW, F4]   bias, dbias [F4]
//   weight, dweight [F4, KH, KW, C4], with groups > 1 [F4, KH, KW, C / groups]
import { padded, type Op, type TensorDeclaration } from '../op.js';
import { paddedNormal } from '../../testing/random.js';
import { halfForward, halfInputGradient, halfWeightGradient } from './half.js';
import { matrixForward, matrixInputGradient, matrixWeightGradient } from './matrix.js';
import { plainBiasGradient, plainForward, plainInputGradient, plainWeightGradient } from './plain.js';
import { conv2dBiasGradient, conv2dForward, conv2dInputGradient, conv2dWeightGradient } from './reference.js';
import { depthwiseForward, depthwiseInputGradient, depthwiseWeightGradient } from './depthwise.js';
import { errors, large, samples } from './samples.js';
import { subgroupForward, subgroupInputGradient, subgroupWeightGradient } from './subgroup.js';
import { tiledForward, tiledInputGradient, tiledWeightGradient } from './tiled.js';
import { tapsForward, tapsWeightGradient } from './taps.js';
import { conv2dTuning } from './tuning.js';
import { windowForward, windowInputGradient, windowWeightGradient } from './window.js';
import { winogradForward, winogradInputGradient } from './winograd.js';
import { winogradWeightGradient } from './winograd-gradient.js';
import { checkConv2d, inputWords, multiplyAddFlops, outputPixels, outputWords, tapWords, weightWords, type Conv2dShape } from './shape.js';

export { outputSize, type Conv2dShape } from './shape.js';

type Tensor = TensorDeclaration<Conv2dShape>;
const f32 = 'f32' as const;

const x: Tensor = {
  name: 'x',
  role: 'in',
  type: f32,
  words: inputWords,
  fill: ({ batch, height, width, channels }, random) => paddedNormal(batch * height * width, channels, random),
};

const dy: Tensor = {
  name: 'dy',
  role: 'in',
  type: f32,
  words: outputWords,
  fill: (shape, random) => paddedNormal(outputPixels(shape), shape.filters, random),
};

const weight: Tensor = {
  name: 'weight',
  role: 'in',
  type: f32,
  words: weightWords,
  fill: (shape, random) => {
    const { channels, filters, kernel, groups } = shape;
    const real = filters * kernel[0] * kernel[1];
    const values = new Float64Array(weightWords(shape));
    const columns = channels / groups;
    for (let r = 0; r < real; r++) for (let c = 0; c < columns; c++) values[r * tapWords(shape) + c] = random.normal();
    return values;
  },
};

const bias: Tensor = {
  name: 'bias',
  role: 'in',
  type: f32,
  words: ({ filters }) => padded(filters),
  optional: (shape) => !shape.bias,
  fill: ({ filters }, random) => paddedNormal(1, filters, random),
};

export const conv2d: Op<Conv2dShape> = {
  name: 'conv2d',
  passes: {
    forward: {
      tensors: [x, weight, bias, { name: 'y', role: 'out', type: f32, words: outputWords }],
      flops: multiplyAddFlops,
      tolerance: 1e-5,
      reference: conv2dForward,
      variants: [
        matrixForward,
        halfForward,
        tiledForward,
        winogradForward,
        tapsForward,
        windowForward,
        subgroupForward,
        depthwiseForward,
        plainForward,
      ],
    },
    'input-gradient': {
      tensors: [dy, weight, { name: 'dx', role: 'out', type: f32, words: inputWords }],
      flops: multiplyAddFlops,
      tolerance: 1e-5,
      reference: conv2dInputGradient,
      differentiates: { pass: 'forward', cotangents: { dy: 'y' }, gradients: { dx: 'x' } },
      variants: [
        matrixInputGradient,
        halfInputGradient,
        tiledInputGradient,
        winogradInputGradient,
        windowInputGradient,
        subgroupInputGradient,
        depthwiseInputGradient,
        plainInputGradient,
      ],
    },
    'weight-gradient': {
      tensors: [x, dy, { name: 'dweight', role: 'out', type: f32, words: weightWords }],
      flops: multiplyAddFlops,
      tolerance: 1e-5,
      reference: conv2dWeightGradient,
      differentiates: { pass: 'forward', cotangents: { dy: 'y' }, gradients: { dweight: 'weight' } },
      variants: [
        matrixWeightGradient,
        halfWeightGradient,
        tiledWeightGradient,
        winogradWeightGradient,
        tapsWeightGradient,
        windowWeightGradient,
        subgroupWeightGradient,
        depthwiseWeightGradient,
        plainWeightGradient,
      ],
    },
    'bias-gradient': {
      tensors: [dy, { name: 'dbias', role: 'out', type: f32, words: ({ filters }) => padded(filters) }],
      flops: (shape) => outputPixels(shape) * shape.filters,
      tolerance: 1e-5,
      reference: conv2dBiasGradient,
      differentiates: { pass: 'forward', cotangents: { dy: 'y' }, gradients: { dbias: 'bias' } },
      variants: [plainBiasGradient],
    },
  },
  check: checkConv2d,
  samples,
  large,
  tuning: conv2dTuning,
  errors,
};
