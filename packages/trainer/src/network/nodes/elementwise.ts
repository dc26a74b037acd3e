// What layers without parameters that keep the shape of their only input share: activations, dropout.
import type { z } from 'zod';
import type { AttributeValue, Shape } from '../spec.js';
import type { NodeType, OnnxStep } from './node.js';

export function onlyInput(inputs: readonly Shape[]): Shape {
  const [input] = inputs;
  if (input === undefined) throw new Error('got no input, needs one');
  return input;
}

export function elementwise<A extends Record<string, AttributeValue>>(
  type: string,
  attributes: z.ZodType<A>,
  attributeNames: readonly string[],
  onnx: (attributes: A) => readonly OnnxStep[],
): NodeType<A> {
  return {
    type,
    attributes,
    attributeNames,
    arity: 1,
    shrinkable: [],
    coupling: () => ({ kind: 'same' }),
    shape: (_, inputs) => onlyInput(inputs),
    parameters: () => [],
    macs: () => 0,
    onnx: (values) => onnx(values),
  };
}

/** An operator of one input, constants after it. */
export function unary(
  op: string,
  attributes: NonNullable<OnnxStep['attributes']> = {},
  constants: readonly { readonly float: number }[] = [],
): OnnxStep[] {
  return [{ op, inputs: [{ input: 0 }, ...constants], attributes }];
}
