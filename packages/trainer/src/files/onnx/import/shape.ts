// Operators that change how values are laid out, as far as they only flatten, and the arithmetic on sizes that exporters write
// in front of a reshape.
import { elementsOf } from '../../../network/index.js';
import { integersOf, isFloatType } from '../tensor.js';
import type { OnnxTensor } from '../schema.js';
import { DataType } from '../schema.js';
import { named, type Importer, type Table } from './importer.js';
import { constantOfShape, reshapedList, slicedList, transposedList } from './lists.js';
import type { Operator } from './operator.js';
import type { Feature, Size, Value } from './values.js';
import { everyPixel } from './window.js';

const ones = (dims: readonly number[]): boolean => dims.filter((size) => size !== 1).length <= 1;

/** `x` with the dimensions `dims` after the batch: the same elements in the same order. */
function reshaped(operator: Operator, importer: Importer, x: Feature, dims: readonly number[]): Value {
  if (dims.reduce((product, size) => product * size, 1) !== elementsOf(x.shape)) {
    return operator.fail(`turns [N, ${x.dims.join(', ')}] into [N, ${dims.join(', ')}], which has another number of elements`);
  }
  if (dims.join() === x.dims.join()) return x;
  if (x.shape.kind === 'vector') {
    if (ones(dims)) return { ...x, dims };
  } else if (dims.length === 1 || (ones(x.dims) && ones(dims))) {
    const { channels, height, width } = x.shape;
    const y = importer.add(operator, 'flatten', {}, [x]);
    const last = x.channelsLast && height * width > 1 ? { flattenedLast: { channels, positions: height * width } } : {};
    return { ...y, dims, ...last, final: x.final };
  }
  return operator.fail(`turns [N, ${x.dims.join(', ')}] into [N, ${dims.join(', ')}]; n2n reads reshapes that flatten`);
}

function flatten(operator: Operator, importer: Importer): Value {
  const x = importer.feature(operator, 0, { final: true });
  const axis = operator.int('axis', 1);
  if (axis !== 1 && axis !== -x.dims.length)
    operator.fail(`flattens from axis ${axis}; n2n keeps the batch and flattens the rest (axis 1)`);
  return reshaped(operator, importer, x, [elementsOf(x.shape)]);
}

/** Reshape: the first dimension must be the batch, 0 copies and -1 is what is left. */
function reshape(operator: Operator, importer: Importer): Value {
  const target = [...importer.sizes(operator, 1)];
  const list = importer.list(operator, 0);
  if (list !== undefined) return reshapedList(operator, list, target);
  const x = importer.feature(operator, 0, { final: true });
  const copies = operator.int('allowzero', 0) === 0;
  const from: readonly Size[] = ['batch', ...x.dims];
  const resolved = target.map((size, i) => (size === 0 && copies ? (from[i] ?? 0) : size));
  const [batch, ...rest] = resolved;
  const known = rest.reduce<number>((product, size) => (typeof size === 'number' && size > 0 ? product * size : product), 1);
  const open = rest.filter((size) => size === -1).length;
  const elements = elementsOf(x.shape);
  if (rest.includes('batch') || open > 1 || rest.some((size) => typeof size === 'number' && size < -1)) {
    return operator.fail(`reshapes to [${target.join(', ')}]; n2n reads reshapes that keep the batch and flatten the rest`);
  }
  const keepsBatch = batch === 'batch' || batch === importer.context.batch || (open === 0 && known === elements);
  if (!keepsBatch) return operator.fail(`reshapes to [${target.join(', ')}]; n2n reads reshapes that keep the batch and flatten the rest`);
  return reshaped(
    operator,
    importer,
    x,
    rest.map((size) => (size === -1 ? elements / known : Number(size))),
  );
}

function transpose(operator: Operator, importer: Importer): Value {
  const list = importer.list(operator, 0);
  if (list !== undefined) return transposedList(operator, list);
  const x = importer.feature(operator, 0, { final: true });
  const rank = x.dims.length + 1;
  const order = operator.ints('perm') ?? Array.from({ length: rank }, (_, i) => rank - 1 - i);
  const valid = order.length === rank && order[0] === 0 && new Set(order).size === rank && order.every((axis) => axis >= 0 && axis < rank);
  if (!valid) return operator.fail(`orders the axes [${order.join(', ')}]; n2n keeps the batch first`);
  const dims = order.slice(1).map((axis) => x.dims[axis - 1]!);
  if (x.shape.kind === 'vector') return { ...x, dims };
  const [a, b, c] = order.slice(1);
  if (a === 1 && b === 2 && c === 3) return x;
  const toLast = !x.channelsLast && a === 2 && b === 3 && c === 1;
  const toFirst = x.channelsLast && a === 3 && b === 1 && c === 2;
  if (!toLast && !toFirst) return operator.fail(`orders the axes [${order.join(', ')}]; n2n reads channels-first and channels-last`);
  return { ...x, dims, channelsLast: toLast };
}

/** Axes of Squeeze and Unsqueeze: an attribute before opset 13, then an input. */
function axesOf(operator: Operator, importer: Importer): readonly number[] | undefined {
  return operator.ints('axes') ?? (importer.hasInput(operator, 1) ? importer.integers(operator, 1) : undefined);
}

function squeeze(operator: Operator, importer: Importer): Value {
  const value = importer.value(operator, 0);
  if (value.kind === 'sizes') return { ...value, scalar: true };
  const x = importer.feature(operator, 0, { final: true });
  const rank = x.dims.length + 1;
  const axes =
    axesOf(operator, importer)?.map((axis) => (axis < 0 ? axis + rank : axis)) ?? x.dims.flatMap((size, i) => (size === 1 ? [i + 1] : []));
  if (axes.some((axis) => axis < 1 || x.dims[axis - 1] !== 1))
    operator.fail(`drops the axes [${axes.join(', ')}] of [N, ${x.dims.join(', ')}]; they must have size 1`);
  return reshaped(
    operator,
    importer,
    x,
    x.dims.filter((_, i) => !axes.includes(i + 1)),
  );
}

