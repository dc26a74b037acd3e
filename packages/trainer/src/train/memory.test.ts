// What cannot be made keeps nothing on the device: each allocation of each thing is made to fail once.
import { afterAll, describe, expect, it, vi } from 'vitest';
import { DeviceMemoryError, openDevice, type Destroyable } from '@n2n/kernels';
import { zooSpec } from '../network/index.js';
import { EvaluationPlan, Parameters, TrainingPlan } from '../plan/index.js';
import { patterns } from '../testing/patterns.js';
import { freeTable, teacherTable } from './evaluate.js';
import { Feed } from './feed.js';
import { DeviceImages } from './images.js';
import { initialWeights } from './initial.js';
import { paperAdam } from './schedule.js';

const gpu = await openDevice();
afterAll(() => gpu.close());

const spec = zooSpec('mnist-cnn', { channels: 1, height: 12, width: 12, classes: 4 });
const split = patterns(16, 4, 1, 12);
const weights = initialWeights(spec, 'a');
const preprocessing = { mean: [0.4], std: [0.3] };
const images = await DeviceImages.create(gpu, split, spec.input);
const streamed = await DeviceImages.create(gpu, split, spec.input, 0);
const tableOptions = { batch: 8, preprocessing, indices: Uint32Array.from([1, 2, 3]), views: 2 };
const table = await teacherTable(gpu, await Parameters.create(gpu, spec, weights), images, tableOptions);
const parameters = await Parameters.create(gpu, spec, weights);
const feed = await Feed.create(gpu, images, { batch: 8, steps: 2, preprocessing, teacher: table });
const objective = { hard: { weight: 1, smoothing: 0 }, mse: { weight: 1 } };

/** Each with the number of its allocations at least. */
const makers: [string, number, () => Promise<Destroyable>][] = [
  // Without room for the pixels it is a streamed set.
  ['DeviceImages', 1, () => DeviceImages.create(gpu, split, spec.input)],
  ['Parameters', 2, () => Parameters.create(gpu, spec, weights)],
  ['Feed', 5, () => Feed.create(gpu, images, { batch: 8, steps: 2, preprocessing, teacher: table })],
  ['Feed of a streamed set', 4, () => Feed.create(gpu, streamed, { batch: 8, steps: 2, preprocessing })],
  ['EvaluationPlan', 2, () => EvaluationPlan.create(gpu, parameters, feed)],
  ['TrainingPlan', 7, () => TrainingPlan.create(gpu, parameters, feed, { objective, optimiser: paperAdam, seed: 1, steps: 2 })],
  [
    'teacherTable',
    7,
    async () => {
      const made = await teacherTable(gpu, parameters, images, tableOptions);
      return { destroy: () => freeTable(gpu, made) };
    },
  ],
];

/** Makes the thing while allocation `nth` (from 1) fails; undefined when that failed it. */
async function makeFailing(make: () => Promise<Destroyable>, nth: number): Promise<Destroyable | undefined> {
  const allocate = gpu.allocate.bind(gpu);
  let count = 0;
  const spy = vi.spyOn(gpu, 'allocate').mockImplementation(async (size, label) => {
    if (++count === nth) throw new DeviceMemoryError(`no memory for "${label}"`);
    return allocate(size, label);
  });
  try {
    return await make();
  } catch (error) {
    expect(error).toBeInstanceOf(DeviceMemoryError);
    return undefined;
  } finally {
    spy.mockRestore();
  }
}

describe('a failed allocation leaves nothing behind', () => {
  it.each(makers)('%s', async (_, atLeast, make) => {
    const before = gpu.statistics.bytesAllocated;
    let nth = 1;
    let made = await makeFailing(make, nth);
    for (; made === undefined; made = await makeFailing(make, ++nth)) {
      expect(gpu.statistics.bytesAllocated, `allocation ${nth} failed`).toBe(before);
    }
    expect(nth).toBeGreaterThan(atLeast);
    expect(gpu.statistics.bytesAllocated).toBeGreaterThan(before);
    await made.destroy();
    expect(gpu.statistics.bytesAllocated).toBe(before);
  });

  it('weights that lack a tensor', async () => {
    const before = gpu.statistics.bytesAllocated;
    await expect(Parameters.create(gpu, spec, new Map())).rejects.toThrow(/lack the tensor/);
    expect(gpu.statistics.bytesAllocated).toBe(before);
  });
});
