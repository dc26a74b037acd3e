// The inputs' channels one after the other: maps of one size, or vectors.
import { z } from 'zod';
import { channelsOf, describeShape, sameSize } from '../shape.js';
import { onlyInput } from './elementwise.js';
import type { NodeType } from './node.js';

export const concat: NodeType<Record<string, never>> = {
  type: 'concat',
  attributes: z.strictObject({}),
  attributeNames: [],
  arity: 2,
  variadic: true,
  agreement: 'size',
  shrinkable: [],
  coupling: () => ({ kind: 'concat' }),
  shape(_, inputs) {
    const first = onlyInput(inputs);
    if (!inputs.every((input) => sameSize(input, first))) {
      throw new Error(`got ${inputs.map(describeShape).join(' and ')}, needs maps of one height and width, or vectors`);
    }
    const channels = inputs.reduce((sum, input) => sum + channelsOf(input), 0);
    return first.kind === 'map' ? { ...first, channels } : { kind: 'vector', features: channels };
  },
  parameters: () => [],
  macs: () => 0,
  onnx: (_, inputs) => [{ op: 'Concat', inputs: inputs.map((_shape, input) => ({ input })), attributes: { axis: { int: 1 } } }],
};
