// The exact twin of rows: copies of words.
import type { Tensors } from '../op.js';
import { entryAt, type Entry } from '../order.js';
import type { RowsShape } from './index.js';

const tableRow = ({ views, words }: RowsShape, { view }: Entry, local: number): number =>
  (local * views + Math.min(view, views - 1)) * words;

export function gatherRowsReference(shape: RowsShape, tensors: Tensors): void {
  const { batch, words, voidWord } = shape;
  for (let i = 0; i < batch; i++) {
    const entry = entryAt(shape, tensors, i);
    for (let w = 0; w < words; w++) {
      if (entry.void) tensors['y']![i * words + w] = voidWord;
      else if (entry.local !== undefined) tensors['y']![i * words + w] = tensors['table']![tableRow(shape, entry, entry.local) + w]!;
    }
  }
}

export function scatterRowsReference(shape: RowsShape, tensors: Tensors): void {
  const { batch, words } = shape;
  for (let i = 0; i < batch; i++) {
    const entry = entryAt(shape, tensors, i);
    if (entry.void || entry.local === undefined) continue;
    for (let w = 0; w < words; w++) tensors['table']![tableRow(shape, entry, entry.local) + w] = tensors['y']![i * words + w]!;
  }
}
