// Maximum over a sliding window; padding never wins (PyTorch's MaxPool2d, floor mode). The stride defaults to the kernel.
import { z } from 'zod';
import { pair, sides } from './attributes.js';
import type { NodeType } from './node.js';
import { pooling, windowAttributes } from './pool.js';

const object = z.strictObject({ kernel: pair(), stride: pair().optional(), padding: sides().default([0, 0, 0, 0]) });
const attributes = object.transform((a) => ({ kernel: a.kernel, stride: a.stride ?? a.kernel, padding: a.padding }));
export type MaxPoolAttributes = z.infer<typeof attributes>;

export const maxPool: NodeType<MaxPoolAttributes> = {
  type: 'max-pool',
  attributes,
  attributeNames: Object.keys(object.shape),
  ...pooling<MaxPoolAttributes>(),
  onnx: (a) => [{ op: 'MaxPool', inputs: [{ input: 0 }], attributes: windowAttributes(a) }],
};
