// A set that is not on the device gives the bits of one that is: training, evaluation, teacher's logits; rings of any size.
import { DeviceMemoryError, openDevice, type Slice } from '@n2n/kernels';
import { afterAll, afterEach, describe, expect, it, vi } from 'vitest';
import { zooSpec } from '../network/index.js';
import { Parameters } from '../plan/parameters.js';
import { patterns } from '../testing/patterns.js';
import { evaluate, evaluationFeed, readTable, teacherTable } from './evaluate.js';
import { Feed } from './feed.js';
import { DeviceImages } from './images.js';
import { initialWeights } from './initial.js';
import { defaultSgd } from './schedule.js';
import { train } from './train.js';

const gpu = await openDevice();
afterAll(() => gpu.close());
afterEach(() => vi.restoreAllMocks());

// 13 x 13 x 3 bytes are no whole words.
const geometry = { channels: 3, height: 13, width: 13 };
const STRIDE = 508;
const spec = zooSpec('mnist-cnn@0.25', { ...geometry, classes: 4 });
const split = patterns(96, 4, 3, 13);
const preprocessing = { mean: [0.4, 0.5, 0.45], std: [0.3, 0.25, 0.2] };
const augmentation = { cropPadding: 2, flip: true, cutout: 4, seed: 3 };
const BATCH = 8;
const all = Uint32Array.from({ length: 96 }, (_, i) => i);

interface Results {
  readonly weights: Map<string, Float32Array>;
  readonly losses: readonly number[];
  readonly evaluation: object;
  readonly logits: Float32Array;
}

/** Two epochs with teacher's logits, and everything that came of them. */
async function work(images: DeviceImages): Promise<Results> {
  const teacher = await Parameters.create(gpu, spec, initialWeights(spec, 't'));
  const table = await teacherTable(gpu, teacher, images, { batch: 20, preprocessing, augmentation, indices: all.subarray(5), views: 3 });
  const feed = await Feed.create(gpu, images, { batch: BATCH, steps: 11, preprocessing, augmentation, teacher: table });
  const parameters = await Parameters.create(gpu, spec, initialWeights(spec, 's'));
  const { epochs } = await train(gpu, parameters, feed, {
    objective: { hard: { weight: 1, smoothing: 0 }, mse: { weight: 0.1 } },
    optimiser: { ...defaultSgd, learningRate: 0.05 },
    schedule: { kind: 'cosine' },
    epochs: 2,
    indices: all.subarray(5),
    seed: 5,
    views: 3,
    // The order is set anew in the middle of an epoch.
    rungs: [4],
    onRung: (_, training) => Promise.resolve(training),
  });
  const judging = await evaluationFeed(gpu, images, preprocessing, 20, 96);
  const evaluation = await evaluate(gpu, parameters, judging, all);
  const results = {
    weights: await parameters.read(),
    losses: epochs.map(({ loss }) => loss),
    evaluation,
    logits: await readTable(gpu, table),
  };
  for (const owner of [feed, judging, parameters, teacher]) await owner.destroy();
  return results;
}

const resident = await DeviceImages.create(gpu, split, geometry);
const expected = await work(resident);

describe('a streamed set', () => {
  it.each([
    ['one step', BATCH * STRIDE],
    ['three steps', 3 * BATCH * STRIDE],
    ['eight steps', 8 * BATCH * STRIDE],
    ['nothing', 0],
    ['all but one image', 95 * STRIDE],
  ])('gives the same bits with room for %s', async (_, memoryBytes) => {
    const allocate = vi.spyOn(gpu, 'allocate');
    const images = await DeviceImages.create(gpu, split, geometry, memoryBytes);
    expect(images.shards).toBeUndefined();
    expect(await work(images)).toEqual(expected);
    const rings = allocate.mock.calls.filter(([, label]) => label === 'images of the coming steps').map(([bytes]) => bytes);
    // Of the teacher's logits, the training and the evaluation; one step is the least.
    expect(rings).toHaveLength(3);
    for (const bytes of rings) expect(bytes).toBeLessThanOrEqual(Math.max(memoryBytes, 20 * STRIDE));
    await images.destroy();
  });

  it('is resident where it just fits', async () => {
    const images = await DeviceImages.create(gpu, split, geometry, 96 * STRIDE);
    expect(images.shards).toHaveLength(1);
    await images.destroy();
  });

  it('is what a set becomes that the device has no memory for, and the memory tried is given back', async () => {
    const before = gpu.statistics.bytesAllocated;
    const allocate = gpu.allocate.bind(gpu);
    const perShard = 40;
    limitBinding(perShard * STRIDE);
    vi.spyOn(gpu, 'allocate').mockImplementation(async (bytes, label): Promise<Slice> => {
      if (label === 'images from 40') throw new DeviceMemoryError('full');
      return allocate(bytes, label);
    });
    const images = await DeviceImages.create(gpu, split, geometry);
    expect(images.shards).toBeUndefined();
    expect(gpu.statistics.bytesAllocated - before).toBe(96 * 4);
    expect(await work(images)).toEqual(expected);
    await images.destroy();
  });

  it('does not hide other failures', async () => {
    vi.spyOn(gpu, 'allocate').mockImplementation((_bytes, label) => Promise.reject(new Error(label)));
    await expect(DeviceImages.create(gpu, split, geometry)).rejects.toThrow('labels');
  });
});

it('splits images and logits that are too large to bind, and gives the same bits', async () => {
  limitBinding(40 * STRIDE);
  const images = await DeviceImages.create(gpu, split, geometry);
  expect(images.shards!.map(({ first, count }) => [first, count])).toEqual([
    [0, 40],
    [40, 40],
    [80, 16],
  ]);
  // Three views of four logits an image.
  limitBinding(50 * 3 * 4 * 4);
  const teacher = await Parameters.create(gpu, spec, initialWeights(spec, 't'));
  const made = await teacherTable(gpu, teacher, images, { batch: 20, preprocessing, augmentation, indices: all.subarray(5), views: 3 });
  expect(made.shards.map(({ first, count }) => [first, count])).toEqual([
    [0, 50],
    [50, 46],
  ]);
  expect(await readTable(gpu, made)).toEqual(expected.logits);
  limitBinding(50 * 3 * 4 * 4);
  expect(await work(images)).toEqual(expected);
});

/** For whoever asks next; after that the adapter's own. */
function limitBinding(bytes: number): void {
  const { limits } = gpu;
  let asked = false;
  vi.spyOn(gpu, 'limits', 'get').mockImplementation(
    () =>
      new Proxy(limits, {
        get(target, name) {
          if (asked || name !== 'maxStorageBufferBindingSize') return Reflect.get(target, name) as unknown;
          asked = true;
          return bytes;
        },
      }),
  );
}
