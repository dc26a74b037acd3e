// add: y = a + b, elementwise. Residual connections, and the sum of gradients where a tensor has several users.
import { ShapeError, spread, type Op } from '../op.js';
import { addReference } from './reference.js';

export interface AddShape {
  /** Elements in words; a multiple of 4. */
  readonly size: number;
}

/** vec4 elements that one workgroup of 64 invocations covers: 4 an invocation. */
const VECTORS_PER_WORKGROUP = 256;

const words = ({ size }: AddShape): number => size;

export const add: Op<AddShape> = {
  name: 'add',
  passes: {
    forward: {
      tensors: [
        { name: 'a', role: 'in', type: 'f32', words },
        { name: 'b', role: 'in', type: 'f32', words },
        { name: 'y', role: 'out', type: 'f32', words },
      ],
      flops: ({ size }) => size,
      tolerance: 0,
      reference: addReference,
      variants: [
        {
          name: 'plain',
          usable: () => true,
          dispatches: ({ size }, device) => [
            {
              wgsl: new URL('./forward.wgsl', import.meta.url),
              bind: ['a', 'b', 'y'],
              uniforms: [size / 4],
              workgroups: spread(Math.ceil(size / 4 / VECTORS_PER_WORKGROUP), device.maxWorkgroups),
            },
          ],
        },
      ],
    },
  },
  check({ size }) {
    if (!Number.isInteger(size) || size <= 0 || size % 4 !== 0)
      throw new ShapeError('add', `size is ${size}; it must be a positive multiple of 4`);
  },
  samples: [{ size: 4 }, { size: 1020 }, { size: 1024 }, { size: 70_004 }],
  benchmarks: { '64x28x28x16': { size: 64 * 28 * 28 * 16 } },
  errors: [
    { shape: { size: 6 }, message: /multiple of 4/ },
    { shape: { size: 0 }, message: /positive/ },
  ],
};
