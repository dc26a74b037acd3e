// ONNX files made to do harm: each is refused within bounds, with what is wrong.
import { BinaryWriter, WireType } from '@bufbuild/protobuf/wire';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { execFileSync } from 'node:child_process';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { ModelFileError } from '../error.js';
import { encodeModel } from './encode.js';
import { loadOnnx } from './index.js';
import { AttributeType, DataType, type OnnxGraph, type OnnxModel, type OnnxNode, type OnnxTensor } from './schema.js';

const folder = mkdtempSync(join(tmpdir(), 'n2n-hostile-'));
afterAll(() => rmSync(folder, { recursive: true }));

const path = join(folder, 'model.onnx');

const nested = (field: number, bytes: Uint8Array): Uint8Array =>
  new BinaryWriter().tag(field, WireType.LengthDelimited).bytes(bytes).finish();
const text = (field: number, value: string): Uint8Array => nested(field, new TextEncoder().encode(value));
const joined = (...parts: Uint8Array[]): Uint8Array => Uint8Array.from(Buffer.concat(parts));
const varint = (field: number, value: number | bigint): Uint8Array => new BinaryWriter().tag(field, WireType.Varint).int64(value).finish();

/** What the file is refused with, within a second. */
async function refusal(bytes: Uint8Array): Promise<string> {
  writeFileSync(path, bytes);
  const start = process.cpuUsage();
  const error: unknown = await loadOnnx(path).catch((reason: unknown) => reason);
  // Of this process's time: the machine may be busy.
  const { user, system } = process.cpuUsage(start);
  expect((user + system) / 1000).toBeLessThan(1000);
  expect(error).toBeInstanceOf(ModelFileError);
  return (error as Error).message;
}

const floats = (name: string, dims: readonly number[], values: readonly number[]): OnnxTensor => ({
  name,
  dims,
  dataType: DataType.FLOAT,
  raw: new Uint8Array(Float32Array.from(values).buffer),
});
const node = (op: string, inputs: readonly string[], output: string, attributes: OnnxNode['attributes'] = []): OnnxNode => ({
  name: `the ${op}`,
  op,
  domain: '',
  inputs,
  outputs: [output],
  attributes,
});

/** A network of one mean and one linear layer, with parts replaced. */
function model(change: Partial<OnnxGraph> = {}, opset = 13): OnnxModel {
  const graph: OnnxGraph = {
    name: 'small',
    nodes: [node('GlobalAveragePool', ['x'], 'a'), node('Flatten', ['a'], 'b'), node('Gemm', ['b', 'w'], 'y')],
    initializers: [floats('w', [2, 3], [1, 2, 3, 4, 5, 6])],
    inputs: [{ name: 'x', elementType: DataType.FLOAT, dims: [undefined, 2, 4, 4] }],
    outputs: [{ name: 'y', elementType: DataType.FLOAT, dims: [undefined, 3] }],
    ...change,
  };
  return { irVersion: 8, producer: 'test', opset, graph, metadata: new Map() };
}
const bytesOf = (one: OnnxModel): Uint8Array => joined(...encodeModel(one));

it('reads the model that the cases below change', async () => {
  writeFileSync(path, bytesOf(model()));
  const { spec, weights } = await loadOnnx(path);
  expect(spec.nodes.map(({ type }) => type)).toEqual(['global-average-pool', 'linear']);
  expect([...weights.values()]).toEqual([Float32Array.from([1, 4, 2, 5, 3, 6])]);
});

describe('messages', () => {
  it.each([
    ['nothing', new Uint8Array(0), /has no graph: this is no ONNX model/],
    ['text', new TextEncoder().encode('not a model at all'), /ends or breaks|is a group|has no graph|has wire type/],
    ['a group', Uint8Array.of((7 << 3) | WireType.StartGroup), /field 7 is a group/],
    ['a graph of a wrong wire type', varint(7, 1), /field 7 has wire type 0, needs 2/],
    ['two graphs', joined(nested(7, new Uint8Array(0)), nested(7, new Uint8Array(0))), /two graphs/],
    ['no operator set', nested(7, new Uint8Array(0)), /imports 0 versions of the default operator set/],
    ['functions', joined(nested(25, new Uint8Array(0))), /functions of its own/],
    ['a training graph', joined(nested(20, new Uint8Array(0))), /training graph/],
    ['an endless varint', Uint8Array.from({ length: 64 }, () => 0xff), /ends or breaks/],
  ])('%s', async (_, bytes, message) => expect(await refusal(bytes)).toMatch(message));

  it('a subgraph two thousand deep', async () => {
    let graph = new Uint8Array(0);
    for (let i = 0; i < 2_000; i++) graph = Uint8Array.from(nested(1, nested(5, nested(6, graph))));
    expect(await refusal(joined(nested(7, graph), nested(8, varint(2, 13))))).toMatch(/inputs|subgraph/);
  });

  it.each([
    ['nodes', nested(1, new Uint8Array(0)), 10_001, /has more than 10000 nodes/],
    ['initializers', nested(5, new Uint8Array(0)), 50_001, /has more than 50000 initializers/],
    ['dimensions', nested(5, joined(...Array.from({ length: 9 }, () => varint(1, 1)))), 1, /has more than 8 values/],
    ['inputs of a node', nested(1, joined(...Array.from({ length: 1025 }, () => text(1, 'x')))), 1, /more than 1024 inputs of one node/],
    [
      'attributes of a node',
      nested(1, joined(...Array.from({ length: 65 }, () => nested(5, new Uint8Array(0))))),
      1,
      /more than 64 attributes/,
    ],
    ['a long name', nested(1, text(3, 'x'.repeat(65_537))), 1, /a text of 65537 bytes, at most 65536/],
  ])('too many: %s', async (_, part, times, message) => {
    const graph = joined(...Array.from({ length: times }, () => part));
    expect(await refusal(joined(nested(7, graph), nested(8, varint(2, 13))))).toMatch(message);
  });
});

