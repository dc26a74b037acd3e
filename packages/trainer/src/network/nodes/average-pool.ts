// Mean over a sliding window (PyTorch's AvgPool2d, floor mode). The stride defaults to the kernel; `countIncludePad`
// says whether padding counts in the divisor.
import { z } from 'zod';
import { flag, pair, sides } from './attributes.js';
import type { NodeType } from './node.js';
import { pooling, windowAttributes } from './pool.js';

const object = z.strictObject({
  kernel: pair(),
  stride: pair().optional(),
  padding: sides().default([0, 0, 0, 0]),
  countIncludePad: flag().default(true),
});
const attributes = object.transform((a) => ({
  kernel: a.kernel,
  stride: a.stride ?? a.kernel,
  padding: a.padding,
  countIncludePad: a.countIncludePad,
}));
export type AveragePoolAttributes = z.infer<typeof attributes>;

export const averagePool: NodeType<AveragePoolAttributes> = {
  type: 'average-pool',
  attributes,
  attributeNames: Object.keys(object.shape),
  ...pooling<AveragePoolAttributes>(),
  onnx: (a) => [
    {
      op: 'AveragePool',
      inputs: [{ input: 0 }],
      attributes: { ...windowAttributes(a), count_include_pad: { int: a.countIncludePad ? 1 : 0 } },
    },
  ],
};
