// linear: y = x weight^T + bias over a batch of vectors, and its gradients; with it the three forms of matrix product
// (forward NT, input-gradient NN, weight-gradient TN). The kernels are conv2d's: a linear layer is a 1x1 convolution over
// images of one pixel. The references are its own.
import { conv2d } from '../conv2d/index.js';
import { padded, type Op, type TensorDeclaration, type Variant } from '../op.js';
import { paddedNormal } from '../../testing/random.js';
import { linearBiasGradient, linearForward, linearInputGradient, linearWeightGradient } from './reference.js';
import { linearTuning } from './tuning.js';
import { asConv2d, checkLinear, type LinearShape } from './shape.js';

export type { LinearShape } from './shape.js';

type Tensor = TensorDeclaration<LinearShape>;
const f32 = 'f32' as const;

const weightWords = ({ inputs, outputs }: LinearShape): number => padded(outputs) * inputs;
const inputWords = ({ batch, inputs }: LinearShape): number => batch * inputs;
const outputWords = ({ batch, outputs }: LinearShape): number => batch * padded(outputs);
const biasWords = ({ outputs }: LinearShape): number => padded(outputs);

const x: Tensor = { name: 'x', role: 'in', type: f32, words: inputWords };

const dy: Tensor = {
  name: 'dy',
  role: 'in',
  type: f32,
  words: outputWords,
  fill: ({ batch, outputs }, random) => paddedNormal(batch, outputs, random),
};

const weight: Tensor = {
  name: 'weight',
  role: 'in',
  type: f32,
  words: weightWords,
  fill: (shape, random) => {
    const values = new Float64Array(weightWords(shape));
    return values.map((_, i) => (i < shape.outputs * shape.inputs ? random.normal() : 0));
  },
};

const bias: Tensor = {
  name: 'bias',
  role: 'in',
  type: f32,
  words: biasWords,
  optional: (shape) => !shape.bias,
  fill: ({ outputs }, random) => paddedNormal(1, outputs, random),
};

/** 2 operations for each multiply-add of batch x inputs x outputs. */
const flops = ({ batch, inputs, outputs }: LinearShape): number => 2 * batch * inputs * outputs;

/** conv2d's variants for windows of several pixels or several groups: of no use to a linear layer. */
const WINDOW_VARIANTS = ['winograd', 'taps', 'window', 'depthwise'];

/** conv2d's other variants of a pass, seen with a linear layer's shape. */
const variantsOf = (pass: string): Variant<LinearShape>[] =>
  conv2d.passes[pass]!.variants.filter(({ name }) => !WINDOW_VARIANTS.includes(name)).map((variant) => ({
    ...variant,
    usable: (shape, device) => variant.usable(asConv2d(shape), device),
    preferred: (shape, device) => variant.preferred?.(asConv2d(shape), device) ?? true,
    scratchWords: (shape, device) => variant.scratchWords?.(asConv2d(shape), device) ?? 0,
    dispatches: (shape, device) => variant.dispatches(asConv2d(shape), device),
  }));

export const linear: Op<LinearShape> = {
  name: 'linear',
  passes: {
    forward: {
      tensors: [x, weight, bias, { name: 'y', role: 'out', type: f32, words: outputWords }],
      flops,
      tolerance: 1e-5,
      reference: linearForward,
      variants: variantsOf('forward'),
    },
    'input-gradient': {
      tensors: [dy, weight, { name: 'dx', role: 'out', type: f32, words: inputWords }],
      flops,
      tolerance: 1e-5,
      reference: linearInputGradient,
      differentiates: { pass: 'forward', cotangents: { dy: 'y' }, gradients: { dx: 'x' } },
      variants: variantsOf('input-gradient'),
    },
    'weight-gradient': {
      tensors: [x, dy, { name: 'dweight', role: 'out', type: f32, words: weightWords }],
      flops,
      tolerance: 1e-5,
      reference: linearWeightGradient,
      differentiates: { pass: 'forward', cotangents: { dy: 'y' }, gradients: { dweight: 'weight' } },
      variants: variantsOf('weight-gradient'),
    },
    'bias-gradient': {
      tensors: [dy, { name: 'dbias', role: 'out', type: f32, words: biasWords }],
      flops: ({ batch, outputs }) => batch * outputs,
      tolerance: 1e-5,
      reference: linearBiasGradient,
      differentiates: { pass: 'forward', cotangents: { dy: 'y' }, gradients: { dbias: 'bias' } },
      variants: variantsOf('bias-gradient'),
    },
  },
  check: checkLinear,
  samples: [
    { batch: 8, inputs: 16, outputs: 8, bias: false },
    { batch: 64, inputs: 64, outputs: 10, bias: true },
    { batch: 7, inputs: 100, outputs: 13, bias: true },
    { batch: 1, inputs: 4, outputs: 1, bias: true },
    { batch: 1, inputs: 260, outputs: 3, bias: false },
    { batch: 33, inputs: 12, outputs: 70, bias: true },
    { batch: 130, inputs: 36, outputs: 5, bias: false },
  ],
  tuning: linearTuning,
  errors: [
    { shape: { batch: 2, inputs: 6, outputs: 3, bias: false }, message: /inputs is 6; it must be a multiple of 4/ },
    { shape: { batch: 0, inputs: 8, outputs: 3, bias: false }, message: /batch is 0/ },
    { shape: { batch: 2, inputs: 8, outputs: 1.5, bias: true }, message: /outputs is 1.5/ },
  ],
};
