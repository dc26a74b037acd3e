// Elementwise sum of two or more inputs of one shape: the join of a residual block.
import { z } from 'zod';
import { describeShape, sameShape } from '../shape.js';
import { onlyInput } from './elementwise.js';
import type { NodeType } from './node.js';

export const add: NodeType<Record<string, never>> = {
  type: 'add',
  attributes: z.strictObject({}),
  attributeNames: [],
  arity: 2,
  variadic: true,
  agreement: 'shape',
  shrinkable: [],
  coupling: () => ({ kind: 'same' }),
  shape(_, inputs) {
    const first = onlyInput(inputs);
    if (!inputs.every((input) => sameShape(input, first))) {
      throw new Error(`got ${inputs.map(describeShape).join(' and ')}, needs inputs of one shape`);
    }
    return first;
  },
  parameters: () => [],
  macs: () => 0,
  // ONNX's Add takes two; Sum takes any number.
  onnx: (_, inputs) => [{ op: inputs.length === 2 ? 'Add' : 'Sum', inputs: inputs.map((_shape, input) => ({ input })) }],
};
