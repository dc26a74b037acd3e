// What n2n writes as ONNX computes in ONNX Runtime what it computes on the device, and comes back as the same network.
import { openDevice } from '@n2n/kernels';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { nodeTypes, parameterCount, parseSpec, zooSpec, type NetworkSpec } from '../../network/index.js';
import { keyedRandom } from '../../random.js';
import { deviceLogits, onnxFixture, plainPreprocessing, randomWeights, relativeDifference, runtimeLogits } from '../../testing/onnx.js';
import type { Model } from '../model.js';
import { loadOnnx, saveOnnx } from './index.js';

const gpu = await openDevice();
const folder = mkdtempSync(join(tmpdir(), 'n2n-onnx-'));
afterAll(() => {
  rmSync(folder, { recursive: true });
  gpu.close();
});

const IMAGES = 20;

function modelOf(spec: NetworkSpec): Model {
  const stream = keyedRandom(1, spec.name);
  const channels = Array.from({ length: spec.input.channels }, (_, c) => c);
  return {
    spec,
    weights: randomWeights(spec, () => stream.normal()),
    preprocessing: { mean: channels.map((c) => 0.4 + 0.1 * c), std: channels.map((c) => 0.2 + 0.05 * c) },
  };
}

function imagesOf({ input: { channels, height, width } }: NetworkSpec, count: number): Uint8Array {
  const stream = keyedRandom(2, 'images');
  return Uint8Array.from({ length: count * channels * height * width }, () => stream.int(256));
}

const argmax = (logits: readonly number[], classes: number, image: number): number => {
  const row = logits.slice(image * classes, (image + 1) * classes);
  return row.indexOf(Math.max(...row));
};

/** Exports, runs in ONNX Runtime and on the device, reads back; returns what came back. */
async function checkExport(model: Model, foldBatchNorm: boolean, count = IMAGES) {
  const path = join(folder, `${model.spec.name}.onnx`);
  await saveOnnx(path, model, { foldBatchNorm });
  const pixels = imagesOf(model.spec, count);
  const ours = await deviceLogits(gpu, model, pixels, model.preprocessing);
  const theirs = await runtimeLogits(path, pixels, model.spec, model.preprocessing);
  expect(relativeDifference(ours, theirs)).toBeLessThan(1e-4);
  for (let i = 0; i < count; i++) expect(argmax(ours, model.spec.classes, i)).toBe(argmax(theirs, model.spec.classes, i));
  const back = await loadOnnx(path);
  expect(back.preprocessing).toEqual(model.preprocessing);
  const again = await deviceLogits(gpu, back, pixels, model.preprocessing);
  expect(relativeDifference(again, ours)).toBeLessThan(foldBatchNorm ? 1e-4 : 1e-7);
  return back;
}

const small = { channels: 3, height: 32, width: 32, classes: 10 };

describe.each<[string, typeof small, number?]>([
  ['lenet5', { ...small, channels: 1, height: 28, width: 28 }],
  ['plain-8', { ...small, channels: 1, height: 28, width: 28 }],
  ['vgg11@0.125', small],
  ['resnet18@0.125', small],
  ['resnet50@0.125', { ...small, classes: 7 }],
  ['resnet20@0.5', small],
  ['mobilenetv2@0.25', small],
  // Only the second batch-norm of a layer has a convolution of its own before it.
  ['densenet@0.5', small, 21],
  ['squeezenet@0.125', small],
])('%s', (name, geometry, normsLeft = 0) => {
  const model = modelOf(zooSpec(name, geometry));

  it('keeps its nodes and tensors without folding', async () => {
    const back = await checkExport(model, false);
    expect(back.spec).toEqual(model.spec);
    expect([...back.weights]).toEqual([...model.weights]);
  });

  it('computes the same with batch-norms folded', async () => {
    const back = await checkExport(model, true);
    expect(back.spec.nodes.filter(({ type }) => type === 'batch-norm')).toHaveLength(normsLeft);
    expect(parameterCount(back.spec)).toBeLessThanOrEqual(parameterCount(model.spec));
  });
});

it('writes every node type there is, and reads it as what it was', async () => {
  const map = { kernel: 3, padding: 1 };
  const spec = parseSpec({
    name: 'every type',
    input: { channels: 3, height: 13, width: 10 },
    classes: 4,
    nodes: [
      { id: 'c1', type: 'conv2d', attributes: { filters: 6, kernel: [3, 2], stride: [1, 2], padding: [2, 0, 1, 1] } },
      { id: 'n1', type: 'batch-norm', attributes: { epsilon: 0.001, momentum: 0.03 } },
      { id: 'relu', type: 'relu' },
      { id: 'm', type: 'max-pool', attributes: { kernel: [3, 2], stride: [2, 1], padding: [1, 0, 0, 1] } },
      { id: 'a', type: 'average-pool', attributes: { kernel: 3, stride: 1, padding: 1, countIncludePad: false } },
      { id: 'b', type: 'average-pool', attributes: { kernel: 2, stride: 1, padding: [0, 1, 1, 0] } },
      { id: 'cut', type: 'pad-channels', inputs: ['b'], attributes: { channels: 3 } },
      { id: 'wide', type: 'pad-channels', attributes: { channels: 6 } },
      { id: 'c2', type: 'conv2d', inputs: ['b'], attributes: { filters: 12, groups: 3, bias: false, ...map } },
      { id: 'leaky', type: 'leaky-relu', attributes: { slope: 0.12 } },
      { id: 'c3', type: 'conv2d', inputs: ['b'], attributes: { filters: 6, groups: 6, ...map } },
      { id: 'six', type: 'relu6' },
      { id: 'silu', type: 'silu', inputs: ['c3'] },
      { id: 'sum', type: 'add', inputs: ['six', 'silu', 'b', 'wide'] },
      { id: 'cat', type: 'concat', inputs: ['leaky', 'sum'] },
      { id: 'swish', type: 'hard-swish' },
      { id: 'mean', type: 'global-average-pool' },
      { id: 'gate', type: 'linear', attributes: { features: 18 } },
      { id: 'hard', type: 'hard-sigmoid' },
      { id: 'scaled', type: 'multiply', inputs: ['swish', 'hard'] },
      { id: 'soft', type: 'sigmoid', inputs: ['swish'] },
      { id: 'product', type: 'multiply', inputs: ['scaled', 'soft'] },
      { id: 'drop', type: 'dropout', attributes: { rate: 0.3 } },
      { id: 'flat', type: 'flatten' },
      { id: 'own', type: 'hard-sigmoid', attributes: { alpha: 0.37, beta: 0.25 } },
      { id: 'logits', type: 'linear', attributes: { features: 4, bias: false } },
    ],
  });
  expect(new Set(spec.nodes.map(({ type }) => type))).toEqual(new Set(nodeTypes.keys()));
  const back = await checkExport(modelOf(spec), false);
  expect(back.spec).toEqual(spec);
});

it('agrees on 1,000 images', async () => {
  const back = await checkExport(modelOf(zooSpec('mnist-cnn', { channels: 1, height: 12, width: 12, classes: 10 })), true, 1000);
  expect(back.notes).toEqual([]);
});

describe.each(['residual', 'residual-bn', 'squeeze', 'mobile', 'dense', 'plain'])('the import of %s', (name) => {
  it.each([false, true])('exports again, folding batch-norms: %s', async (foldBatchNorm) => {
    const { path, channels } = onnxFixture(name);
    const source = await loadOnnx(path);
    const back = await checkExport({ ...source, preprocessing: plainPreprocessing(channels) }, foldBatchNorm);
    expect(back.spec.name).toBe(source.spec.name);
  });
});
