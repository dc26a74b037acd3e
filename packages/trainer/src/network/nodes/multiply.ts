// Elementwise product of two inputs of one shape, or of a map with a vector that has one factor a channel: the gate of a
// squeeze-and-excite block.
import { z } from 'zod';
import { channelsOf, describeShape, sameShape } from '../shape.js';
import { onlyInput } from './elementwise.js';
import type { NodeType } from './node.js';

export const multiply: NodeType<Record<string, never>> = {
  type: 'multiply',
  attributes: z.strictObject({}),
  attributeNames: [],
  arity: 2,
  agreement: 'channels',
  shrinkable: [],
  coupling: () => ({ kind: 'same' }),
  shape(_, inputs) {
    const [, gate] = inputs;
    const first = onlyInput(inputs);
    const fits = gate !== undefined && (sameShape(first, gate) || (gate.kind === 'vector' && channelsOf(gate) === channelsOf(first)));
    if (!fits) throw new Error(`got ${inputs.map(describeShape).join(' and ')}, needs one shape, or a map and a vector of its channels`);
    return first;
  },
  parameters: () => [],
  macs: () => 0,
  onnx: (_, [first, gate]) =>
    first?.kind === 'map' && gate?.kind === 'vector'
      ? [
          { op: 'Unsqueeze', inputs: [{ input: 1 }, { ints: [2, 3] }], auxiliary: true },
          { op: 'Mul', inputs: [{ input: 0 }, { step: 0 }] },
        ]
      : [{ op: 'Mul', inputs: [{ input: 0 }, { input: 1 }] }],
};