describe('tensors', () => {
  it.each([
    ['fewer bytes than dimensions', floats('w', [2, 4], [1, 2, 3, 4, 5, 6]), /tensor "w" of \[2, 4\] has 24 bytes of data, needs 32/],
    ['terabytes', floats('w', [2 ** 20, 2 ** 20], []), /has 1099511627776 elements, needs at most/],
    ['a dimension beyond an integer', floats('w', [2 ** 60, 3], []), /has the dimension 115292150460684\d+,/],
    ['a negative dimension', floats('w', [-2, -3], [1, 2, 3, 4, 5, 6]), /has the dimension -2/],
    ['infinity', floats('w', [2, 3], [1, 2, Infinity, 4, 5, 6]), /has Infinity at element 2; weights must be finite/],
    ['integers for weights', { ...floats('w', [2, 3], [1, 2, 3, 4, 5, 6]), dataType: DataType.INT32 }, /data type 6, needs floating-point/],
    ['an unknown type', { ...floats('w', [2, 3], [1, 2, 3, 4, 5, 6]), dataType: 77 }, /data type 77/],
  ])('%s', async (_, tensor, message) => expect(await refusal(bytesOf(model({ initializers: [tensor] })))).toMatch(message));

  it('that many layers share beyond measure', async () => {
    const side = 600;
    const weights = floats('w', [side, side], new Array<number>(side * side).fill(0));
    const nodes = Array.from({ length: 100 }, (_, i) => node('MatMul', [`v${i}`, 'w'], `v${i + 1}`));
    const graph = {
      nodes: [node('GlobalAveragePool', ['x'], 'a'), node('Flatten', ['a'], 'v0'), ...nodes],
      initializers: [weights],
      inputs: [{ name: 'x', elementType: DataType.FLOAT, dims: [undefined, side, 2, 2] }],
      outputs: [{ name: 'v100', elementType: DataType.FLOAT }],
    };
    expect(await refusal(bytesOf(model(graph)))).toMatch(/uses weights that so many other nodes use/);
  });
});

describe('graphs', () => {
  const attribute = (name: string, int: number) => ({ name, type: AttributeType.INT, int });
  it.each([
    ['an unknown operator', { nodes: [node('Einsum', ['x'], 'y')] }, /node "the Einsum" \(Einsum\): n2n does not know this operator/],
    [
      'another domain',
      { nodes: [{ ...node('Relu', ['x'], 'y'), domain: 'com.example' }] },
      /does not know this operator of the domain "com.example"/,
    ],
    ['a property of every object', { nodes: [node('constructor', ['x'], 'y')] }, /\(constructor\): n2n does not know this operator/],
    ['an unknown attribute', { nodes: [node('Relu', ['x'], 'y', [attribute('leak', 1)])] }, /\(Relu\): has the attribute "leak"/],
    [
      'an attribute twice',
      { nodes: [node('Flatten', ['x'], 'y', [attribute('axis', 1), attribute('axis', 1)])] },
      /has the attribute "axis" twice/,
    ],
    [
      'a cycle',
      { nodes: [node('Relu', ['z'], 'y'), node('Relu', ['y'], 'z')] },
      /\(Relu\): reads "z", which no initializer and no earlier node gives/,
    ],
    ['a value twice', { nodes: [node('Relu', ['x'], 'y'), node('Relu', ['x'], 'y')] }, /gives "y", which is there already/],
    ['no such output', { outputs: [{ name: 'q', elementType: 1 }] }, /its output "q" is given by no node/],
    ['a constant as output', { outputs: [{ name: 'w', elementType: 1 }] }, /its output "w" is a constant/],
    [
      'two outputs',
      {
        outputs: [
          { name: 'y', elementType: 1 },
          { name: 'b', elementType: 1 },
        ],
      },
      /has 2 outputs, needs one/,
    ],
    ['a map as output', { outputs: [{ name: 'x', elementType: 1 }] }, /its output "x" is \[N, 2, 4, 4\], needs a vector of logits/],
    [
      'two inputs',
      {
        inputs: [
          { name: 'x', elementType: 1, dims: [1, 2, 4, 4] },
          { name: 'z', elementType: 1, dims: [1, 2] },
        ],
      },
      /has 2 inputs \(x, z\), needs one/,
    ],
    [
      'an open height',
      { inputs: [{ name: 'x', elementType: 1, dims: [1, 2, undefined, 4] }] },
      /has the shape \[1, 2, \?, 4\], needs .* fixed sizes/,
    ],
    ['an input of integers', { inputs: [{ name: 'x', elementType: 7, dims: [1, 2, 4, 4] }] }, /data type 7, needs floating-point/],
    [
      'a huge input',
      { inputs: [{ name: 'x', elementType: 1, dims: [1, 2 ** 40, 4, 4] }] },
      /needs no dimension above|an integer from 1|elements/,
    ],
    [
      'a softmax in the middle',
      {
        nodes: [
          node('GlobalAveragePool', ['x'], 'a'),
          node('Flatten', ['a'], 'b'),
          node('Softmax', ['b'], 's'),
          node('Gemm', ['s', 'w'], 'y'),
        ],
      },
      /\(Gemm\): follows a softmax/,
    ],
    [
      'a reshape that mixes images',
      {
        nodes: [node('Reshape', ['x', 'sizes'], 'y')],
        initializers: [{ name: 'sizes', dims: [2], dataType: DataType.INT64, raw: new Uint8Array(BigInt64Array.of(-1n, 16n).buffer) }],
      },
      /\(Reshape\): reshapes to \[-1, 16\]; n2n reads reshapes that keep the batch/,
    ],
    [
      'weights that do not fit',
      { initializers: [floats('w', [3, 2], [1, 2, 3, 4, 5, 6])] },
      /\(Gemm\): has weights of \[3, 2\] for 2 features; they must agree/,
    ],
  ] as const)('%s', async (_, change, message) => expect(await refusal(bytesOf(model(change as Partial<OnnxGraph>)))).toMatch(message));

  it.each([6, 22])('of operator set %i', async (opset) =>
    expect(await refusal(bytesOf(model({}, opset)))).toMatch(/is written for operator set \d+; n2n reads 7 to 21/),
  );
});

