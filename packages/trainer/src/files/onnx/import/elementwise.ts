// Operators that work element by element: activations, sums and products, concatenation, dropout, the softmax at the end.
import { channelsOf, sameShape } from '../../../network/index.js';
import { shortestDecimal } from './decimal.js';
import { dimsOf, type Importer, type Table } from './importer.js';
import { checkLength } from './lists.js';
import type { Operator } from './operator.js';
import { channelAxis, type Feature, type Size, type Value } from './values.js';

/** A node that keeps its input's shape also keeps how ONNX presents it. */
function same(x: Feature, y: Feature): Feature {
  return { ...x, id: y.id, shape: y.shape };
}

const activation =
  (type: string, attributes: (operator: Operator) => Record<string, number> = () => ({})) =>
  (operator: Operator, importer: Importer): Value => {
    const x = importer.feature(operator, 0);
    return same(x, importer.add(operator, type, attributes(operator), [x]));
  };

function clip(operator: Operator, importer: Importer): Value {
  const bound = (name: string, index: number, fallback: number): number => {
    if (operator.has(name)) return operator.float(name, fallback);
    return importer.hasInput(operator, index) ? (importer.floats(operator, index).data[0] ?? fallback) : fallback;
  };
  const [least, most] = [bound('min', 1, -Infinity), bound('max', 2, Infinity)];
  const x = importer.feature(operator, 0);
  if (least === 0 && most >= 3e38) return same(x, importer.add(operator, 'relu', {}, [x]));
  if (least === 0 && most === 6) return same(x, importer.add(operator, 'relu6', {}, [x]));
  return operator.fail(`clips to [${least}, ${most}]; n2n knows [0, 6] (ReLU6) and [0, infinity) (ReLU)`);
}

/** A constant operand as one value a channel, or one for all. */
function perChannel(operator: Operator, importer: Importer, index: number, x: Feature): Float32Array {
  const { data, dims } = importer.floats(operator, index);
  const channels = channelsOf(x.shape);
  const rank = x.dims.length + 1;
  const axis = channelAxis(x);
  const fits = dims.length <= rank && dims.every((size, i) => size === 1 || (i + rank - dims.length === axis && size === channels));
  if (!fits || x.flattenedLast !== undefined) {
    return operator.fail(`has a constant of [${dims.join(', ')}] beside [N, ${x.dims.join(', ')}]; n2n reads one value, or one a channel`);
  }
  return data.length === channels ? data : new Float32Array(channels).fill(data[0] ?? 0);
}

/**
 * x * scale + shift a channel. A shift right after a convolution or linear layer without bias is its bias; everything else is
 * a batch-norm with mean 0 and variance 1, which computes just that.
 */
function affine(
  operator: Operator,
  importer: Importer,
  index: number,
  x: Feature,
  change: { scale?: Float32Array; shift?: Float32Array },
): Value {
  const { scale, shift } = change;
  const layer = importer.nodeOf(x.id);
  const bare = layer !== undefined && layer.attributes['bias'] === false && importer.isOnlyReader(x.id, operator.node.inputs[index] ?? '');
  if (scale === undefined && shift !== undefined && bare) {
    importer.setBias(x.id, shift);
    return x;
  }
  const channels = channelsOf(x.shape);
  const epsilon = 1e-5;
  const ones = new Float32Array(channels).fill(1);
  const weight = (scale ?? ones).map((value) => value * Math.sqrt(1 + epsilon));
  const zeros = new Float32Array(channels);
  return same(x, importer.add(operator, 'batch-norm', { epsilon }, [x], [weight, shift ?? zeros, zeros, ones]));
}

type Arithmetic = (constant: Float32Array, constantFirst: boolean, operator: Operator) => { scale?: Float32Array; shift?: Float32Array };

