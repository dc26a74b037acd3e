// What the optimisers (sgd, adam) share: flat arrays over a whole network, so that a step is one dispatch however many layers
// there are, and a schedule on the device, read at the clock's step, so that one recording serves the whole training.
import type { Random } from '../testing/random.js';
import { CLOCK_WORDS } from './clock/index.js';
import { requirePositiveIntegers, requireVectors } from './checks.js';
import { ShapeError, spread, type TensorDeclaration, type Tensors } from './op.js';

export interface OptimiserShape {
  /** Parameters, padding included; a multiple of 4. */
  readonly size: number;
  /** Entries of the schedule; past the end the last one holds. */
  readonly steps: number;
  /** L2 penalty (or decoupled decay) a step, on every parameter; 0 or more. */
  readonly weightDecay: number;
  /** The gradients are multiplied by a loss scale (see lossScale), and the step is skipped where they overflowed. */
  readonly scaled?: boolean;
}

const size = (shape: OptimiserShape): number => shape.size;

/** A `parameters`-long tensor. */
export const flat = (name: string, role: 'in' | 'inout', fill?: (shape: OptimiserShape, random: Random) => ArrayLike<number>) =>
  ({ name, role, type: 'f32', words: size, ...(fill && { fill }) }) as const satisfies TensorDeclaration<OptimiserShape>;

/** The clock, at any step and beyond the last. */
export const clockTensor: TensorDeclaration<{ readonly steps: number }> = {
  name: 'clock',
  role: 'in',
  type: 'u32',
  words: () => CLOCK_WORDS,
  fill: ({ steps }, random) => [random.integer(steps + 2), 0, 0, 0],
};

/**
 * Four words a step: [learning rate, 1 / (1 - beta1^t), 1 / (1 - beta2^t), skipped], where t counts the steps of Adam, this one with them
 * if none is skipped from the schedule's first on, and skipped those of loss scaling before. SGD reads the first word only.
 */
export const scheduleTensor: TensorDeclaration<OptimiserShape> = {
  name: 'schedule',
  role: 'in',
  type: 'f32',
  words: ({ steps }) => steps * 4,
  fill: ({ steps }, random) =>
    Array.from({ length: steps }, () => [0.01 + random.uniform(), 1 + 9 * random.uniform(), 1 + 99 * random.uniform(), 2]).flat(),
};

/** Words of the state of loss scaling: scale, unscale (1 / scale, or 0 where the step is to be skipped), good steps, skipped steps. */
export const SCALING_WORDS = 4;

/** The state of loss scaling, one step skipped since the schedule's first; of samples with an odd schedule this one is skipped as well. */
export const scalingTensor: TensorDeclaration<OptimiserShape> = {
  name: 'scaling',
  role: 'in',
  type: 'f32',
  words: () => SCALING_WORDS,
  optional: ({ scaled }) => scaled !== true,
  fill: ({ steps }) => [1024, steps % 2 === 0 ? 2 ** -10 : 0, 3, 3],
};

/** What stands for `scaling` in a binding: without loss scaling another buffer, which is not read. */
export const scalingBinding = ({ scaled }: OptimiserShape): string => (scaled === true ? 'scaling' : 'schedule');

/** What gradients are multiplied by; 0 where the step is to be skipped. */
export const unscaleOf = ({ scaled }: OptimiserShape, { scaling }: Tensors): number => (scaled === true ? scaling![1]! : 1);

/** Steps that loss scaling skipped since the schedule's first. */
export const skippedOf = ({ scaled }: OptimiserShape, { scaling, schedule }: Tensors): number =>
  scaled === true ? Math.max(0, scaling![3]! - schedule![3]!) : 0;

/** The schedule entry that a step uses, or the one `before` it by so many. */
export const scheduleAt = (schedule: Float64Array, clock: Float64Array, steps: number, before = 0): Float64Array => {
  const at = Math.max(0, Math.min(clock[0]!, steps - 1) - before) * 4;
  return schedule.subarray(at, at + 4);
};

/** vec4 elements that one workgroup of 64 invocations covers: 4 an invocation. */
const VECTORS_PER_WORKGROUP = 256;

export const optimiserWorkgroups = (shape: OptimiserShape, limit: number): readonly [number, number, number] =>
  spread(Math.ceil(shape.size / 4 / VECTORS_PER_WORKGROUP), limit);

/** Throws ShapeError on what no optimiser can compute. */
export function checkOptimiser(op: string, { size: words, steps, weightDecay }: OptimiserShape): void {
  requireVectors(op, words);
  requirePositiveIntegers(op, { steps });
  if (!(weightDecay >= 0 && weightDecay < Infinity))
    throw new ShapeError(op, `weightDecay is ${weightDecay}; it must be a finite number of at least 0`);
}
