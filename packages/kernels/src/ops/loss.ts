// What the per-sample losses share (softmaxCrossEntropy, logitMse, softenedKl): tensors, conventions, launches. Logits are
// [batch, K4] with the classes padded to K4 = a multiple of 4; losses hold one f32 a sample. One invocation owns a sample.
//
// `forward` gives losses[n] = weight * loss(n); `gradient` gives dlogits = weight / batch * d loss(n) / d logits, so the scalar it
// differentiates is sum(losses) / batch. Both add to what is there when `accumulate` is set and overwrite otherwise, so that a
// weighted sum of losses is several passes over one pair of tensors. A void label contributes nothing to either.
import type { Random } from '../testing/random.js';
import { paddedNormal } from '../testing/random.js';
import { requirePositiveIntegers } from './checks.js';
import { f32, padded, ShapeError, spread, type Dispatch, type Pass, type TensorDeclaration, type Tensors, type Variant } from './op.js';

/** The label of a row without a sample: the tail of the last batch of an evaluation. */
export const VOID_LABEL = 0xffffffff;

export interface LossShape {
  /** Samples. */
  readonly batch: number;
  /** Classes, without padding; 2 or more. */
  readonly classes: number;
  /** Factor of this loss in the sum; 0 or more. */
  readonly weight: number;
  /** Add to losses and dlogits instead of overwriting them. */
  readonly accumulate: boolean;
}

/** One sample as a loss sees it: rows without padding. `teacher` is empty for a loss without one. */
export interface LossRow {
  readonly logits: Float64Array;
  readonly teacher: Float64Array;
  readonly label: number;
}

export interface LossDefinition<S extends LossShape> {
  readonly forward: URL;
  readonly gradient: URL;
  readonly teacher: boolean;
  /** The uniform after {batch, classes, accumulate, weight}. */
  parameter(shape: S): number;
  /** Floating-point operations a class: forward, gradient. */
  readonly flops: readonly [number, number];
  readonly tolerance: number;
  /** Unweighted loss of a sample in float64. */
  loss(shape: S, row: LossRow): number;
  /** Its gradient: [classes]. */
  lossGradient(shape: S, row: LossRow): ArrayLike<number>;
}

const WORKGROUP = 32;

const logitWords = ({ batch, classes }: LossShape): number => batch * padded(classes);
const fillLogits = ({ batch, classes }: LossShape, random: Random): Float64Array => paddedNormal(batch, classes, random).map((v) => 2 * v);

/** Random labels, about every fifth one void; the first is not. */
export function fillLabels({ batch, classes }: { readonly batch: number; readonly classes: number }, random: Random): number[] {
  return Array.from({ length: batch }, (_, n) => (n > 0 && random.uniform() < 0.2 ? VOID_LABEL : random.integer(classes)));
}

/** The two passes of a loss. */
export function lossPasses<S extends LossShape>(definition: LossDefinition<S>): { forward: Pass<S>; gradient: Pass<S> } {
  const logits: TensorDeclaration<S> = { name: 'logits', role: 'in', type: 'f32', words: logitWords, fill: fillLogits };
  const inputs: TensorDeclaration<S>[] = [
    logits,
    ...(definition.teacher ? [{ ...logits, name: 'teacher' }] : []),
    { name: 'labels', role: 'in', type: 'u32', words: ({ batch }) => batch, fill: fillLabels },
  ];
  const [forwardFlops, gradientFlops] = definition.flops;
  return {
    forward: {
      tensors: [...inputs, { name: 'losses', role: 'inout', type: 'f32', words: ({ batch }) => batch }],
      flops: ({ batch, classes }) => batch * classes * forwardFlops,
      tolerance: definition.tolerance,
      reference: (shape, tensors) => forwardReference(definition, shape, tensors),
      variants: [plainVariant(definition, definition.forward, 'losses', ({ weight }) => weight)],
    },
    gradient: {
      tensors: [...inputs, { name: 'dlogits', role: 'inout', type: 'f32', words: logitWords, fill: fillLogits }],
      flops: ({ batch, classes }) => batch * classes * gradientFlops,
      tolerance: definition.tolerance,
      reference: (shape, tensors) => gradientReference(definition, shape, tensors),
      differentiates: {
        pass: 'forward',
        cotangents: {},
        constantCotangents: ({ batch }) => ({ losses: 1 / batch }),
        gradients: { dlogits: 'logits' },
      },
      variants: [plainVariant(definition, definition.gradient, 'dlogits', ({ weight, batch }) => weight / batch)],
    },
  };
}

function plainVariant<S extends LossShape>(
  definition: LossDefinition<S>,
  wgsl: URL,
  output: string,
  factor: (shape: S) => number,
): Variant<S> {
  const bind = ['logits', ...(definition.teacher ? ['teacher'] : []), 'labels', output];
  return {
    name: 'plain',
    usable: () => true,
    dispatches: (shape, device): Dispatch[] => [
      {
        wgsl,
        bind,
        uniforms: [shape.batch, shape.classes, Number(shape.accumulate), f32(factor(shape)), f32(definition.parameter(shape))],
        workgroups: spread(Math.ceil(shape.batch / WORKGROUP), device.maxWorkgroups),
      },
    ],
  };
}

function rowAt(shape: LossShape, { logits, teacher, labels }: Tensors, n: number): LossRow | undefined {
  const label = labels![n]!;
  if (label === VOID_LABEL) return undefined;
  const start = n * padded(shape.classes);
  const row = (data: Float64Array | undefined): Float64Array => data?.subarray(start, start + shape.classes) ?? new Float64Array();
  return { logits: row(logits), teacher: row(teacher), label };
}

function forwardReference<S extends LossShape>(definition: LossDefinition<S>, shape: S, tensors: Tensors): void {
  for (let n = 0; n < shape.batch; n++) {
    const row = rowAt(shape, tensors, n);
    const before = shape.accumulate ? tensors['losses']![n]! : 0;
    tensors['losses']![n] = before + (row === undefined ? 0 : shape.weight * definition.loss(shape, row));
  }
}

function gradientReference<S extends LossShape>(definition: LossDefinition<S>, shape: S, tensors: Tensors): void {
  const { batch, classes, weight, accumulate } = shape;
  const dlogits = tensors['dlogits']!;
  for (let n = 0; n < batch; n++) {
    const row = rowAt(shape, tensors, n);
    const gradient = row === undefined ? undefined : definition.lossGradient(shape, row);
    for (let k = 0; k < padded(classes); k++) {
      const at = n * padded(classes) + k;
      dlogits[at] = (accumulate ? dlogits[at]! : 0) + (k < classes ? ((gradient?.[k] ?? 0) * weight) / batch : 0);
    }
  }
}

/** Throws ShapeError on what no loss can compute. */
export function checkLoss(op: string, { batch, classes, weight }: LossShape): void {
  requirePositiveIntegers(op, { batch });
  if (!Number.isInteger(classes) || classes < 2) throw new ShapeError(op, `classes is ${classes}; it must be an integer of at least 2`);
  if (!(weight >= 0 && weight < Infinity)) throw new ShapeError(op, `weight is ${weight}; it must be a finite number of at least 0`);
}

/** log(softmax(values)) in float64. */
export function logSoftmax(values: Float64Array): Float64Array {
  const most = values.reduce((a, b) => Math.max(a, b), -Infinity);
  const logSum = Math.log(values.reduce((sum, value) => sum + Math.exp(value - most), 0));
  return values.map((value) => value - most - logSum);
}
