// Model files: a saved model is loaded bit for bit, and a file that does not fit its own network is refused by tensor.
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { parseSpec } from '../network/index.js';
import { keyedRandom } from '../random.js';
import { ModelFileError } from './error.js';
import { declaredTensors, loadModel, saveModel, type Model } from './model.js';
import { readSafetensors, writeSafetensors, type TensorData } from './safetensors.js';

let folder: string;
let path: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'n2n-model-'));
  path = join(folder, 'model.safetensors');
});
afterEach(async () => {
  await rm(folder, { recursive: true, force: true });
});

const spec = parseSpec({
  name: 'small',
  input: { channels: 2, height: 6, width: 6 },
  classes: 3,
  nodes: [
    { id: 'conv1', type: 'conv2d', attributes: { filters: 4, kernel: 3 } },
    { id: 'bn1', type: 'batch-norm' },
    { id: 'relu1', type: 'relu' },
    { id: 'flat', type: 'flatten' },
    { id: 'fc', type: 'linear', attributes: { features: 3 } },
  ],
});

function model(): Model {
  const weights = new Map<string, Float32Array>();
  for (const [name, shape] of declaredTensors(spec)) {
    const random = keyedRandom(1, name);
    weights.set(
      name,
      Float32Array.from({ length: shape.reduce((product, side) => product * side, 1) }, () => random.normal()),
    );
  }
  return { spec, weights, preprocessing: { mean: [0.1, 0.2], std: [0.3, 0.4] }, training: { epochs: '3' } };
}

/** The tensors and metadata of a good file, to be changed and written again. */
async function parts(): Promise<{ tensors: Map<string, TensorData>; metadata: Record<string, string> }> {
  await saveModel(path, model());
  const { tensors, metadata } = await readSafetensors(path);
  return { tensors: new Map<string, TensorData>(tensors), metadata: { ...metadata } };
}

/** What loading the file throws, checked to be of the right kind and to name the file. */
async function refusal(): Promise<string> {
  const error: unknown = await loadModel(path).catch((thrown: unknown) => thrown);
  expect(error).toBeInstanceOf(ModelFileError);
  expect(error).toMatchObject({ path, message: expect.stringContaining(`${path}: `) });
  return String(error);
}

it('declares tensors in PyTorch names and shapes', () => {
  const declared = Object.fromEntries(declaredTensors(spec));
  expect(declared).toMatchObject({
    'conv1.weight': [4, 2, 3, 3],
    'bn1.weight': [4],
    'bn1.bias': [4],
    'bn1.running_mean': [4],
    'bn1.running_var': [4],
    'fc.bias': [3],
  });
});

it('loads what it saved, and saves it to the same bytes', async () => {
  const saved = model();
  await saveModel(path, saved);
  const loaded = await loadModel(path);
  expect(loaded.spec).toEqual(spec);
  expect(loaded.preprocessing).toEqual(saved.preprocessing);
  expect(loaded.training).toEqual({ epochs: '3' });
  expect(Object.fromEntries(loaded.weights)).toEqual(Object.fromEntries(saved.weights));
  await saveModel(join(folder, 'again'), loaded);
  expect((await readFile(join(folder, 'again'))).equals(await readFile(path))).toBe(true);
});

