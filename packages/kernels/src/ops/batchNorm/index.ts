// batchNorm: (x - mean) / sqrt(variance + epsilon) * gamma + beta per channel (Ioffe, Szegedy 2015), and what often follows it
// in the same pass over the data: y = f(that + residual), f the ReLU or the identity. `forward` takes the batch's statistics,
// saves them for `gradient` and moves the running ones; `evaluate` takes the running ones.
import { requirePositiveIntegers } from '../checks.js';
import { ShapeError, f32, padded, type Dispatch, type Op, type TensorDeclaration, type Variant } from '../op.js';
import type { Random } from '../../testing/random.js';
import { evaluateReference, forwardReference, gradientReference } from './reference.js';
import { benchmarks, samples } from './samples.js';
import { slice, type Grain, type Slicing } from './slicing.js';
import { wholeForward, wholeGradient } from './whole.js';

export interface BatchNormShape {
  /** N * H * W. */
  readonly rows: number;
  readonly channels: number;
  /** Added to the variance; positive. */
  readonly epsilon: number;
  /** Weight of the new batch in the running statistics, 0 to 1: PyTorch's sense, ONNX has 1 minus it. */
  readonly momentum: number;
  /** Whether a ReLU follows; not by default. */
  readonly relu?: boolean;
  /** Whether `residual`, a tensor like y, is added before the ReLU; not by default. */
  readonly residual?: boolean;
  /** Whether y has two readers and its gradient is `dy` + `dyOther`, only with a residual and a ReLU; not by default. */
  readonly twoReaders?: boolean;
}

type Tensor = TensorDeclaration<BatchNormShape>;

const activationWords = ({ rows, channels }: BatchNormShape): number => rows * padded(channels);
const channelWords = ({ channels }: BatchNormShape): number => padded(channels);

/** Every channel has its own mean and deviation; the second has the hard case for a variance in f32: mean 100, deviation 0.1. */
function spreadChannels({ rows, channels }: BatchNormShape, random: Random): Float64Array {
  const means = [0, 100, -3, 0.5];
  const deviations = [1, 0.1, 2, 5];
  const width = padded(channels);
  return Float64Array.from({ length: rows * width }, (_, i) => {
    const c = i % width;
    return c < channels ? means[c % 4]! + deviations[c % 4]! * random.normal() : 0;
  });
}

/** Test data for a [C4] tensor; the padding holds `pad`. */
const perChannel =
  (draw: (random: Random, channel: number) => number, pad = 0) =>
  ({ channels }: BatchNormShape, random: Random): Float64Array =>
    Float64Array.from({ length: padded(channels) }, (_, c) => (c < channels ? draw(random, c) : pad));

const gradientRows = ({ rows, channels }: BatchNormShape, random: Random): Float64Array => {
  const width = padded(channels);
  return Float64Array.from({ length: rows * width }, (_, i) => (i % width < channels ? random.normal() : 0));
};

const activationTensor = (name: string, role: Tensor['role'], fill?: Tensor['fill']): Tensor => ({
  name,
  role,
  type: 'f32',
  words: activationWords,
  ...(fill === undefined ? {} : { fill }),
});
const x = activationTensor('x', 'in', spreadChannels);
const y = activationTensor('y', 'out');
const dy = activationTensor('dy', 'in', gradientRows);
const dx = activationTensor('dx', 'out');
const residual: Tensor = { ...activationTensor('residual', 'in', gradientRows), optional: (shape) => shape.residual !== true };
/** A ReLU behind a sum: its mask comes from y, and the residual's gradient is dy under it. Without the ReLU it is dy itself. */
const masksSum = (shape: BatchNormShape): boolean => shape.residual === true && shape.relu === true;
const savedY: Tensor = { ...activationTensor('y', 'in'), optional: (shape) => !masksSum(shape) };
const dyOther: Tensor = { ...activationTensor('dyOther', 'in', gradientRows), optional: (shape) => shape.twoReaders !== true };
const dresidual: Tensor = { ...activationTensor('dresidual', 'out'), optional: (shape) => !masksSum(shape) };

const channel = (name: string, role: Tensor['role'], fill?: Tensor['fill']): Tensor => ({
  name,
  role,
  type: 'f32',
  words: channelWords,
  ...(fill === undefined ? {} : { fill }),
});
const gamma = channel(
  'gamma',
  'in',
  perChannel((random) => 1 + 0.3 * random.normal()),
);
const beta = channel(
  'beta',
  'in',
  perChannel((random) => random.normal()),
);
// What the running statistics of padded channels hold must not matter: gamma and beta are 0 there.
const runningMean = (role: Tensor['role']): Tensor =>
  channel(
    'runningMean',
    role,
    perChannel((random, c) => (c % 4 === 1 ? 100 : random.normal()), 0.3),
  );
