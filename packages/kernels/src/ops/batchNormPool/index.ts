// batchNormPool: batch-norm, perhaps a ReLU, and a max-pool over disjoint 2x2 windows, or the first pixel of each, in one: the normalised
// map is never stored. Forward
// reads x and writes the pooled y and the x that won; the gradient goes from the pooled dy straight to x, as only the pixel that
// won a window has one, and its sums need those pixels alone.
import { requirePositiveIntegers } from '../checks.js';
import { gradientFinalise, gradientStatistics, scratchWords, statistics } from '../batchNorm/index.js';
import { slice, type Grain, type Slicing } from '../batchNorm/slicing.js';
import { ShapeError, f32, padded, type Dispatch, type Op, type TensorDeclaration, type Variant } from '../op.js';
import { paddedNormal, type Random } from '../../testing/random.js';
import { windowOutput } from '../window.js';
import { cellsOf, normShape, outputsOf, poolShape, rowsOf, type BatchNormPoolShape } from './shape.js';
import { evaluateReference, forwardReference, gradientReference } from './reference.js';

export type { BatchNormPoolShape };

/** Above this many rows of windows the kernels' division by a reciprocal may be inexact. */
const MOST_ROWS = 2 ** 20;

type Tensor = TensorDeclaration<BatchNormPoolShape>;
const mapTensor = (name: string, role: Tensor['role'], pixels: (shape: BatchNormPoolShape) => number): Tensor => ({
  name,
  role,
  type: 'f32',
  words: (shape) => pixels(shape) * padded(shape.channels),
  ...(role === 'in' ? { fill: (shape: BatchNormPoolShape, random: Random) => paddedNormal(pixels(shape), shape.channels, random) } : {}),
});
const x = mapTensor('x', 'in', rowsOf);
const y = mapTensor('y', 'out', outputsOf);
const dy = mapTensor('dy', 'in', outputsOf);
const dx = mapTensor('dx', 'out', rowsOf);
const winners = (role: Tensor['role']): Tensor => ({ ...mapTensor('winners', role, outputsOf), words: y.words });
const channel = (name: string, role: Tensor['role'], mean = 0, deviation = 0): Tensor => ({
  name,
  role,
  type: 'f32',
  words: ({ channels }) => padded(channels),
  fill: ({ channels }, random) =>
    Float64Array.from({ length: padded(channels) }, (_, c) => (c < channels ? mean + deviation * random.normal() : 0)),
});
const gamma = channel('gamma', 'in', 0.5, 1); // of either sign: the largest x need not win
const beta = channel('beta', 'in', 0, 0.5);
const runningMean = (role: Tensor['role']): Tensor => channel('runningMean', role, 0.2, 0.3);
const runningVariance = (role: Tensor['role']): Tensor => channel('runningVariance', role, 1.2, 0.1);

/** Uniforms that say how `pixels`, outputs or cells, are cut, and the sizes. */
function uniforms(shape: BatchNormPoolShape, { vectors, blockVectors, rowLanes, chunkRows }: Slicing, pixels: number): number[] {
  const { height, width } = shape;
  return [pixels, vectors, blockVectors, rowLanes, chunkRows, height, width, ...windowOutput(poolShape(shape))];
}

const relu = (shape: BatchNormPoolShape): number => (shape.relu === true ? 1 : 0);

/** How the kernels of batchNorm would split as many rows of as many channels. */
const sliced = (shape: BatchNormPoolShape, rows: number, grain: Grain): Slicing => slice({ ...normShape(shape), rows }, grain);

function apply(shape: BatchNormPoolShape, grain: Grain, training: boolean): Dispatch {
  const slicing = sliced(shape, outputsOf(shape), grain);
  return {
    wgsl: new URL('./forward.wgsl', import.meta.url),
    bind: [
      'x',
      'gamma',
      'beta',
      ...(training ? ['mean', 'variance'] : ['runningMean', 'runningVariance']),
      'y',
      // Evaluation writes none.
      training ? 'winners' : 'scratch',
    ],
    uniforms: [
      ...uniforms(shape, slicing, outputsOf(shape)),
      shape.window === 1 ? 1 : 4,
      relu(shape),
      training ? 1 : 0,
      f32(shape.epsilon),
    ],
    workgroups: [slicing.chunks, slicing.blocks, 1],
  };
}

const forwardDispatches = (shape: BatchNormPoolShape, grain: Grain): Dispatch[] => [
  ...statistics(normShape(shape), sliced(shape, rowsOf(shape), grain)),
  apply(shape, grain, true),
];

function gradientDispatches(shape: BatchNormPoolShape, grain: Grain): Dispatch[] {
  const outputs = sliced(shape, outputsOf(shape), grain);
  const cells = sliced(shape, cellsOf(shape), grain);
  return [
    gradientStatistics({ ...normShape(shape), rows: outputsOf(shape) }, outputs, 'winners'),
    gradientFinalise(normShape(shape), outputs),
    {
      wgsl: new URL('./gradient.wgsl', import.meta.url),
      bind: ['x', 'dy', 'winners', 'scratch', 'dx'],
      uniforms: [...uniforms(shape, cells, cellsOf(shape)), relu(shape)],
      workgroups: [cells.chunks, cells.blocks, 1],
    },
  ];
}

