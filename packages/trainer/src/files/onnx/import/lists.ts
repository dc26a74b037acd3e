// Arithmetic on lists of integers that exporters leave in a graph: PyTorch turns the pads of F.pad round with a table of two columns.
import { ONNX_LIMITS } from '../limits.js';
import { integersOf } from '../tensor.js';
import { named, type Importer } from './importer.js';
import type { Operator } from './operator.js';
import type { Size, Sizes, Value } from './values.js';

/** As many copies of one integer as the input says. */
export function constantOfShape(operator: Operator, importer: Importer): Value {
  const dims = importer.integers(operator, 0);
  const [count = 1] = dims;
  const tensor = operator.tensor('value') ?? operator.fail('fills with floats; n2n computes lists of integers');
  const values = named(operator, () => integersOf(tensor));
  if (values.length !== 1) operator.fail(`fills with ${values.length} values, needs one`);
  if (dims.length > 1 || !(count >= 0)) operator.fail(`makes a list of [${dims.join(', ')}] integers`);
  checkLength(operator, count);
  return { kind: 'sizes', sizes: Array.from({ length: count }, () => values[0]!), scalar: false };
}

export function checkLength(operator: Operator, length: number): void {
  if (length > ONNX_LIMITS.computed)
    operator.fail(`is about a list of ${length} integers; n2n computes lists of at most ${ONNX_LIMITS.computed}`);
}

/** The list in rows, or the rows in one list. */
export function reshapedList(operator: Operator, { sizes }: Sizes, target: readonly Size[]): Sizes {
  const [rows, columns] = target;
  if (columns === undefined) {
    const same = rows === undefined ? sizes.length === 1 : rows === -1 || rows === 0 || rows === sizes.length;
    if (!same) operator.fail(`turns a list of ${sizes.length} sizes into [${target.join(', ')}]`);
    return { kind: 'sizes', sizes, scalar: rows === undefined };
  }
  const fits = typeof columns === 'number' && columns > 0 && (rows === -1 ? sizes.length % columns === 0 : rows === sizes.length / columns);
  if (target.length > 2 || !fits) return operator.fail(`turns a list of ${sizes.length} sizes into [${target.join(', ')}]`);
  return { kind: 'sizes', sizes, columns, scalar: false };
}

export function transposedList(operator: Operator, list: Sizes): Sizes {
  const { columns } = list;
  if (columns === undefined || (operator.ints('perm') ?? [1, 0]).join() !== '1,0')
    return operator.fail('orders the axes of a list of sizes');
  const table = rowsOf(list);
  const sizes = Array.from({ length: columns }, (_, column) => table.map((row) => row[column]!)).flat();
  return { kind: 'sizes', sizes, columns: table.length, scalar: false };
}

/** From `start` to before `end` in steps of 1, or backwards in steps of -1; of a table, its rows. */
export function slicedList(operator: Operator, list: Sizes, { start, end, step }: { start: number; end: number; step: number }): Sizes {
  const rows = rowsOf(list);
  if (step === 1) return { ...list, sizes: rows.slice(start, end).flat() };
  if (step !== -1) return operator.fail(`takes steps of ${step} through a list of sizes`);
  // ONNX counts from the end below 0, and what lies before the first element is under -length.
  const place = (at: number): number => Math.min(rows.length - 1, at < 0 ? at + rows.length : at);
  return {
    ...list,
    sizes: rows
      .slice(Math.max(-1, place(end)) + 1, Math.max(-1, place(start)) + 1)
      .toReversed()
      .flat(),
  };
}

const rowsOf = ({ sizes, columns = 1 }: Sizes): (readonly Size[])[] =>
  Array.from({ length: sizes.length / columns }, (_, row) => sizes.slice(row * columns, (row + 1) * columns));
