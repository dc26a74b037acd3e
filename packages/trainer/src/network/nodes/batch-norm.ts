// Batch normalisation over channels (PyTorch's BatchNorm2d on maps, BatchNorm1d on vectors).
import { z } from 'zod';
import { channelsOf } from '../shape.js';
import { real } from './attributes.js';
import type { NodeType } from './node.js';
import { onlyInput } from './elementwise.js';

const attributes = z.strictObject({
  epsilon: real((value) => value > 0 && value <= 1, 'a number above 0, at most 1').default(1e-5),
  // PyTorch's sense: running = (1 - momentum) * running + momentum * batch.
  momentum: real((value) => value >= 0 && value <= 1, 'a number from 0 to 1').default(0.1),
});
export type BatchNormAttributes = z.infer<typeof attributes>;

export const batchNorm: NodeType<BatchNormAttributes> = {
  type: 'batch-norm',
  attributes,
  attributeNames: Object.keys(attributes.shape),
  arity: 1,
  shrinkable: [],
  coupling: () => ({ kind: 'same' }),
  shape: (_, inputs) => onlyInput(inputs),
  parameters(_, inputs) {
    const shape = [channelsOf(onlyInput(inputs))];
    return [
      { name: 'weight', shape, role: 'trained', initial: 'ones' },
      { name: 'bias', shape, role: 'trained', initial: 'zeros' },
      { name: 'running_mean', shape, role: 'state', initial: 'zeros' },
      { name: 'running_var', shape, role: 'state', initial: 'ones' },
    ];
  },
  macs: () => 0,
  onnx: ({ epsilon, momentum }) => [
    {
      op: 'BatchNormalization',
      inputs: [{ input: 0 }, ...['weight', 'bias', 'running_mean', 'running_var'].map((parameter) => ({ parameter }))],
      // ONNX counts the share of the old statistics.
      attributes: { epsilon: { float: epsilon }, momentum: { float: 1 - momentum } },
    },
  ],
};