const runningVariance = (role: Tensor['role']): Tensor =>
  channel(
    'runningVariance',
    role,
    perChannel((random) => 0.5 + random.uniform(), 1),
  );

function forwardDispatches(shape: BatchNormShape, grain: Grain): Dispatch[] {
  return [...statistics(shape, slice(shape, grain)), apply(shape, grain, 'mean', 'variance')];
}

/** mean and variance of the batch, and the running ones moved; for any op that normalises [rows, channels]. */
export function statistics({ rows, momentum }: BatchNormShape, slicing: Slicing): Dispatch[] {
  const { vectors, blockVectors, blocks, rowLanes, chunkRows, chunks, chunkLanes } = slicing;
  return [
    {
      wgsl: new URL('./statistics.wgsl', import.meta.url),
      bind: ['x', 'scratch'],
      uniforms: [rows, vectors, blockVectors, rowLanes, chunkRows, chunks],
      workgroups: [chunks, blocks, 1],
    },
    {
      wgsl: new URL('./finalise.wgsl', import.meta.url),
      bind: ['scratch', 'runningMean', 'runningVariance', 'mean', 'variance'],
      uniforms: [rows, vectors, chunkRows, chunks, chunkLanes, f32(momentum)],
      workgroups: [Math.ceil((vectors * chunkLanes) / 64), 1, 1],
    },
  ];
}

function apply(shape: BatchNormShape, grain: Grain, mean: string, variance: string): Dispatch {
  const { vectors, blockVectors, blocks, rowLanes, chunkRows, chunks } = slice(shape, grain);
  const added = shape.residual === true;
  return {
    wgsl: added ? new URL('./apply.residual.wgsl', import.meta.url) : new URL('./apply.wgsl', import.meta.url),
    bind: ['x', 'gamma', 'beta', mean, variance, ...(added ? ['residual'] : []), 'y'],
    uniforms: [shape.rows, vectors, blockVectors, rowLanes, chunkRows, shape.relu === true ? 1 : 0, f32(shape.epsilon)],
    workgroups: [chunks, blocks, 1],
  };
}

const evaluateDispatches = (shape: BatchNormShape, grain: Grain): Dispatch[] => [apply(shape, grain, 'runningMean', 'runningVariance')];

function gradientDispatches(shape: BatchNormShape, grain: Grain): Dispatch[] {
  const slicing = slice(shape, grain);
  const { vectors, blockVectors, blocks, rowLanes, chunkRows, chunks } = slicing;
  // Behind a sum x does not tell the mask: the first pass applies it, as the residual wants its result anyway.
  const masked = masksSum(shape);
  return [
    masked ? gradientStatisticsOfSum(shape, slicing) : gradientStatistics(shape, slicing, 'x'),
    gradientFinalise(shape, slicing),
    {
      wgsl: new URL('./gradient.wgsl', import.meta.url),
      bind: ['x', masked ? 'dresidual' : 'dy', 'scratch', 'dx'],
      uniforms: [shape.rows, vectors, blockVectors, rowLanes, chunkRows, shape.relu === true && !masked ? 1 : 0],
      workgroups: [chunks, blocks, 1],
    },
  ];
}

/** The residual's gradient, and the chunks' sums of it. */
function gradientStatisticsOfSum({ rows, twoReaders }: BatchNormShape, slicing: Slicing): Dispatch {
  const { vectors, blockVectors, blocks, rowLanes, chunkRows, chunks } = slicing;
  const [other, parts] = twoReaders === true ? ['dyOther', 2] : ['variance', 1];
  return {
    wgsl: new URL('./gradient.statistics.residual.wgsl', import.meta.url),
    bind: ['x', 'y', 'dy', other, 'mean', 'dresidual', 'scratch'],
    uniforms: [rows, vectors, blockVectors, rowLanes, chunkRows, chunks, parts],
    workgroups: [chunks, blocks, 1],
  };
}

/** The chunks' sums of dy and of dy times the centred `x`, both [rows, channels], under the ReLU's mask if there is one. */
export function gradientStatistics({ rows, relu, epsilon }: BatchNormShape, slicing: Slicing, x: string): Dispatch {
  const { vectors, blockVectors, blocks, rowLanes, chunkRows, chunks } = slicing;
  return {
    wgsl: new URL('./gradient.statistics.wgsl', import.meta.url),
    bind: [x, 'dy', 'gamma', 'beta', 'mean', 'variance', 'scratch'],
    uniforms: [rows, vectors, blockVectors, rowLanes, chunkRows, chunks, relu === true ? 1 : 0, f32(epsilon)],
    workgroups: [chunks, blocks, 1],
  };
}