const variants = (
  dispatches: (shape: BatchNormPoolShape, grain: Grain) => Dispatch[],
  pixels: (shape: BatchNormPoolShape) => number,
): Variant<BatchNormPoolShape>[] =>
  (['coarse', 'fine'] as const).map((grain) => ({
    name: grain === 'coarse' ? 'coarse' : 'plain',
    usable: (_, { kind }) => grain === 'fine' || kind === 'cpu',
    scratchWords: (shape) => scratchWords(sliced(shape, pixels(shape), grain)),
    dispatches: (shape) => dispatches(shape, grain),
  }));

/** With and without the ReLU, windows of 4 pixels and of one. */
const forms: readonly Pick<BatchNormPoolShape, 'relu' | 'window'>[] = [{ relu: true }, {}, { relu: true, window: 1 }, { window: 1 }];

export const batchNormPool: Op<BatchNormPoolShape> = {
  name: 'batchNormPool',
  passes: {
    forward: {
      tensors: [
        x,
        gamma,
        beta,
        runningMean('inout'),
        runningVariance('inout'),
        y,
        winners('out'),
        channel('mean', 'out'),
        channel('variance', 'out'),
      ],
      // As batchNorm, and a comparison a pixel.
      flops: (shape) => 8 * rowsOf(shape) * shape.channels,
      // As batchNorm for data whose mean is of the size of its deviation.
      tolerance: 5e-6,
      reference: forwardReference,
      variants: variants(forwardDispatches, rowsOf),
    },
    evaluate: {
      tensors: [x, gamma, beta, runningMean('in'), runningVariance('in'), y],
      flops: (shape) => 4 * rowsOf(shape) * shape.channels,
      tolerance: 2e-6,
      reference: evaluateReference,
      variants: variants(
        (shape, grain) => [apply(shape, grain, false)],
        () => 1,
      ),
    },
    gradient: {
      tensors: [
        x,
        dy,
        winners('in'),
        gamma,
        beta,
        channel('mean', 'in'),
        channel('variance', 'in'),
        dx,
        channel('dgamma', 'out'),
        channel('dbeta', 'out'),
      ],
      // Add, subtract, multiply, add an output for the sums; subtract, multiply, subtract, subtract, multiply a pixel for dx.
      flops: (shape) => (4 * outputsOf(shape) + 5 * rowsOf(shape)) * shape.channels,
      // As batchNorm.
      tolerance: 3e-5,
      reference: gradientReference,
      differentiates: { pass: 'forward', cotangents: { dy: 'y' }, gradients: { dx: 'x', dgamma: 'gamma', dbeta: 'beta' } },
      variants: variants(gradientDispatches, outputsOf),
    },
  },
  check(shape) {
    const { batch, height, width, channels, epsilon, momentum, window = 2 } = shape;
    requirePositiveIntegers('batchNormPool', { batch, height, width, channels });
    if (height < window || width < window)
      throw new ShapeError('batchNormPool', `the map is ${height}x${width}; it must hold a 2x2 window`);
    if (batch * Math.ceil(height / 2) > MOST_ROWS) {
      throw new ShapeError('batchNormPool', `${batch} maps of ${height}x${width} have more than ${MOST_ROWS} rows of windows`);
    }
    if (!(epsilon > 0)) throw new ShapeError('batchNormPool', `epsilon is ${epsilon}; it must be positive`);
    if (!(momentum >= 0 && momentum <= 1)) throw new ShapeError('batchNormPool', `momentum is ${momentum}; it must be between 0 and 1`);
  },
  samples: [
    ...forms.flatMap((form) =>
      [
        { batch: 3, height: 8, width: 8, channels: 16, epsilon: 1e-3, momentum: 0.1 },
        { batch: 2, height: 7, width: 13, channels: 5, epsilon: 1e-3, momentum: 0.1 },
        { batch: 3, height: 5, width: 6, channels: 3, epsilon: 1e-3, momentum: 1 },
        { batch: 4, height: 4, width: 7, channels: 1, epsilon: 1e-3, momentum: 0 },
        { batch: 7, height: 2, width: 2, channels: 10, epsilon: 1e-2, momentum: 0.1 },
        { batch: 1, height: 3, width: 3, channels: 260, epsilon: 1e-2, momentum: 0.1 }, // 65 vectors: two blocks, one output
      ].map((shape) => ({ ...shape, ...form })),
    ),
    { batch: 40, height: 14, width: 15, channels: 12, epsilon: 1e-3, momentum: 0.1, relu: true }, // several chunks
    { batch: 3, height: 1, width: 5, channels: 3, epsilon: 1e-3, momentum: 0.1, window: 1 },
  ],
  benchmarks: { '64x28x28x16': { batch: 64, height: 28, width: 28, channels: 16, epsilon: 1e-5, momentum: 0.1, relu: true } },
  errors: [
    { shape: { batch: 0, height: 4, width: 4, channels: 4, epsilon: 1e-5, momentum: 0.1 }, message: /batch is 0/ },
    { shape: { batch: 1, height: 1, width: 4, channels: 4, epsilon: 1e-5, momentum: 0.1 }, message: /1x4; it must hold a 2x2 window/ },
    { shape: { batch: 32769, height: 64, width: 64, channels: 4, epsilon: 1e-5, momentum: 0.1 }, message: /more than 1048576 rows/ },
    { shape: { batch: 1, height: 4, width: 4, channels: 4, epsilon: 0, momentum: 0.1 }, message: /epsilon is 0/ },
    { shape: { batch: 1, height: 4, width: 4, channels: 4, epsilon: 1e-5, momentum: -1 }, message: /momentum is -1/ },
  ],
};
