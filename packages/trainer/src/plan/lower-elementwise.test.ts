// Gradients through concatenations, gates and the activations of mobile networks, against PyTorch's.
import { openDevice } from '@n2n/kernels';
import { afterAll, expect, it } from 'vitest';
import { loadOnnx } from '../files/index.js';
import { onnxFixture, plainPreprocessing } from '../testing/onnx.js';
import { Feed } from '../train/feed.js';
import { DeviceImages } from '../train/images.js';
import { train } from '../train/train.js';
import { Parameters } from './parameters.js';

const gpu = await openDevice();
afterAll(() => gpu.close());

it.each(['mobile', 'dense'])("%s has PyTorch's gradients", async (name) => {
  const { path, pixels, images: count, classes, gradients = {} } = onnxFixture(name);
  const { spec, weights } = await loadOnnx(path);
  const labels = Uint8Array.from({ length: count }, (_, i) => i % classes);
  const images = await DeviceImages.create(gpu, { count, images: pixels, labels }, spec.input);
  const feed = await Feed.create(gpu, images, { batch: count, steps: 1, preprocessing: plainPreprocessing(3) });
  const parameters = await Parameters.create(gpu, spec, weights);
  // One step at a rate of 1 moves each weight by its gradient.
  await train(gpu, parameters, feed, {
    objective: { hard: { weight: 1, smoothing: 0 } },
    optimiser: { kind: 'sgd', learningRate: 1, momentum: 0, nesterov: false, weightDecay: 0 },
    schedule: { kind: 'constant' },
    epochs: 1,
    indices: Uint32Array.from({ length: count }, (_, i) => i),
    seed: 1,
    views: 0,
  });
  const after = await parameters.read();
  expect(Object.keys(gradients).length).toBeGreaterThan(10);
  for (const [tensor, text] of Object.entries(gradients)) {
    const before = weights.get(tensor)!;
    const moved = Array.from(before, (value, i) => value - after.get(tensor)![i]!);
    const expected = text.split(' ').map(Number);
    const norm = expected.at(-1)!;
    expect(Math.hypot(...moved), tensor).toBeCloseTo(norm, 4);
    expected
      .slice(0, -1)
      .forEach((value, i) => expect(Math.abs(moved[i]! - value), `${tensor}[${i}]`).toBeLessThan(1e-4 * Math.max(norm, 0.1)));
  }
});
