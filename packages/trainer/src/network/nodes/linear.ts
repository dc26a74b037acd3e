// Fully connected layer: y = x W^T + b, W [features, in].
import { z } from 'zod';
import type { Shape } from '../spec.js';
import { describeShape } from '../shape.js';
import { flag, integer } from './attributes.js';
import type { NodeType, ParameterDeclaration } from './node.js';

const attributes = z.strictObject({ features: integer(1), bias: flag().default(true) });
export type LinearAttributes = z.infer<typeof attributes>;

function inFeatures(inputs: readonly Shape[]): number {
  const [input] = inputs;
  if (input?.kind !== 'vector') {
    throw new Error(
      `got ${input === undefined ? 'no input' : describeShape(input)}, needs a vector: put a flatten or global-average-pool before it`,
    );
  }
  return input.features;
}

export const linear: NodeType<LinearAttributes> = {
  type: 'linear',
  attributes,
  attributeNames: Object.keys(attributes.shape),
  arity: 1,
  widthAttribute: 'features',
  shrinkable: [{ attribute: 'features', minimum: 10 }],
  coupling: () => ({ kind: 'free' }),
  shape(a, inputs) {
    inFeatures(inputs);
    return { kind: 'vector', features: a.features };
  },
  parameters(a, inputs) {
    const fanIn = inFeatures(inputs);
    const weight: ParameterDeclaration = {
      name: 'weight',
      shape: [a.features, fanIn],
      role: 'trained',
      initial: 'uniform',
      fanIn,
    };
    return a.bias ? [weight, { name: 'bias', shape: [a.features], role: 'trained', initial: 'uniform', fanIn }] : [weight];
  },
  macs: (a, inputs) => a.features * inFeatures(inputs),
  onnx: (a) => [
    {
      op: 'Gemm',
      inputs: [{ input: 0 }, { parameter: 'weight' }, ...(a.bias ? [{ parameter: 'bias' }] : [])],
      attributes: { transB: { int: 1 } },
    },
  ],
};
