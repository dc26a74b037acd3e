// Lowers a batch-norm and the nodes that run in its passes: a sum, a ReLU, a 2x2 max-pool (see fuse.ts).
import { batchNorm, batchNormPool, padded, type BatchNormPoolShape, type BatchNormShape, type Op } from '@n2n/kernels';
import { SpecError, type NodeSpec } from '../network/index.js';
import { fuses, gradient, inputGradient, mapShape, output, parameter, state, type Lowering, type NodeContext } from './context.js';
import { isSinglePixelPool } from './convolution.js';
import type { Place } from './graph.js';

/** The pass that masks the gradient of a ReLU behind a sum reads it anyway: it may come in two parts. */
const masksSum = (context: NodeContext): boolean => fuses(context, 'add') && fuses(context, 'relu');

const normAttributes = ({ node, batchStatistics }: NodeContext): { epsilon: number; momentum: number } => ({
  epsilon: node.attributes['epsilon'] as number,
  momentum: batchStatistics ? 0 : (node.attributes['momentum'] as number),
});

const batchNormShape = (context: NodeContext): BatchNormShape => {
  const layout = context.inputLayouts[0]!;
  if (context.inputShapes[0]!.kind === 'vector' && layout.positions > 1) {
    throw new SpecError(context.node.id, 'batch-norm over a flattened feature map is not supported; put it before the flatten');
  }
  return {
    rows: context.batch * layout.positions,
    channels: layout.channels,
    ...normAttributes(context),
    relu: fuses(context, 'relu'),
    residual: fuses(context, 'add'),
  };
};

const batchNormPoolShape = (context: NodeContext): BatchNormPoolShape => ({
  batch: context.batch,
  ...mapShape(context),
  ...normAttributes(context),
  relu: fuses(context, 'relu'),
  window: context.fused.some(isSinglePixelPool) ? 1 : 2,
});

/** Where a batch-norm's parameters and running statistics are. */
export const normPlaces = (node: NodeSpec): Readonly<Record<'gamma' | 'beta' | 'runningMean' | 'runningVariance', Place>> => ({
  gamma: parameter({ node }, 'weight'),
  beta: parameter({ node }, 'bias'),
  runningMean: state({ node }, 'running_mean'),
  runningVariance: state({ node }, 'running_var'),
});

/** A batch-norm and what is fused with it. Behind a pool the winners of its windows are saved, behind a sum and a ReLU the output. */
function forwardNorm<S extends { readonly channels: number }>(op: Op<S>, shape: S, context: NodeContext): Place {
  const { calls, label, inputs, saved } = context;
  const y = output(context);
  const common = {
    x: inputs[0]!,
    ...normPlaces(context.node),
    ...(inputs[1] === undefined ? {} : { residual: inputs[1] }),
    y,
  };
  if (!context.training && !context.batchStatistics) {
    calls.emit(op, 'evaluate', shape, common, label);
    return y;
  }
  saved['mean'] = calls.activation(padded(shape.channels), `${label} mean`);
  saved['variance'] = calls.activation(padded(shape.channels), `${label} variance`);
  if (fuses(context, 'max-pool')) saved['winners'] = calls.activation(y.words, `${label} winners`);
  calls.emit(op, 'forward', shape, { ...common, ...saved }, label);
  if (masksSum(context)) saved['y'] = y;
  return y;
}

function backwardNorm<S>(op: Op<S>, shape: S, context: NodeContext, dy: Place, dyOther?: Place): readonly Place[] {
  const { calls, label, inputs, saved } = context;
  const dx = inputGradient(context);
  const masked = masksSum(context);
  // Without a ReLU the gradient passes the sum as it is.
  const dresidual = masked ? output(context) : dy;
  const places = {
    x: inputs[0]!,
    dy,
    ...(dyOther === undefined ? {} : { dyOther }),
    ...saved,
    gamma: parameter(context, 'weight'),
    beta: parameter(context, 'bias'),
    dx,
    ...(masked ? { dresidual } : {}),
    dgamma: gradient(context, 'weight'),
    dbeta: gradient(context, 'bias'),
  };
  calls.emit(op, 'gradient', shape, places, label);
  return fuses(context, 'add') ? [dx, dresidual] : [dx];
}

export const norm: Lowering = {
  layout: ([input]) => input!,
  forward: (context) =>
    fuses(context, 'max-pool')
      ? forwardNorm(batchNormPool, batchNormPoolShape(context), context)
      : forwardNorm(batchNorm, batchNormShape(context), context),
  takesParts: masksSum,
  backward: (context, dy, dyOther) =>
    fuses(context, 'max-pool')
      ? backwardNorm(batchNormPool, batchNormPoolShape(context), context, dy)
      : backwardNorm(batchNorm, { ...batchNormShape(context), twoReaders: dyOther !== undefined }, context, dy, dyOther),
};
