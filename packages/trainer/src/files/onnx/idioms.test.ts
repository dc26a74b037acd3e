// Graphs as exporters other than PyTorch's write them: n2n computes what ONNX Runtime computes.
import { openDevice } from '@n2n/kernels';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { keyedRandom } from '../../random.js';
import { deviceLogits, plainPreprocessing, relativeDifference, runtimeLogits } from '../../testing/onnx.js';
import { encodeModel } from './encode.js';
import { loadOnnx } from './index.js';
import { AttributeType, DataType, type OnnxAttribute, type OnnxNode, type OnnxTensor } from './schema.js';

const gpu = await openDevice();
const folder = mkdtempSync(join(tmpdir(), 'n2n-idioms-'));
afterAll(() => {
  rmSync(folder, { recursive: true });
  gpu.close();
});

type Value = number | readonly number[] | { readonly float: number } | { readonly text: string } | { readonly ints: readonly number[] };
type Step = readonly [op: string, inputs: string, output: string, attributes?: Readonly<Record<string, Value>>];

function attribute(name: string, value: Value): OnnxAttribute {
  if (typeof value === 'number') return { name, type: AttributeType.INT, int: value };
  if (Array.isArray(value)) return { name, type: AttributeType.INTS, ints: value as readonly number[] };
  const other = value as { readonly float?: number; readonly text?: string; readonly ints?: readonly number[] };
  if (other.ints !== undefined) return { name, type: AttributeType.TENSOR, tensor: integers(name, other.ints) };
  return other.text === undefined
    ? { name, type: AttributeType.FLOAT, float: other.float ?? 0 }
    : { name, type: AttributeType.STRING, text: other.text };
}

const integers = (name: string, values: readonly number[]): OnnxTensor => ({
  name,
  dims: [values.length],
  dataType: DataType.INT64,
  raw: new Uint8Array(BigInt64Array.from(values, BigInt).buffer),
});

/** `weights`: shapes of random tensors; `constants`: small integers or floats by name. */
interface Graph {
  readonly opset: number;
  readonly steps: readonly Step[];
  readonly weights?: Readonly<Record<string, readonly number[]>>;
  readonly ints?: Readonly<Record<string, readonly number[]>>;
  readonly floats?: Readonly<Record<string, readonly number[]>>;
  readonly input?: readonly (number | undefined)[];
  /** Node types that must come out, in order. */
  readonly types: string;
}

function tensorsOf({ weights = {}, ints = {}, floats = {} }: Graph): OnnxTensor[] {
  const stream = keyedRandom(3, 'idioms');
  const tensor = (name: string, dims: readonly number[], data: readonly number[]): OnnxTensor => ({
    name,
    dims,
    dataType: DataType.FLOAT,
    raw: new Uint8Array(Float32Array.from(data).buffer),
  });
  return [
    ...Object.entries(weights).map(([name, dims]) => {
      const length = dims.reduce((product, size) => product * size, 1);
      return tensor(
        name,
        dims,
        Array.from({ length }, () => stream.normal() / 2),
      );
    }),
    ...Object.entries(floats).map(([name, values]) => tensor(name, values.length === 1 ? [] : [values.length], values)),
    ...Object.entries(ints).map(([name, values]) => integers(name, values)),
  ];
}

function bytesOf(graph: Graph): Uint8Array {
  const nodes = graph.steps.map(([op, inputs, output, attributes = {}]): OnnxNode => ({
    name: `${op}.${output}`,
    op,
    domain: '',
    inputs: inputs.split(' ').map((name) => (name === '-' ? '' : name)),
    outputs: [output],
    attributes: Object.entries(attributes).map(([name, value]) => attribute(name, value)),
  }));
  const parts = encodeModel({
    irVersion: 8,
    producer: 'test',
    opset: graph.opset,
    graph: {
      name: 'idiom',
      nodes,
      initializers: tensorsOf(graph),
      inputs: [{ name: 'x', elementType: DataType.FLOAT, dims: graph.input ?? [undefined, 3, 9, 8] }],
      outputs: [{ name: 'y', elementType: DataType.FLOAT, dims: [undefined, 5] }],
    },
    metadata: new Map(),
  });
  return Uint8Array.from(Buffer.concat(parts));
}

const head: Step[] = [
  ['GlobalAveragePool', 'm', 'g'],
  ['Flatten', 'g', 'f'],
  ['Gemm', 'f w', 'y'],
];

