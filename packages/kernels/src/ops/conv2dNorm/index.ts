// conv2dNorm: a convolution in evaluation with what follows it, in one: the batch-norm by running statistics, the ReLU and the
// max-pool over disjoint 2x2 windows. The batch-norm is a factor and a term for each filter; conv2d's own kernels apply them to their
// sums before they store them, so that neither the convolution's output nor the normalised one ever reaches memory.
import { paddedNormal } from '../../testing/random.js';
import { tapsForward } from '../conv2d/taps.js';
import { outputsOf, plainEpilogue, type Epilogue, type ForwardVariant } from '../conv2d/epilogue.js';
import { conv2d } from '../conv2d/index.js';
import { plainForward, workgroupsOf } from '../conv2d/plain.js';
import { base as convolution } from '../conv2d/samples.js';
import { checkConv2d, multiplyAddFlops, outputPixels, outputSize, type Conv2dShape } from '../conv2d/shape.js';
import { subgroupForward } from '../conv2d/subgroup.js';
import { tiledForward } from '../conv2d/tiled.js';
import { windowForward } from '../conv2d/window.js';
import { winogradForward } from '../conv2d/winograd.js';
import {
  chooseVariant,
  f32,
  padded,
  ShapeError,
  type Choices,
  type DeviceTraits,
  type Dispatch,
  type Op,
  type TensorDeclaration,
  type Variant,
} from '../op.js';
import { evaluateReference } from './reference.js';

/** `groups` is 1. */
export interface Conv2dNormShape extends Conv2dShape {
  /** The batch-norm's epsilon; no batch-norm without. */
  readonly norm?: number;
  readonly relu: boolean;
  /** Whether a max-pool over disjoint 2x2 windows follows: of odd rows and columns the last is left out. */
  readonly pool: boolean;
}

type Tensor = TensorDeclaration<Conv2dNormShape>;

const channel = (name: string): Tensor => ({
  name,
  role: 'in',
  type: 'f32',
  words: ({ filters }) => padded(filters),
  optional: ({ norm }) => norm === undefined,
  fill: ({ filters }, random) => {
    const values = paddedNormal(1, filters, random);
    return name === 'runningVariance' ? values.map((value, c) => (c < filters ? 0.5 + Math.abs(value) : 0)) : values;
  },
});

const epilogueOf = (shape: Conv2dNormShape): Epilogue => ({
  ...plainEpilogue(shape),
  ...(shape.norm === undefined ? {} : { terms: 'scratch', has: 2 }),
  relu: shape.relu,
  side: shape.pool ? 2 : 1,
});

const fold = ({ filters, bias }: Conv2dNormShape, epsilon: number, device: DeviceTraits): Dispatch => ({
  wgsl: new URL('./fold.wgsl', import.meta.url),
  bind: ['gamma', 'beta', 'runningMean', 'runningVariance', bias ? 'bias' : 'gamma', 'scratch'],
  uniforms: [padded(filters) / 4, Number(bias), f32(epsilon)],
  workgroups: workgroupsOf(padded(filters) / 4, device),
});

const variant = (forward: ForwardVariant): Variant<Conv2dNormShape> => ({
  name: forward.name,
  usable: (shape, device) => forward.usable(shape, device) && (forward.takes?.(shape, device, epilogueOf(shape)) ?? true),
  preferred: (shape, device) => forward.preferred?.(shape, device) ?? true,
  // A variant that has scratch memory of its own keeps its start free for terms and factors.
  scratchWords: (shape, device) =>
    Math.max(forward.scratchWords?.(shape, device) ?? 0, shape.norm === undefined ? 0 : 2 * padded(shape.filters)),
  dispatches: (shape, device) => [
    ...(shape.norm === undefined ? [] : [fold(shape, shape.norm, device)]),
    ...forward.dispatches(shape, device, epilogueOf(shape)),
  ],
});

const { x, weight, bias } = Object.fromEntries(conv2d.passes['forward']!.tensors.map((tensor) => [tensor.name, tensor]));

const base: Conv2dNormShape = { ...convolution, height: 8, width: 8, norm: 1e-3, relu: true, pool: false };

