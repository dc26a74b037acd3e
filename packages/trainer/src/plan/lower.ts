// The one table from node type to ops: what a node's forward and backward passes dispatch.
import {
  activation,
  add,
  averagePool,
  conv2d,
  conv2dNorm,
  dropout,
  globalAveragePool,
  linear,
  maxPool,
  type Conv2dShape,
  type Op,
} from '@n2n/kernels';
import { SpecError, type Pair, type Sides } from '../network/index.js';
import { fuses, gradient, inputGradient, mapShape, output, parameter, type Lowering, type NodeContext } from './context.js';
import { convNormShape, convShape } from './convolution.js';
import type { Activation, External, Place } from './graph.js';
import { sampleWords, type SampleLayout } from './layout.js';
import { elementwiseLowerings } from './lower-elementwise.js';
import { norm, normPlaces } from './norm.js';

const clockPlace: External = { kind: 'external', arena: 'batch', name: 'clock' };

const convShapeOf = (context: NodeContext): Conv2dShape => convShape([context.node, ...context.fused], context.batch, mapShape(context));

/** In evaluation: the convolution with the batch-norm, the ReLUs and the pool behind it in one kernel. */
function forwardConvNorm(context: NodeContext): Activation {
  const { calls, node, fused, batch, inputs, label } = context;
  const y = output(context);
  const shape = convNormShape([node, ...fused], batch, mapShape(context));
  const norm = fused.find(({ type }) => type === 'batch-norm');
  const places = {
    x: inputs[0]!,
    weight: parameter(context, 'weight'),
    ...biasOf(shape, context),
    ...(norm === undefined ? {} : normPlaces(norm)),
    y,
  };
  calls.emit(conv2dNorm, 'evaluate', shape, places, label);
  return y;
}

const biasOf = (shape: { readonly bias: boolean }, context: NodeContext): Record<string, Place> =>
  shape.bias ? { bias: parameter(context, 'bias') } : {};

/** Convolution and linear differ in their shapes alone. */
function forwardWeighted<S extends { readonly bias: boolean }>(op: Op<S>, shape: S, context: NodeContext): Activation {
  const y = output(context);
  const places = { x: context.inputs[0]!, weight: parameter(context, 'weight'), ...biasOf(shape, context), y };
  context.calls.emit(op, 'forward', shape, places, context.node.id);
  return y;
}

function backwardWeighted<S extends { readonly bias: boolean }>(
  op: Op<S>,
  shape: S,
  context: NodeContext,
  dy: Place,
): readonly (Place | undefined)[] {
  const { calls, node } = context;
  calls.emit(op, 'weight-gradient', shape, { x: context.inputs[0]!, dy, dweight: gradient(context, 'weight') }, node.id);
  if (shape.bias) calls.emit(op, 'bias-gradient', shape, { dy, dbias: gradient(context, 'bias') }, node.id);
  if (context.wantsInputGradient[0] !== true) return [undefined];
  const dx = inputGradient(context);
  calls.emit(op, 'input-gradient', shape, { dy, weight: parameter(context, 'weight'), dx }, node.id);
  return [dx];
}

const linearShape = (context: NodeContext): { batch: number; inputs: number; outputs: number; bias: boolean } => ({
  batch: context.batch,
  inputs: sampleWords(context.inputLayouts[0]!),
  outputs: context.node.attributes['features'] as number,
  bias: context.node.attributes['bias'] as boolean,
});

const windowShape = (
  context: NodeContext,
): { batch: number; channels: number; height: number; width: number; kernel: Pair; stride: Pair; padding: Sides } => ({
  batch: context.batch,
  ...mapShape(context),
  kernel: context.node.attributes['kernel'] as unknown as Pair,
  stride: context.node.attributes['stride'] as unknown as Pair,
  padding: context.node.attributes['padding'] as unknown as Sides,
});

const averageShape = (context: NodeContext): ReturnType<typeof windowShape> & { countIncludePad: boolean } => ({
  ...windowShape(context),
  countIncludePad: context.node.attributes['countIncludePad'] as boolean,
});

const sizeOf = (context: NodeContext): number => context.batch * sampleWords(context.outputLayout);

/** The ReLU of a tensor like the output, and the gradient of that tensor. */
function reluForward(context: NodeContext, x: Place): Activation {
  const y = output(context);
  context.calls.emit(activation, 'forward', { size: sizeOf(context), kind: 'relu' }, { x, y }, context.label);
  return y;
}