describe('external data', () => {
  const outside = join(folder, 'outside');
  mkdirSync(outside);
  writeFileSync(join(outside, 'w.bin'), new Uint8Array(24));
  writeFileSync(join(folder, 'w.bin'), new Uint8Array(Float32Array.from([0, 0, 1, 2, 3, 4, 5, 6]).buffer));
  writeFileSync(join(folder, 'short.bin'), new Uint8Array(20));
  symlinkSync(join(outside, 'w.bin'), join(folder, 'link.bin'));
  symlinkSync('/dev/zero', join(folder, 'zero.bin'));
  execFileSync('mkfifo', [join(folder, 'pipe.bin')]);

  /** The small model with w in another file. */
  function externally(entries: Readonly<Record<string, string>>): Uint8Array {
    const entry = ([key, value]: [string, string]): Uint8Array => nested(13, joined(text(1, key), text(2, value)));
    const tensor = joined(
      varint(1, 2),
      varint(1, 3),
      varint(2, DataType.FLOAT),
      text(8, 'w'),
      ...Object.entries(entries).map(entry),
      varint(14, 1),
    );
    const [head, tail] = [joined(varint(1, 8), text(2, 'test')), nested(8, varint(2, 13))];
    const without = bytesOf(model({ initializers: [] }));
    // Tag and length of a graph take 3 bytes up to 16 KiB.
    const graph = without.slice(head.length + 3, without.length - tail.length);
    return joined(head, nested(7, joined(graph, nested(5, tensor))), tail);
  }

  it('is read from beside the model, at its offset', async () => {
    writeFileSync(path, externally({ location: 'w.bin', offset: '8', length: '24' }));
    expect([...(await loadOnnx(path)).weights.values()]).toEqual([Float32Array.from([1, 4, 2, 5, 3, 6])]);
  });

  it.each([
    ['../w.bin', {}, /must be the plain name of a file beside the model/],
    ['outside/w.bin', {}, /must be the plain name/],
    ['/etc/passwd', {}, /must be the plain name/],
    ['..', {}, /must be the plain name/],
    ['', {}, /must be the plain name/],
    ['w.bin\0.txt', {}, /must be the plain name/],
    ['link.bin', {}, /a link to another folder; external data must lie beside the model/],
    ['zero.bin', {}, /a link to another folder/],
    ['pipe.bin', {}, /which is no regular file/],
    ['outside', {}, /which is no regular file/],
    ['missing.bin', {}, /cannot be read \(ENOENT\)/],
    ['short.bin', {}, /external data of 24 bytes at 0 in a file of 20/],
    ['w.bin', { offset: '16' }, /external data of 24 bytes at 16 in a file of 32/],
    ['w.bin', { offset: '-8' }, /external offset is "-8", needs a number of bytes/],
    ['w.bin', { offset: '99999999999999999999' }, /external offset is/],
    ['w.bin', { length: '25' }, /external data of 25 bytes/],
  ])('%j with %j is refused', async (location, more, message) => expect(await refusal(externally({ location, ...more }))).toMatch(message));
});