const arithmetic: Readonly<Record<'Add' | 'Sub' | 'Mul' | 'Div', Arithmetic>> = {
  Add: (shift) => ({ shift }),
  Sub: (constant, constantFirst) =>
    constantFirst ? { scale: constant.map(() => -1), shift: constant } : { shift: constant.map((value) => -value) },
  Mul: (scale) => ({ scale }),
  Div: (constant, constantFirst, operator) => {
    if (constantFirst) operator.fail('divides by what the network computes');
    if (constant.some((value) => value === 0)) operator.fail('divides by zero');
    return { scale: constant.map((value) => 1 / value) };
  },
};

function binary(kind: keyof typeof arithmetic) {
  return (operator: Operator, importer: Importer): Value => {
    const [a, b] = [importer.value(operator, 0), importer.value(operator, 1)];
    if (a.kind === 'feature' && b.kind === 'feature') {
      if (kind === 'Sub' || kind === 'Div') return operator.fail('takes two computed inputs; n2n knows sums and products of them');
      const [x, y] = [importer.feature(operator, 0), importer.feature(operator, 1)];
      return kind === 'Add' ? sum(operator, importer, [x, y]) : product(operator, importer, x, y);
    }
    const index = a.kind === 'feature' ? 0 : 1;
    const x = importer.feature(operator, index);
    return affine(operator, importer, index, x, arithmetic[kind](perChannel(operator, importer, 1 - index, x), index === 1, operator));
  };
}

function sum(operator: Operator, importer: Importer, inputs: readonly Feature[]): Value {
  const [first] = inputs;
  if (first === undefined) return operator.fail('has no input');
  for (const other of inputs) {
    if (!sameShape(other.shape, first.shape) || other.dims.join() !== first.dims.join() || other.flattenedLast !== first.flattenedLast) {
      operator.fail(`adds [N, ${first.dims.join(', ')}] and [N, ${other.dims.join(', ')}]; n2n adds inputs of one shape`);
    }
  }
  if (inputs.length === 1) return first;
  if (new Set(inputs.map(({ id }) => id)).size === inputs.length) return same(first, importer.add(operator, 'add', {}, inputs));
  if (inputs.some(({ id }) => id !== first.id)) return operator.fail('adds one value several times beside another');
  return affine(operator, importer, 0, first, { scale: new Float32Array(channelsOf(first.shape)).fill(inputs.length) });
}

/** Types of gates that make, with what they gate, an activation of its own. */
function fused(importer: Importer, x: Feature, gate: Feature): string | undefined {
  const node = importer.nodeOf(gate.id);
  if (node?.inputs[0] !== x.id) return undefined;
  if (node.type === 'sigmoid') return 'silu';
  const { alpha, beta } = node.attributes;
  return node.type === 'hard-sigmoid' && alpha === 1 / 6 && beta === 0.5 ? 'hard-swish' : undefined;
}

function product(operator: Operator, importer: Importer, a: Feature, b: Feature): Value {
  for (const [x, gate] of [
    [a, b],
    [b, a],
  ] as const) {
    const type = fused(importer, x, gate);
    if (type !== undefined) return same(x, importer.add(operator, type, {}, [x]));
  }
  const [x, gate] = a.shape.kind === 'vector' && b.shape.kind === 'map' ? [b, a] : [a, b];
  const gateDims = x.channelsLast ? [1, 1, channelsOf(x.shape)] : [channelsOf(x.shape), 1, 1];
  const broadcasts = x.shape.kind === 'map' && gate.shape.kind === 'vector' && gate.dims.join() === gateDims.join();
  const equal = sameShape(x.shape, gate.shape) && x.dims.join() === gate.dims.join() && x.flattenedLast === gate.flattenedLast;
  if (!broadcasts && !equal) {
    return operator.fail(
      `multiplies [N, ${x.dims.join(', ')}] by [N, ${gate.dims.join(', ')}]; n2n knows equal shapes, or one factor a channel`,
    );
  }
  if (x.id === gate.id) return operator.fail('squares a value');
  return same(x, importer.add(operator, 'multiply', {}, [x, gate]));
}