describe('refuses to load', () => {
  it.each<[string, (tensors: Map<string, TensorData>) => unknown, string]>([
    ['a missing tensor', (tensors) => tensors.delete('fc.bias'), 'tensor "fc.bias" is missing; the network needs it with shape [3]'],
    [
      'another shape',
      (tensors) => tensors.set('conv1.weight', { shape: [4, 2, 9], data: new Float32Array(72) }),
      'tensor "conv1.weight" has shape [4, 2, 9]; the network needs [4, 2, 3, 3]',
    ],
    [
      'a tensor of no node',
      (tensors) => tensors.set('conv2.weight', { shape: [1], data: new Float32Array(1) }),
      'tensor "conv2.weight" belongs to no node of the network',
    ],
    ['NaN', (tensors) => tensors.get('fc.weight')?.data.fill(NaN, 7, 8), 'tensor "fc.weight" has NaN at element 7; weights must be finite'],
    [
      'infinity',
      (tensors) => tensors.get('bn1.running_var')?.data.fill(-Infinity, 0, 1),
      'tensor "bn1.running_var" has -Infinity at element 0',
    ],
  ])('%s', async (_, change, message) => {
    const { tensors, metadata } = await parts();
    change(tensors);
    await writeSafetensors(path, tensors, metadata);
    expect(await refusal()).toContain(message);
  });

  it.each<[string, string, string | undefined, string]>([
    ['no layout version', 'n2n.version', undefined, 'has no n2n.version in its metadata: these are tensors without a network'],
    ['a later layout', 'n2n.version', '2', 'has n2n.version "2"; this n2n reads version 1'],
    ['no spec', 'n2n.spec', undefined, 'has no n2n.spec'],
    ['a spec that is no JSON', 'n2n.spec', '{', 'its n2n.spec is not valid JSON'],
    ['a spec that is no network', 'n2n.spec', JSON.stringify({ ...spec, classes: 4 }), 'its n2n.spec is no valid network: node "fc"'],
    ['a spec with a key twice', 'n2n.spec', '{"name":"a","name":"b"}', 'the key "name" comes twice in one object'],
    ['a spec of a million brackets', 'n2n.spec', `{"nodes":${'['.repeat(1e6)}${']'.repeat(1e6)}}`, 'brackets nest deeper than 64'],
    ['no preprocessing', 'n2n.preprocessing', undefined, 'has no n2n.preprocessing'],
    ['preprocessing of another kind', 'n2n.preprocessing', '{"mean":[0,0]}', 'its n2n.preprocessing must be {"mean": [...], "std": [...]}'],
    ['a standard deviation of 0', 'n2n.preprocessing', '{"mean":[0,0],"std":[1,0]}', 'std above 0'],
    [
      'preprocessing of other channels',
      'n2n.preprocessing',
      '{"mean":[0],"std":[1]}',
      "its preprocessing has 1 values of mean; the network's input has 2 channels",
    ],
    ['notes that are no texts', 'n2n.training', '{"a":1}', 'its n2n.training must be an object of texts'],
  ])('%s', async (_, key, text, message) => {
    const { tensors, metadata } = await parts();
    if (text === undefined) delete metadata[key];
    else metadata[key] = text;
    await writeSafetensors(path, tensors, metadata);
    expect(await refusal()).toContain(message);
  });
});

it('refuses to save what it would refuse to load, and then writes nothing', async () => {
  const good = model();
  const refused = async (changed: Partial<Model>, message: string): Promise<void> => {
    await expect(saveModel(path, { ...good, ...changed })).rejects.toThrow(message);
  };
  const weights = (change: (map: Map<string, Float32Array>) => unknown): Partial<Model> => {
    const map = new Map(good.weights);
    change(map);
    return { weights: map };
  };
  await refused(
    weights((map) => map.delete('fc.bias')),
    'tensor "fc.bias" is missing',
  );
  await refused(
    weights((map) => map.set('fc.bias', new Float32Array(4))),
    'tensor "fc.bias" has 4 elements; the network needs shape [3], 3 elements',
  );
  await refused(
    weights((map) => map.set('x', new Float32Array(4))),
    'tensor "x" belongs to no node',
  );
  await refused(
    weights((map) => map.set('fc.bias', Float32Array.of(0, NaN, 0))),
    'tensor "fc.bias" has NaN at element 1',
  );
  await refused({ preprocessing: { mean: [0, NaN], std: [1, 1] } }, 'its preprocessing has mean NaN');
  expect(await readdir(folder)).toEqual([]);
});