function reluBackward(context: NodeContext, x: Place, dy: Place): Activation {
  const dx = output(context);
  context.calls.emit(activation, 'gradient', { size: sizeOf(context), kind: 'relu' }, { x, dy, dx }, context.label);
  return dx;
}

export const lowerings: Readonly<Record<string, Lowering>> = {
  conv2d: {
    forward(context) {
      if (context.inOneKernel) return forwardConvNorm(context);
      const y = forwardWeighted(conv2d, convShapeOf(context), context);
      if (!fuses(context, 'relu')) return y;
      context.saved['y'] = y;
      return reluForward(context, y);
    },
    backward: (context, dy) =>
      backwardWeighted(conv2d, convShapeOf(context), context, fuses(context, 'relu') ? reluBackward(context, context.saved['y']!, dy) : dy),
  },
  linear: {
    forward: (context) => forwardWeighted(linear, linearShape(context), context),
    backward: (context, dy) => backwardWeighted(linear, linearShape(context), context, dy),
  },
  'batch-norm': norm,
  relu: {
    layout: ([input]) => input!,
    forward: (context) => reluForward(context, context.inputs[0]!),
    backward: (context, dy) => [reluBackward(context, context.inputs[0]!, dy)],
  },
  'max-pool': {
    forward(context) {
      const y = output(context);
      const indices = context.calls.activation(sizeOf(context), `${context.node.id} indices`);
      context.saved['indices'] = indices;
      const shape = { ...windowShape(context), relu: fuses(context, 'relu') };
      context.calls.emit(maxPool, 'forward', shape, { x: context.inputs[0]!, y, indices }, context.label);
      return y;
    },
    backward(context, dy) {
      const dx = inputGradient(context);
      context.calls.emit(maxPool, 'gradient', windowShape(context), { dy, indices: context.saved['indices']!, dx }, context.label);
      return [dx];
    },
  },
  'average-pool': {
    forward(context) {
      const y = output(context);
      context.calls.emit(averagePool, 'forward', averageShape(context), { x: context.inputs[0]!, y }, context.node.id);
      return y;
    },
    backward(context, dy) {
      const dx = inputGradient(context);
      context.calls.emit(averagePool, 'gradient', averageShape(context), { dy, dx }, context.node.id);
      return [dx];
    },
  },
  'global-average-pool': {
    forward(context) {
      const y = output(context);
      const shape = { batch: context.batch, ...mapShape(context) };
      context.calls.emit(globalAveragePool, 'forward', shape, { x: context.inputs[0]!, y }, context.node.id);
      return y;
    },
    backward(context, dy) {
      const dx = inputGradient(context);
      context.calls.emit(globalAveragePool, 'gradient', { batch: context.batch, ...mapShape(context) }, { dy, dx }, context.node.id);
      return [dx];
    },
  },
  add: {
    layout: ([first]) => first!,
    forward(context) {
      const [first, ...others] = context.inputs;
      return others.reduce((sum: Place, other) => sumOf(context, sum, other, context.outputLayout), first!);
    },
    backward: (context, dy) => context.inputs.map(() => dy),
  },
  flatten: {
    layout: ([input]) => input!,
    forward: (context) => context.inputs[0]!,
    backward: (_, dy) => [dy],
  },
  ...elementwiseLowerings,
  dropout: {
    layout: ([input]) => input!,
    forward(context) {
      if (!context.training) return context.inputs[0]!;
      const y = output(context);
      context.calls.emit(dropout, 'forward', dropoutShape(context), { x: context.inputs[0]!, clock: clockPlace, y }, context.node.id);
      return y;
    },
    backward(context, dy) {
      const dx = inputGradient(context);
      context.calls.emit(dropout, 'gradient', dropoutShape(context), { dy, clock: clockPlace, dx }, context.node.id);
      return [dx];
    },
  },
};

const dropoutShape = (context: NodeContext): { size: number; rate: number; seed: number; layer: number } => ({
  size: sizeOf(context),
  rate: context.node.attributes['rate'] as number,
  seed: context.seed,
  layer: context.index,
});

/** a + b as a new activation. */
export function sumOf(context: Pick<NodeContext, 'calls' | 'batch' | 'node'>, a: Place, b: Place, layout: SampleLayout): Activation {
  if (a === b) throw new SpecError(context.node.id, 'joins a tensor with itself');
  const size = context.batch * sampleWords(layout);
  const y = context.calls.activation(size, `${context.node.id} sum`);
  context.calls.emit(add, 'forward', { size }, { a, b, y }, context.node.id);
  return y;
}
