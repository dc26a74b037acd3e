// rows: copies rows of words between a table of the whole data set and the batch of a step: labels, and the teacher's logits of
// every (image, view), which `scatter` puts into the table once and `gather` fetches like labels in every step after.
import type { Random } from '../../testing/random.js';
import { requirePositiveIntegers } from '../checks.js';
import { ShapeError, spread, type Op, type TensorDeclaration, type Variant } from '../op.js';
import { checkOrder, orderClock, orderTensor, VOID_IMAGE, type OrderShape } from '../order.js';
import { gatherRowsReference, scatterRowsReference } from './reference.js';

export interface RowsShape extends OrderShape {
  /** Words of a row. */
  readonly words: number;
  /** Rows of an image, one a view; a larger view (such as the plain one) takes the last. */
  readonly views: number;
  /** What `gather` writes for a void image: 0xffffffff for labels, 0 for logits. */
  readonly voidWord: number;
}

const WORKGROUP = 64;
const randomWords = (count: (shape: RowsShape) => number) => (shape: RowsShape, random: Random) =>
  Array.from({ length: count(shape) }, () => random.integer(2 ** 32));
const tableWords = ({ count, views, words }: RowsShape): number => count * views * words;
const batchWords = ({ batch, words }: RowsShape): number => batch * words;

const tensor = (name: string, role: 'in' | 'inout', words: (shape: RowsShape) => number): TensorDeclaration<RowsShape> => ({
  name,
  role,
  type: 'u32',
  words,
  fill: randomWords(words),
});

const variant = (wgsl: URL, bind: readonly string[]): Variant<RowsShape> => ({
  name: 'plain',
  usable: () => true,
  dispatches: (shape, device) => [
    {
      wgsl,
      bind,
      uniforms: [shape.batch, shape.words, shape.views, shape.first, shape.count, shape.steps, shape.voidWord],
      workgroups: spread(Math.ceil(batchWords(shape) / WORKGROUP), device.maxWorkgroups),
    },
  ],
});

/** Reads and writes of the batch's words, and its order. */
const movedBytes = ({ batch, words }: RowsShape): number => batch * (2 * words + 2) * 4;

const labels: RowsShape = { batch: 64, words: 1, views: 1, first: 0, count: 100, steps: 3, voidWord: VOID_IMAGE };
const logits: RowsShape = { batch: 13, words: 12, views: 3, first: 7, count: 9, steps: 2, voidWord: 0 };

export const rows: Op<RowsShape> = {
  name: 'rows',
  passes: {
    gather: {
      tensors: [tensor('table', 'in', tableWords), orderTensor, orderClock, tensor('y', 'inout', batchWords)],
      flops: () => 0,
      bytes: movedBytes,
      tolerance: 0,
      reference: gatherRowsReference,
      variants: [variant(new URL('./gather.wgsl', import.meta.url), ['table', 'order', 'clock', 'y'])],
    },
    scatter: {
      tensors: [tensor('y', 'in', batchWords), orderTensor, orderClock, tensor('table', 'inout', tableWords)],
      flops: () => 0,
      bytes: movedBytes,
      tolerance: 0,
      reference: scatterRowsReference,
      variants: [variant(new URL('./scatter.wgsl', import.meta.url), ['y', 'order', 'clock', 'table'])],
    },
  },
  check(shape) {
    checkOrder('rows', shape);
    const { words, views, voidWord } = shape;
    requirePositiveIntegers('rows', { words, views });
    if (tableWords(shape) >= 2 ** 32) throw new ShapeError('rows', `the table has ${tableWords(shape)} words; it must stay under 2^32`);
    if (!Number.isInteger(voidWord) || voidWord < 0 || voidWord >= 2 ** 32)
      throw new ShapeError('rows', `voidWord is ${voidWord}; it must be a 32-bit word`);
  },
  samples: [
    labels,
    logits,
    { ...labels, batch: 1, count: 1, steps: 1 },
    { ...logits, batch: 33, words: 5, views: 1, first: 1000, count: 40, voidWord: 7 },
  ],
  benchmarks: { '500x1000': { ...logits, batch: 500, words: 1000, views: 1, first: 0, count: 1000, steps: 1 } },
  errors: [
    { shape: { ...labels, words: 0 }, message: /words is 0/ },
    { shape: { ...labels, views: 0 }, message: /views is 0/ },
    { shape: { ...labels, first: -1 }, message: /first is -1/ },
    { shape: { ...labels, count: 2 ** 32 }, message: /indices must stay under/ },
    { shape: { ...labels, steps: 0 }, message: /steps is 0/ },
    { shape: { ...labels, count: 2 ** 20, words: 2 ** 13 }, message: /under 2\^32/ },
    { shape: { ...labels, voidWord: -1 }, message: /voidWord is -1/ },
  ],
};
