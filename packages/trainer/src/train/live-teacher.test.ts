// A teacher that looks at each batch gives what the table of its logits would.
import { afterAll, expect, it } from 'vitest';
import { openDevice } from '@n2n/kernels';
import { zooSpec } from '../network/index.js';
import { Parameters } from '../plan/index.js';
import { patterns } from '../testing/patterns.js';
import { plainOrder, teacherTable } from './evaluate.js';
import { Feed, type FeedOptions } from './feed.js';
import { DeviceImages } from './images.js';
import { initialWeights } from './initial.js';
import { runSteps } from './run.js';

const gpu = await openDevice();
afterAll(() => gpu.close());

it.each([
  ['its images', 0, undefined],
  ['their cropped, mirrored and cut views', 3, { cropPadding: 2, flip: true, cutout: 5, seed: 9 }],
] as const)('fills the batch of every step with the logits of %s', async (_, views, augmentation) => {
  const geometry = { channels: 1, height: 12, width: 12 };
  const images = await DeviceImages.create(gpu, patterns(24, 4, 1, 12), geometry);
  const preprocessing = { mean: [0.4], std: [0.3] };
  const spec = zooSpec('mnist-cnn@0.5', { ...geometry, classes: 4 });
  const teacher = await Parameters.create(gpu, spec, initialWeights(spec, 3));
  const order = plainOrder(Uint32Array.from({ length: 24 }, (_image, i) => (i * 7) % 24));
  if (views > 0) for (let i = 0; i < 24; i++) order[2 * i + 1] = i % views;
  const augmented = augmentation === undefined ? {} : { augmentation };
  const table = await teacherTable(gpu, teacher, images, {
    batch: 24,
    preprocessing,
    ...augmented,
    indices: Uint32Array.from(order).filter((_image, i) => i % 2 === 0),
    views,
  });

  const logitsOfSteps = async (given: FeedOptions['teacher']): Promise<Float32Array[]> => {
    const feed = await Feed.create(gpu, images, {
      batch: 8,
      steps: 3,
      preprocessing,
      ...augmented,
      ...(given === undefined ? {} : { teacher: given }),
    });
    const logits: Float32Array[] = [];
    for (let step = 0; step < 3; step++) {
      feed.setOrder(order);
      await runSteps(gpu, feed, () => undefined, step + 1);
      logits.push(await gpu.read(feed.slice('teacher')));
    }
    await feed.destroy();
    return logits;
  };
  const [live, cached] = [await logitsOfSteps(teacher), await logitsOfSteps(table)];
  for (const [step, logits] of live.entries()) {
    const largest = Math.max(...cached[step]!.map(Math.abs));
    expect(largest).toBeGreaterThan(0.01);
    expect(Math.max(...logits.map((value, i) => Math.abs(value - cached[step]![i]!)))).toBeLessThan(1e-5 * largest);
  }
  expect(live[0]).not.toEqual(live[1]);
});
