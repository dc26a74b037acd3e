// A map as a vector, channel-major: feature (c * H + y) * W + x is element [c, y, x] (PyTorch's Flatten).
import { z } from 'zod';
import { elementsOf } from '../shape.js';
import type { NodeType } from './node.js';
import { mapInput } from './window.js';

export const flatten: NodeType<Record<string, never>> = {
  type: 'flatten',
  attributes: z.strictObject({}),
  attributeNames: [],
  arity: 1,
  shrinkable: [],
  coupling(_, inputs) {
    const { height, width } = mapInput(inputs);
    return { kind: 'repeat', factor: height * width };
  },
  shape: (_, inputs) => ({ kind: 'vector', features: elementsOf(mapInput(inputs)) }),
  parameters: () => [],
  macs: () => 0,
  onnx: () => [{ op: 'Flatten', inputs: [{ input: 0 }] }],
};