function unsqueeze(operator: Operator, importer: Importer): Value {
  const value = importer.value(operator, 0);
  if (value.kind === 'sizes') return { ...value, scalar: false };
  if (value.kind === 'constant') return { kind: 'sizes', sizes: importer.sizes(operator, 0), scalar: false };
  const x = importer.feature(operator, 0, { final: true });
  const axes = axesOf(operator, importer) ?? operator.fail('has no axes');
  const rank = x.dims.length + 1 + axes.length;
  const places = axes.map((axis) => (axis < 0 ? axis + rank : axis));
  if (rank > 8 || new Set(places).size !== places.length || places.some((axis) => axis < 1 || axis >= rank)) {
    operator.fail(`adds the axes [${axes.join(', ')}] to [N, ${x.dims.join(', ')}]`);
  }
  const left = [...x.dims];
  const dims = Array.from({ length: rank - 1 }, (_, i) => (places.includes(i + 1) ? 1 : left.shift()!));
  return reshaped(operator, importer, x, dims);
}

function identity(operator: Operator, importer: Importer): Value {
  return importer.value(operator, 0);
}

function cast(operator: Operator, importer: Importer): Value {
  const value = importer.value(operator, 0);
  const to = operator.int('to', 0);
  if (value.kind === 'feature' && !isFloatType(to)) operator.fail(`casts to data type ${to}; n2n computes with floating-point numbers`);
  if (value.kind === 'constant' && isFloatType(to) !== isFloatType(value.tensor.dataType))
    operator.fail('casts a constant between integers and floats');
  return value;
}

function constant(operator: Operator): Value {
  const tensor = operator.tensor('value');
  if (tensor?.external !== undefined) operator.fail('keeps its value in another file; n2n reads that of initializers only');
  if (tensor !== undefined) return { kind: 'constant', tensor };
  const name = operator.node.outputs[0] ?? '';
  const floats = operator.floats('value_floats') ?? (operator.has('value_float') ? [operator.float('value_float', 0)] : undefined);
  const ints = operator.ints('value_ints') ?? (operator.has('value_int') ? [operator.int('value_int', 0)] : undefined);
  const values = floats ?? ints ?? operator.fail('has no value that n2n reads: a tensor, numbers or integers');
  const dims = operator.has('value_floats') || operator.has('value_ints') ? [values.length] : [];
  const plain: OnnxTensor = { name, dims, dataType: floats === undefined ? DataType.INT64 : DataType.FLOAT, values };
  return { kind: 'constant', tensor: plain };
}

function shapeOf(operator: Operator, importer: Importer): Value {
  const x = importer.feature(operator, 0);
  const all: readonly Size[] = ['batch', ...x.dims];
  const [start, end] = [operator.int('start', 0), operator.int('end', all.length)];
  return { kind: 'sizes', sizes: all.slice(start, end), scalar: false };
}

function gather(operator: Operator, importer: Importer): Value {
  const sizes = importer.sizes(operator, 0);
  const { tensor } = importer.constant(operator, 1);
  const indices = named(operator, () => integersOf(tensor));
  if (operator.int('axis', 0) !== 0) operator.fail('gathers along another axis than 0');
  const picked = indices.map((index) => sizes.at(index) ?? operator.fail(`reads element ${index} of ${sizes.length} sizes`));
  return { kind: 'sizes', sizes: picked, scalar: tensor.dims.length === 0 };
}

function slice(operator: Operator, importer: Importer): Value {
  const part = (name: string, index: number): readonly number[] | undefined =>
    operator.ints(name) ?? (importer.hasInput(operator, index) ? importer.integers(operator, index) : undefined);
  const [starts, ends, axes, steps] = [part('starts', 1) ?? [], part('ends', 2) ?? [], part('axes', 3), part('steps', 4)];
  if ([ends, axes ?? ends, steps ?? ends].some(({ length }) => length !== starts.length))
    operator.fail('has unlike numbers of starts, ends, axes and steps');
  const ranges = starts.map((start, i) => ({ start, end: ends[i]!, axis: axes?.[i] ?? i, step: steps?.[i] ?? 1 }));
  const list = importer.list(operator, 0);
  if (list === undefined) return everyPixel(operator, importer, ranges);
  const [range] = ranges;
  if (range === undefined || ranges.length > 1 || range.axis !== 0)
    return operator.fail('slices a list of sizes along another axis than 0');
  return slicedList(operator, list, range);
}

export const shapeTable: Table = {
  Flatten: { attributes: ['axis'], read: flatten },
  Reshape: { attributes: ['allowzero'], read: reshape },
  Transpose: { attributes: ['perm'], read: transpose },
  Squeeze: { attributes: ['axes'], read: squeeze },
  Unsqueeze: { attributes: ['axes'], read: unsqueeze },
  Identity: { attributes: [], read: identity },
  Cast: { attributes: ['to', 'saturate'], read: cast },
  Constant: { attributes: ['value', 'value_float', 'value_floats', 'value_int', 'value_ints'], read: constant },
  Shape: { attributes: ['start', 'end'], read: shapeOf },
  Gather: { attributes: ['axis'], read: gather },
  Slice: { attributes: ['starts', 'ends', 'axes'], read: slice },
  ConstantOfShape: { attributes: ['value'], read: constantOfShape },
};