/** As PyTorch 1.13 exports F.pad: the pads of the last axis first, turned round in a table of two columns. */
const padSteps = (pads: string, x: string, y: string): Step[] => [
  ['ConstantOfShape', 'two', 'rest', { value: { ints: [0] } }],
  ['Concat', `${pads} rest`, 'all', { axis: 0 }],
  ['Reshape', 'all columns', 'table'],
  ['Slice', 'table minus start zero minus', 'turned'],
  ['Transpose', 'turned', 'transposed', { perm: [1, 0] }],
  ['Reshape', 'transposed minus', 'list'],
  ['Cast', 'list', 'pads', { to: DataType.INT64 }],
  ['Pad', `${x} pads`, y, { mode: { text: 'constant' } }],
];
const padInts = { zero: [0], two: [2], minus: [-1], columns: [-1, 2], start: [-Number.MAX_SAFE_INTEGER] };

const graphs: Readonly<Record<string, Graph>> = {
  'SAME_UPPER and SAME_LOWER paddings': {
    opset: 13,
    steps: [
      ['Conv', 'x k', 'a', { auto_pad: { text: 'SAME_UPPER' }, strides: [2, 2], kernel_shape: [4, 3] }],
      ['MaxPool', 'a', 'm', { auto_pad: { text: 'SAME_LOWER' }, kernel_shape: [2, 2] }],
      ...head,
    ],
    weights: { k: [6, 3, 4, 3], w: [6, 5] },
    types: 'conv2d max-pool global-average-pool linear',
  },
  'sizes rounded up': {
    opset: 12,
    steps: [
      ['AveragePool', 'x', 'a', { kernel_shape: [2, 3], strides: [2, 2], ceil_mode: 1 }],
      ['MaxPool', 'a', 'm', { kernel_shape: [2, 2], strides: [3, 3], ceil_mode: 1, pads: [1, 0, 0, 1] }],
      ...head,
    ],
    weights: { w: [3, 5] },
    types: 'average-pool max-pool global-average-pool linear',
  },
  'images with their channels last': {
    opset: 13,
    input: [undefined, 6, 7, 3],
    steps: [
      ['Transpose', 'x', 't', { perm: [0, 3, 1, 2] }],
      ['Conv', 't k', 'c', { kernel_shape: [3, 3] }],
      ['Relu', 'c', 'r'],
      ['Transpose', 'r', 'u', { perm: [0, 2, 3, 1] }],
      ['Reshape', 'u shape', 'f'],
      ['MatMul', 'f w', 'p'],
      ['Add', 'p b', 'y'],
    ],
    ints: { shape: [-1, 80] },
    weights: { k: [4, 3, 3, 3], w: [80, 5], b: [5] },
    types: 'conv2d relu flatten linear',
  },
  'a mean over space with its axes as attribute, and as input': {
    opset: 13,
    steps: [
      ['ReduceMean', 'x', 'g', { axes: [-1, -2], keepdims: 1 }],
      ['Squeeze', 'g axes', 'f'],
      ['Gemm', 'f w', 'y'],
    ],
    ints: { axes: [2, 3] },
    weights: { w: [3, 5] },
    types: 'global-average-pool linear',
  },
  'arithmetic with constants': {
    opset: 13,
    steps: [['Sub', 'one x', 'a'], ['Div', 'a two', 'b'], ['Mul', 'channel b', 'c'], ['Add', 'c c', 'm'], ...head],
    floats: { one: [1], two: [-2] },
    weights: { channel: [1, 3, 1, 1], w: [3, 5] },
    types: 'batch-norm batch-norm batch-norm batch-norm global-average-pool linear',
  },
  'a bias by an Add, and a scale that is none': {
    opset: 13,
    steps: [['Conv', 'x k', 'a', { kernel_shape: [1, 1] }], ['Add', 'bias a', 'b'], ['Mul', 'b scale', 'm'], ...head],
    weights: { k: [4, 3, 1, 1], bias: [4, 1, 1], scale: [1], w: [4, 5] },
    types: 'conv2d batch-norm global-average-pool linear',
  },
  'clips of both operator sets, and hard-swish in four steps': {
    opset: 9,
    steps: [
      ['Clip', 'x', 'a', { min: { float: 0 }, max: { float: 6 } }],
      ['Add', 'a three', 'b'],
      ['Clip', 'b', 'c', { min: { float: 0 }, max: { float: 6 } }],
      ['Mul', 'a c', 'd'],
      ['Div', 'd six', 'm'],
      ...head.slice(0, 2),
      ['Gemm', 'f w b1', 'y'],
    ],
    floats: { three: [3], six: [6] },
    weights: { w: [3, 5], b1: [5] },
    types: 'relu6 batch-norm relu6 multiply batch-norm global-average-pool linear',
  },
  'a squeeze-and-excite block with ReduceMean, the gate first': {
    opset: 13,
    steps: [
      ['ReduceMean', 'x', 'g0', { axes: [2, 3] }],
      ['Conv', 'g0 k1', 's1', { kernel_shape: [1, 1] }],
      ['Sigmoid', 's1', 's2'],
      ['Mul', 's2 x', 'm'],
      ...head,
    ],
    weights: { k1: [3, 3, 1, 1], w: [3, 5] },
    types: 'global-average-pool linear sigmoid multiply global-average-pool linear',
  },
  'swish, a sum of three, a transposed Gemm with factors': {
    opset: 13,
    steps: [
      ['Conv', 'x k', 'a', { kernel_shape: [3, 3], pads: [1, 1, 1, 1] }],
      ['Sigmoid', 'a', 's'],
      ['Mul', 's a', 'b'],
      ['LeakyRelu', 'x', 'l', { alpha: { float: 0.2 } }],
      ['Sum', 'b x l', 'm'],
      ['GlobalAveragePool', 'm', 'g'],
      ['Flatten', 'g', 'f'],
      ['Gemm', 'f w b1', 'y', { transB: 1, alpha: { float: 0.5 }, beta: { float: 3 } }],
    ],
    weights: { k: [3, 3, 3, 3], w: [5, 3], b1: [1, 5] },
    types: 'conv2d silu leaky-relu add global-average-pool linear',
  },
  "every second pixel, and zeros behind the channels by PyTorch's arithmetic on pads": {
    opset: 13,
    steps: [
      ['Slice', 'x zero end two two', 'a'],
      ['Slice', 'a zero end three two', 'b'],
      ...padSteps('behind', 'b', 'm'),
      ['GlobalAveragePool', 'm', 'g'],
      ['Flatten', 'g', 'f'],
      ['Gemm', 'f w', 'y'],
    ],
    ints: { ...padInts, behind: [0, 0, 0, 0, 0, 4], three: [3], end: [Number.MAX_SAFE_INTEGER] },
    weights: { w: [7, 5] },
    types: 'average-pool pad-channels global-average-pool linear',
  },
  'the same with zeros in front, and the pixels used elsewhere, too': {
    opset: 13,
    steps: [
      ['Slice', 'x starts ends axes steps', 'a'],
      ...padSteps('around', 'a', 'b'),
      ['Conv', 'a k', 'c', { kernel_shape: [1, 1] }],
      ['Add', 'b c', 'm'],
      ['GlobalAveragePool', 'm', 'g'],
      ['Flatten', 'g', 'f'],
      ['Gemm', 'f w', 'y'],
    ],
    ints: { ...padInts, around: [0, 0, 0, 0, 3, 1], starts: [0, 0, 0], ends: [9, 8, 3], axes: [-2, -1, 1], steps: [3, 2, 1] },
    weights: { k: [7, 3, 1, 1], w: [7, 5] },
    types: 'average-pool conv2d conv2d add global-average-pool linear',
  },
  'vectors joined, and shapes computed': {
    opset: 13,
    steps: [
      ['GlobalAveragePool', 'x', 'g'],
      ['Shape', 'g', 's'],
      ['Gather', 's zero', 'n'],
      ['Concat', 'n minus', 'shape', { axis: 0 }],
      ['Reshape', 'g shape', 'f'],
      ['Gemm', 'f v', 'h'],
      ['Concat', 'h f', 'c', { axis: -1 }],
      ['Gemm', 'c w', 'y'],
    ],
    ints: { zero: [0], minus: [-1] },
    weights: { v: [3, 4], w: [7, 5] },
    types: 'global-average-pool linear concat linear',
  },
};

