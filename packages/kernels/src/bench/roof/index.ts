// The machine's limits as ops, so that a kernel's rate can be read beside them: multiply-adds in registers, and a copy. They
// are no part of the op set; their tests are in bench.test.ts.
import { requirePositiveIntegers, requireVectors } from '../../ops/checks.js';
import { f32, spread, type Op, type TensorDeclaration, type Tensors } from '../../ops/op.js';

export interface MultiplyAddShape {
  /** Invocations, each with 2 chains of vec4f. */
  readonly invocations: number;
  /** Each is 32 links of both chains. */
  readonly rounds: number;
}

const CHAINS = 2;
const LINKS = 32;
const FACTOR = 0.75;
const TERM = 0.5;
/** vec4 elements that a workgroup of the copy covers. */
const COPY_VECTORS = 256;

/** Cheap and never zero: these tensors are long. */
const ramp = (count: number): Float32Array => Float32Array.from({ length: count }, (_, i) => 1 + (i % 1021));

function multiplyAddReference({ invocations, rounds }: MultiplyAddShape, { x, y }: Tensors): void {
  for (let i = 0; i < invocations * 4; i++) {
    y![i] = 0;
    for (let chain = 0; chain < CHAINS; chain++) {
      let a = x![i]! + chain;
      for (let link = 0; link < LINKS * rounds; link++) a = a * FACTOR + TERM;
      y![i]! += a;
    }
  }
}

const vectors = ({ invocations }: MultiplyAddShape): number => invocations * 4;
const multiplyAddX: TensorDeclaration<MultiplyAddShape> = {
  name: 'x',
  role: 'in',
  type: 'f32',
  words: vectors,
  fill: (shape) => ramp(vectors(shape)),
};

/** The most multiply-adds a second that WGSL reaches: a loop without memory. */
export const multiplyAdd: Op<MultiplyAddShape> = {
  name: 'multiply-add',
  passes: {
    forward: {
      tensors: [multiplyAddX, { name: 'y', role: 'out', type: 'f32', words: vectors }],
      flops: ({ invocations, rounds }) => 2 * 4 * CHAINS * LINKS * rounds * invocations,
      tolerance: 1e-5,
      reference: multiplyAddReference,
      variants: [
        {
          name: 'plain',
          usable: () => true,
          dispatches: ({ invocations, rounds }, device) => [
            {
              wgsl: new URL('./multiplyAdd.wgsl', import.meta.url),
              bind: ['x', 'y'],
              uniforms: [invocations, rounds, f32(FACTOR), f32(TERM)],
              workgroups: spread(Math.ceil(invocations / 64), device.maxWorkgroups),
            },
          ],
        },
      ],
    },
  },
  check: ({ invocations, rounds }) => requirePositiveIntegers('multiply-add', { invocations, rounds }),
  samples: [
    { invocations: 1, rounds: 1 },
    { invocations: 100, rounds: 1 },
  ],
  benchmarks: { 'multiply-add': { invocations: 2 ** 18, rounds: 16 } },
  errors: [{ shape: { invocations: 0, rounds: 1 }, message: /invocations is 0/ }],
};

export interface CopyShape {
  /** Words; a multiple of 4. */
  readonly size: number;
}

const words = ({ size }: CopyShape): number => size;

/** The most bytes a second: one stream read, one written. */
export const copy: Op<CopyShape> = {
  name: 'copy',
  passes: {
    forward: {
      tensors: [
        { name: 'x', role: 'in', type: 'f32', words, fill: ({ size }) => ramp(size) },
        { name: 'y', role: 'out', type: 'f32', words },
      ],
      flops: () => 0,
      tolerance: 0,
      reference: (_, { x, y }) => y!.set(x!),
      variants: [
        {
          name: 'plain',
          usable: () => true,
          dispatches: ({ size }, device) => [
            {
              wgsl: new URL('./copy.wgsl', import.meta.url),
              bind: ['x', 'y'],
              uniforms: [size / 4],
              workgroups: spread(Math.ceil(size / 4 / COPY_VECTORS), device.maxWorkgroups),
            },
          ],
        },
      ],
    },
  },
  check: ({ size }) => requireVectors('copy', size),
  samples: [{ size: 4 }, { size: 1028 }],
  benchmarks: { copy: { size: 2 ** 24 } }, // 64 MiB each way: more than any cache holds
  errors: [{ shape: { size: 5 }, message: /multiple of 4/ }],
};