const { norm: _, ...withoutNorm } = base;

export const conv2dNorm: Op<Conv2dNormShape> = {
  name: 'conv2dNorm',
  passes: {
    evaluate: {
      tensors: [
        x!,
        weight!,
        bias!,
        ...['gamma', 'beta', 'runningMean', 'runningVariance'].map(channel),
        { name: 'y', role: 'out', type: 'f32', words: (shape) => outputsOf(shape, epilogueOf(shape)) * padded(shape.filters) },
      ],
      // A multiplication, an addition and a comparison a pixel behind the sums.
      flops: (shape) => multiplyAddFlops(shape) + 3 * outputPixels(shape) * shape.filters,
      tolerance: 1e-5,
      reference: evaluateReference,
      variants: [tiledForward, winogradForward, tapsForward, windowForward, subgroupForward, plainForward].map(variant),
    },
  },
  check(shape) {
    checkConv2d(shape);
    const [height, width] = outputSize(shape);
    if (shape.groups !== 1) throw new ShapeError('conv2dNorm', `groups is ${shape.groups}; it must be 1`);
    if (shape.norm !== undefined && !(shape.norm > 0))
      throw new ShapeError('conv2dNorm', `norm is ${shape.norm}; epsilon must be positive`);
    if (shape.pool && Math.min(height, width) < 2)
      throw new ShapeError('conv2dNorm', `the map is ${height}x${width}; it must hold a 2x2 window`);
  },
  samples: [
    base,
    { ...base, pool: true },
    { ...base, pool: true, relu: false, bias: true, height: 7, width: 9 },
    { ...base, bias: true, relu: false, filters: 19, channels: 5, height: 5, width: 7 },
    { ...withoutNorm, bias: true, pool: true, filters: 12 },
    { ...withoutNorm, filters: 36, channels: 3 },
    { ...base, batch: 3, channels: 20, filters: 70, height: 5, width: 6, pool: true },
    { ...base, filters: 33, kernel: [1, 1], padding: [0, 0, 0, 0], stride: [2, 2], pool: true },
    { ...base, channels: 1, filters: 16, height: 9, width: 11 },
    { ...base, channels: 2, filters: 40, kernel: [1, 1], padding: [0, 0, 0, 0], height: 5, relu: false, bias: true },
    { ...base, channels: 1, filters: 16, height: 9, width: 11, pool: true },
    { ...base, channels: 1, filters: 6, height: 8, width: 14, kernel: [2, 2], padding: [0, 0, 1, 1], pool: true, bias: true },
    { ...base, channels: 1, filters: 40, height: 13, width: 12, kernel: [5, 5], stride: [2, 2], padding: [2, 2, 2, 2], pool: true },
    { ...base, channels: 14, filters: 24, kernel: [2, 2], padding: [0, 0, 1, 1], height: 3, width: 5 },
    { ...base, batch: 1, height: 2, width: 2, channels: 1, filters: 1, pool: true },
  ],
  benchmarks: {
    '500x1x28x28-16': { ...base, batch: 500, channels: 1, height: 28, width: 28, filters: 16, pool: true },
    '500x16x14x14-32': { ...base, batch: 500, channels: 16, height: 14, width: 14, filters: 32, pool: true },
  },
  errors: [
    { shape: { ...base, batch: 0 }, message: /batch is 0/ },
    { shape: { ...base, groups: 2 }, message: /groups is 2; it must be 1/ },
    { shape: { ...base, norm: 0 }, message: /norm is 0/ },
    { shape: { ...base, height: 1, pool: true }, message: /1x8; it must hold a 2x2 window/ },
  ],
};

/** Whether the kernel that a convolution would run here takes what follows it along. */
export function fusesNorm(shape: Conv2dNormShape, device: DeviceTraits, choices: Choices): boolean {
  if (shape.groups !== 1) return false;
  const alone = chooseVariant(conv2d, 'forward', shape, device, { choices }).name;
  const fused = chooseVariant(conv2dNorm, 'evaluate', shape, device).name;
  return fused === alone || (fused === 'subgroup' && alone === 'window');
}