describe('ONNX Runtime agrees on', () => {
  it.each(Object.entries(graphs))('%s', async (_, graph) => {
    const bytes = bytesOf(graph);
    const path = join(folder, 'graph.onnx');
    writeFileSync(path, bytes);
    const source = await loadOnnx(path);
    expect(source.spec.nodes.map(({ type }) => type).join(' ')).toBe(graph.types);
    const { channels, height, width } = source.spec.input;
    const stream = keyedRandom(6, 'pixels');
    const pixels = Uint8Array.from({ length: 4 * channels * height * width }, () => stream.int(256));
    const preprocessing = { ...plainPreprocessing(channels), mean: [0.5, 0.5, 0.5] };
    const ours = await deviceLogits(gpu, source, pixels, preprocessing);
    const theirs = await runtimeLogits(bytes, pixels, source.spec, preprocessing, graph.input !== undefined);
    expect(relativeDifference(ours, theirs)).toBeLessThan(1e-5);
  });
});

describe('refused with the node and the reason', () => {
  it.each([
    [
      [['Conv', 'x k', 'm', { dilations: [2, 2] }], ...head],
      /node "Conv.m" \(Conv\): dilations are \[2, 2\]; n2n knows windows without gaps/,
    ],
    [[['Pad', 'x pads', 'm'], ...head], /\(GlobalAveragePool\): follows a Pad/],
    [
      [['Pad', 'x pads', 'p'], ['MaxPool', 'p', 'm', { kernel_shape: [2, 2] }], ...head],
      /\(MaxPool\): takes the maximum over a Pad of zeros/,
    ],
    [[['Clip', 'x - one', 'm'], ...head], /\(Clip\): clips to \[-Infinity, 1\]/],
    [[['Transpose', 'x', 'm', { perm: [0, 1, 3, 2] }], ...head], /\(Transpose\): orders the axes \[0, 1, 3, 2\]/],
    [[['Conv', 'x x', 'm'], ...head], /\(Conv\): input 1 is computed by the network, needs a constant/],
    [[['Concat', 'x x', 'm', { axis: 2 }], ...head], /\(Concat\): joins along axis 2; n2n joins channels/],
    [[['Mul', 'x row', 'm'], ...head], /\(Mul\): has a constant of \[1, 1, 9, 1\] beside \[N, 3, 9, 8\]/],
    [[['BatchNormalization', 'x one one one one', 'm'], ...head], /has 1 elements of weight, needs 3/],
    [[['Div', 'one x', 'm'], ...head], /\(Div\): divides by what the network computes/],
    [[['Flatten', 'x', 'y', { axis: 2 }]], /\(Flatten\): flattens from axis 2/],
    [[['Slice', 'x i1 i9 i2', 'm'], ...head], /\(Slice\): takes 1 to 9 in steps of 1 along axis 2; n2n reads every k-th row and column/],
    [[['Slice', 'x i0 i9 i1 i2', 'm'], ...head], /\(Slice\): takes 0 to 9 in steps of 2 along axis 1/],
    [[['Slice', 'x i0 pads', 'm'], ...head], /\(Slice\): has unlike numbers of starts, ends, axes and steps/],
    [[['Slice', 'x i0 i8 i2', 'm'], ...head], /\(Slice\): takes 0 to 8 in steps of 1 along axis 2/],
    [[['Pad', 'x front', 'm'], ...head], /\(Pad\): pads 3 channels to 1000000000003, more than the file's weights have room for/],
    [
      [['ConstantOfShape', 'many', 'm', { value: { ints: [1] } }], ...head],
      /is about a list of 2000 integers; n2n computes lists of at most 1024/,
    ],
    [[['ConstantOfShape', 'i9', 'a'], ...head], /\(ConstantOfShape\): fills with floats/],
    [
      [['Concat', 'list list', 'a', { axis: 0 }], ['Concat', 'a a', 'b', { axis: 0 }], ...head],
      /node "Concat.b" \(Concat\): is about a list of 1200 integers/,
    ],
  ] as const)('%j', async (steps, message) => {
    const graph: Graph = {
      opset: 13,
      steps: steps as readonly Step[],
      weights: { k: [4, 3, 3, 3], w: [3, 5], row: [1, 1, 9, 1] },
      ints: {
        pads: [0, 0, 1, 1, 0, 0, 1, 1],
        front: [0, 1e12, 0, 0, 0, 0, 0, 0],
        i0: [0],
        i1: [1],
        i2: [2],
        i8: [8],
        i9: [9],
        many: [2000],
        list: new Array<number>(300).fill(1),
      },
      floats: { one: [1] },
      types: '',
    };
    const path = join(folder, 'refused.onnx');
    writeFileSync(path, bytesOf(graph));
    await expect(loadOnnx(path)).rejects.toThrow(message);
  });
});
