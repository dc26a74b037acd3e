// Mean of each channel over the whole map: [C, H, W] to [C].
import { z } from 'zod';
import type { NodeType } from './node.js';
import { mapInput } from './window.js';

export const globalAveragePool: NodeType<Record<string, never>> = {
  type: 'global-average-pool',
  attributes: z.strictObject({}),
  attributeNames: [],
  arity: 1,
  shrinkable: [],
  coupling: () => ({ kind: 'same' }),
  shape: (_, inputs) => ({ kind: 'vector', features: mapInput(inputs).channels }),
  parameters: () => [],
  macs: () => 0,
  onnx: () => [
    { op: 'GlobalAveragePool', inputs: [{ input: 0 }] },
    { op: 'Flatten', inputs: [{ step: 0 }], auxiliary: true },
  ],
};
