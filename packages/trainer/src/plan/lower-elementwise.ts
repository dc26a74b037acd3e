// Lowering of activations, gates, joins and paddings of channels: nodes without parameters that work element by element.
import { activation, concat, multiply, padChannels, sigmoid, type ActivationKind, type SigmoidKind } from '@n2n/kernels';
import { SpecError } from '../network/index.js';
import type { Lowering, NodeContext } from './context.js';
import type { Activation, Place } from './graph.js';
import { sampleWords, type SampleLayout } from './layout.js';

const fresh = ({ calls, batch, node }: NodeContext, layout: SampleLayout, label: string): Activation =>
  calls.activation(batch * sampleWords(layout), `${label}${node.id}`);

/** A function that maps 0 to 0. */
function activationLowering(kind: ActivationKind): Lowering {
  const shapeOf = ({ batch, outputLayout, node }: NodeContext): Parameters<typeof activation.check>[0] => {
    const size = batch * sampleWords(outputLayout);
    return kind === 'leaky-relu' ? { size, kind, slope: Number(node.attributes['slope']) } : { size, kind };
  };
  return {
    layout: ([input]) => input!,
    forward(context) {
      const y = fresh(context, context.outputLayout, '');
      context.calls.emit(activation, 'forward', shapeOf(context), { x: context.inputs[0]!, y }, context.node.id);
      return y;
    },
    backward(context, dy) {
      const dx = fresh(context, context.outputLayout, 'd ');
      context.calls.emit(activation, 'gradient', shapeOf(context), { x: context.inputs[0]!, dy, dx }, context.node.id);
      return [dx];
    },
  };
}

function sigmoidLowering(kind: SigmoidKind): Lowering {
  const shapeOf = ({ batch, outputLayout: { channels, positions }, node }: NodeContext): Parameters<typeof sigmoid.check>[0] => {
    const { alpha, beta } = node.attributes;
    return { rows: batch * positions, channels, kind, ...(kind === 'sigmoid' ? {} : { alpha: Number(alpha), beta: Number(beta) }) };
  };
  return {
    layout: ([input]) => input!,
    forward(context) {
      const y = fresh(context, context.outputLayout, '');
      context.saved['y'] = y;
      context.calls.emit(sigmoid, 'forward', shapeOf(context), { x: context.inputs[0]!, y }, context.node.id);
      return y;
    },
    backward(context, dy) {
      const dx = fresh(context, context.outputLayout, 'd ');
      context.calls.emit(sigmoid, 'gradient', shapeOf(context), { y: context.saved['y']!, dy, dx }, context.node.id);
      return [dx];
    },
  };
}

/** A map times a map, or times a vector of one factor a channel. */
const multiplyLowering: Lowering = {
  layout: ([first]) => first!,
  forward(context) {
    const y = fresh(context, context.outputLayout, '');
    const [a, b] = context.inputs as [Place, Place];
    context.calls.emit(multiply, 'forward', multiplyShape(context), { a, b, y }, context.node.id);
    return y;
  },
  backward(context, dy) {
    const [a, b] = context.inputs as [Place, Place];
    const [da, db] = context.inputLayouts.map((layout, i) => fresh(context, layout, `d${i} `)) as [Activation, Activation];
    context.calls.emit(multiply, 'gradient', multiplyShape(context), { a, b, dy, da, db }, context.node.id);
    return [da, db];
  },
};

function multiplyShape({ batch, node, inputs, inputLayouts, inputShapes }: NodeContext): Parameters<typeof multiply.check>[0] {
  const [a, b] = inputLayouts as [SampleLayout, SampleLayout];
  if (inputs[0] === inputs[1]) throw new SpecError(node.id, 'multiplies a tensor by itself');
  if (a.channels !== b.channels)
    throw new SpecError(node.id, 'joins vectors flattened from maps of different shapes; this is not supported');
  return {
    batch,
    positions: a.positions,
    channels: a.channels,
    broadcast: inputShapes[0]?.kind === 'map' && inputShapes[1]?.kind === 'vector',
  };
}

/** Each input is copied into its channels of the output. */
const concatLowering: Lowering = {
  layout: (inputs) => ({ channels: inputs.reduce((sum, { channels }) => sum + channels, 0), positions: inputs[0]!.positions }),
  forward(context) {
    const y = fresh(context, context.outputLayout, '');
    concatShapes(context).forEach((shape, i) =>
      context.calls.emit(concat, 'forward', shape, { x: context.inputs[i]!, y }, context.node.id),
    );
    return y;
  },
  backward(context, dy) {
    return concatShapes(context).map((shape, i) => {
      if (context.wantsInputGradient[i] !== true) return undefined;
      const dx = fresh(context, context.inputLayouts[i]!, `d${i} `);
      context.calls.emit(concat, 'gradient', shape, { dy, dx }, context.node.id);
      return dx;
    });
  },
};

function concatShapes({ batch, node, inputLayouts, outputLayout }: NodeContext): Parameters<typeof concat.check>[0][] {
  let offset = 0;
  return inputLayouts.map(({ channels, positions }) => {
    if (positions !== outputLayout.positions)
      throw new SpecError(node.id, 'joins vectors flattened from maps of different sizes; this is not supported');
    offset += channels;
    return { rows: batch * positions, channels, offset: offset - channels, total: outputLayout.channels };
  });
}

const padChannelsLowering: Lowering = {
  forward(context) {
    const y = fresh(context, context.outputLayout, '');
    context.calls.emit(padChannels, 'forward', padChannelsShape(context), { x: context.inputs[0]!, y }, context.node.id);
    return y;
  },
  backward(context, dy) {
    const dx = fresh(context, context.inputLayouts[0]!, 'd ');
    context.calls.emit(padChannels, 'gradient', padChannelsShape(context), { dy, dx }, context.node.id);
    return [dx];
  },
};

function padChannelsShape({ batch, inputLayouts, outputLayout }: NodeContext): Parameters<typeof padChannels.check>[0] {
  return { rows: batch * outputLayout.positions, inputs: inputLayouts[0]!.channels, outputs: outputLayout.channels };
}

export const elementwiseLowerings: Readonly<Record<string, Lowering>> = {
  relu6: activationLowering('relu6'),
  'leaky-relu': activationLowering('leaky-relu'),
  silu: activationLowering('silu'),
  'hard-swish': activationLowering('hard-swish'),
  sigmoid: sigmoidLowering('sigmoid'),
  'hard-sigmoid': sigmoidLowering('hard-sigmoid'),
  multiply: multiplyLowering,
  concat: concatLowering,
  'pad-channels': padChannelsLowering,
};