/** dgamma and dbeta from the chunks' sums, and the table of each channel for the pass that writes dx. */
export function gradientFinalise({ rows, epsilon }: BatchNormShape, { vectors, chunks, chunkLanes }: Slicing): Dispatch {
  return {
    wgsl: new URL('./gradient.finalise.wgsl', import.meta.url),
    bind: ['scratch', 'gamma', 'beta', 'mean', 'variance', 'dgamma', 'dbeta'],
    uniforms: [rows, vectors, chunks, chunkLanes, f32(epsilon)],
    workgroups: [Math.ceil((vectors * chunkLanes) / 64), 1, 1],
  };
}

/** A mean and a second moment, or two sums, a chunk and channel; and the gradient's table of five values a channel. */
export const scratchWords = ({ vectors, chunks }: Slicing): number => (5 + 2 * chunks) * vectors * 4;

/** The same kernels over few long chunks, for software adapters, and over many short ones, for all others. */
const variants = (dispatches: (shape: BatchNormShape, grain: Grain) => Dispatch[], scratch: boolean): Variant<BatchNormShape>[] =>
  (['coarse', 'fine'] as const).map((grain) => ({
    name: grain === 'coarse' ? 'coarse' : 'plain',
    usable: (_, { kind }) => grain === 'fine' || kind === 'cpu',
    ...(scratch ? { scratchWords: (shape: BatchNormShape) => scratchWords(slice(shape, grain)) } : {}),
    dispatches: (shape) => dispatches(shape, grain),
  }));

export const batchNorm: Op<BatchNormShape> = {
  name: 'batchNorm',
  passes: {
    forward: {
      tensors: [
        x,
        gamma,
        beta,
        runningMean('inout'),
        runningVariance('inout'),
        residual,
        y,
        channel('mean', 'out'),
        channel('variance', 'out'),
      ],
      // Subtract, add, multiply, add for the statistics; subtract, multiply, add to apply them.
      flops: ({ rows, channels }) => 7 * rows * channels,
      // At mean 100 and deviation 0.1 the mean's own rounding, 2^-18, is 4e-5 deviations: 1.3e-5 of the largest |y|, about 3.
      tolerance: 3e-5,
      reference: forwardReference,
      variants: [wholeForward, ...variants(forwardDispatches, true)],
    },
    evaluate: {
      tensors: [x, gamma, beta, runningMean('in'), runningVariance('in'), residual, y],
      flops: ({ rows, channels }) => 3 * rows * channels,
      // Five roundings of 2^-24, and WGSL allows square root and division 2.5 units in the last place each.
      tolerance: 1e-6,
      reference: evaluateReference,
      variants: variants(evaluateDispatches, false),
    },
    gradient: {
      tensors: [
        x,
        dy,
        dyOther,
        savedY,
        gamma,
        beta,
        channel('mean', 'in'),
        channel('variance', 'in'),
        dx,
        dresidual,
        channel('dgamma', 'out'),
        channel('dbeta', 'out'),
      ],
      // Add, subtract, multiply, add for the sums; subtract, multiply, subtract, subtract, multiply for dx.
      flops: ({ rows, channels }) => 9 * rows * channels,
      // dgamma and dbeta sum thousands of terms of both signs, and the rounding is relative to the partial sums: 9000 terms
      // of size 1 round by about 1e-5 in all, while their total can be as small as 1 where there is a single channel.
      tolerance: 3e-5,
      reference: gradientReference,
      differentiates: {
        pass: 'forward',
        cotangents: { dy: 'y', dyOther: 'y' },
        gradients: { dx: 'x', dgamma: 'gamma', dbeta: 'beta', dresidual: 'residual' },
      },
      variants: [wholeGradient, ...variants(gradientDispatches, true)],
    },
  },
  check(shape) {
    const { rows, channels, epsilon, momentum, twoReaders } = shape;
    requirePositiveIntegers('batchNorm', { rows, channels });
    if (!(epsilon > 0)) throw new ShapeError('batchNorm', `epsilon is ${epsilon}; it must be positive`);
    if (!(momentum >= 0 && momentum <= 1)) throw new ShapeError('batchNorm', `momentum is ${momentum}; it must be between 0 and 1`);
    if (twoReaders === true && !masksSum(shape)) {
      throw new ShapeError('batchNorm', 'a gradient in two parts needs a residual and a ReLU; add the parts before');
    }
  },
  samples,
  benchmarks,
  errors: [
    { shape: { rows: 0, channels: 4, epsilon: 1e-5, momentum: 0.1 }, message: /rows is 0; it must be a positive integer/ },
    { shape: { rows: 8, channels: 2.5, epsilon: 1e-5, momentum: 0.1 }, message: /channels is 2.5/ },
    { shape: { rows: 8, channels: 4, epsilon: 0, momentum: 0.1 }, message: /epsilon is 0; it must be positive/ },
    { shape: { rows: 8, channels: 4, epsilon: 1e-5, momentum: 1.5 }, message: /momentum is 1.5/ },
    { shape: { rows: 8, channels: 4, epsilon: 1e-5, momentum: 0.1, relu: true, twoReaders: true }, message: /needs a residual and a ReLU/ },
  ],
};