function concat(operator: Operator, importer: Importer): Value {
  const values = operator.node.inputs.map((_, index) => importer.value(operator, index));
  if (values.every((value) => value.kind !== 'feature')) {
    const sizes = values.flatMap((_, index): readonly Size[] => importer.sizes(operator, index));
    checkLength(operator, sizes.length);
    return { kind: 'sizes', sizes, scalar: false };
  }
  const inputs = values.map((_, index) => importer.feature(operator, index));
  const [first] = inputs;
  if (first === undefined) return operator.fail('has no input');
  const rank = first.dims.length + 1;
  const axis = operator.int('axis', Number.NaN);
  const wanted = first.shape.kind === 'map' && first.channelsLast ? rank - 1 : 1;
  const alike = inputs.every(
    (x) => x.channelsLast === first.channelsLast && x.dims.length === first.dims.length && x.flattenedLast === undefined,
  );
  if ((axis < 0 ? axis + rank : axis) !== wanted || !alike) operator.fail(`joins along axis ${axis}; n2n joins channels`);
  if (inputs.length === 1) return first;
  const y = importer.add(operator, 'concat', {}, inputs);
  const dims = dimsOf(y.shape);
  if (first.shape.kind === 'vector') return { ...y, dims: [...dims, ...first.dims.slice(1)] };
  return { ...y, channelsLast: first.channelsLast, dims: first.channelsLast ? [...dims.slice(1), dims[0]!] : dims };
}

function dropout(operator: Operator, importer: Importer): Value {
  if (importer.hasInput(operator, 2)) {
    const { tensor } = importer.constant(operator, 2);
    if ((tensor.raw?.[0] ?? tensor.values?.[0] ?? 0) !== 0) operator.fail('is in training mode; export the network for inference');
  }
  const x = importer.feature(operator, 0, { final: true });
  const rate = operator.has('ratio')
    ? operator.float('ratio', 0.5)
    : importer.hasInput(operator, 1)
      ? (importer.floats(operator, 1).data[0] ?? 0.5)
      : 0.5;
  return same(x, importer.add(operator, 'dropout', { rate: shortestDecimal(rate) }, [x]));
}

/** PyTorch's hard-sigmoid has the slope 1/6, which no decimal number is. */
function slopeOf(operator: Operator): number {
  const alpha = operator.decimal('alpha', 0.2);
  return Math.fround(alpha) === Math.fround(1 / 6) ? 1 / 6 : alpha;
}

function softmax(operator: Operator, importer: Importer): Value {
  const x = importer.feature(operator, 0);
  if (x.shape.kind !== 'vector') operator.fail('is over a map; n2n leaves out a softmax over the classes at the end');
  importer.notes.push(`the ${operator.node.op} at the end is left out: n2n works with logits`);
  return { ...x, final: true };
}

export const elementwiseTable: Table = {
  Relu: { attributes: [], read: activation('relu') },
  Clip: { attributes: ['min', 'max'], read: clip },
  LeakyRelu: { attributes: ['alpha'], read: activation('leaky-relu', (operator) => ({ slope: operator.decimal('alpha', 0.01) })) },
  Sigmoid: { attributes: [], read: activation('sigmoid') },
  HardSigmoid: {
    attributes: ['alpha', 'beta'],
    read: activation('hard-sigmoid', (operator) => ({ alpha: slopeOf(operator), beta: operator.decimal('beta', 0.5) })),
  },
  HardSwish: { attributes: [], read: activation('hard-swish') },
  Add: { attributes: [], read: binary('Add') },
  Sub: { attributes: [], read: binary('Sub') },
  Mul: { attributes: [], read: binary('Mul') },
  Div: { attributes: [], read: binary('Div') },
  Sum: {
    attributes: [],
    read: (operator, importer) =>
      sum(
        operator,
        importer,
        operator.node.inputs.map((_, index) => importer.feature(operator, index)),
      ),
  },
  Concat: { attributes: ['axis'], read: concat },
  Dropout: { attributes: ['ratio', 'seed'], read: dropout },
  Softmax: { attributes: ['axis'], read: softmax },
  LogSoftmax: { attributes: ['axis'], read: softmax },
};
