// Training on the device: against PyTorch's trajectory, against itself, and side by side.
import { readFileSync } from 'node:fs';
import { afterAll, describe, expect, it } from 'vitest';
import { compileOpSet, openDevice, padded, type Gpu } from '@n2n/kernels';
import type { Split } from '../data/index.js';
import { parseSpec, zooSpec } from '../network/index.js';
import { Parameters, TrainingPlan } from '../plan/index.js';
import { patterns } from '../testing/patterns.js';
import { evaluate, evaluationFeed, readTable, teacherTable } from './evaluate.js';
import { Feed, type TeacherTable } from './feed.js';
import { DeviceImages } from './images.js';
import { initialWeights } from './initial.js';
import { defaultSgd, paperAdam, type Optimiser } from './schedule.js';
import { train, trainSideBySide, type TrainingOptions } from './train.js';

interface Trajectory {
  readonly initial: Readonly<Record<string, number[]>>;
  readonly final: Readonly<Record<string, number[]>>;
  readonly teacher: number[];
  readonly losses: number[];
  readonly evaluation: { readonly loss: number; readonly accuracy: number };
}

const gpu = await openDevice();
/** Chooses the kernels of an adapter whose subgroups cannot be used. */
const withoutSubgroups = await openDevice();
Object.defineProperty(withoutSubgroups, 'traits', { value: { ...withoutSubgroups.traits, subgroupSize: 0 } });
afterAll(() => {
  gpu.close();
  withoutSubgroups.close();
});

const fixture = JSON.parse(readFileSync(new URL('../testing/trajectory.json', import.meta.url), 'utf8')) as {
  readonly mean: number[];
  readonly std: number[];
  readonly images: number[];
  readonly sgd: Trajectory;
  readonly adam: Trajectory;
};

/** The network of testing/trajectory.py. */
const residual = parseSpec({
  name: 'trajectory',
  input: { channels: 2, height: 12, width: 12 },
  classes: 5,
  nodes: [
    { id: 'conv1', type: 'conv2d', inputs: ['input'], attributes: { filters: 5, kernel: 3, padding: 1, bias: false } },
    { id: 'norm1', type: 'batch-norm', inputs: ['conv1'] },
    { id: 'relu1', type: 'relu', inputs: ['norm1'] },
    { id: 'pool1', type: 'max-pool', inputs: ['relu1'], attributes: { kernel: 2 } },
    { id: 'conv2', type: 'conv2d', inputs: ['pool1'], attributes: { filters: 6, kernel: 3, stride: 2, padding: 1, bias: true } },
    { id: 'norm2', type: 'batch-norm', inputs: ['conv2'] },
    { id: 'project', type: 'conv2d', inputs: ['pool1'], attributes: { filters: 6, kernel: 1, stride: 2, bias: false } },
    { id: 'join', type: 'add', inputs: ['norm2', 'project'] },
    { id: 'relu2', type: 'relu', inputs: ['join'] },
    { id: 'pool2', type: 'average-pool', inputs: ['relu2'], attributes: { kernel: 2, stride: 1 } },
    { id: 'flat', type: 'flatten', inputs: ['pool2'] },
    { id: 'head', type: 'linear', inputs: ['flat'], attributes: { features: 5 } },
  ],
});

const objective = { hard: { weight: 1, smoothing: 0.1 }, mse: { weight: 0.05 }, kl: { weight: 0.5, temperature: 3 } };

describe('ten steps agree with PyTorch', () => {
  const six: Split = { count: 6, images: Uint8Array.from(fixture.images), labels: Uint8Array.from([0, 1, 2, 3, 4, 0]) };
  const indices = Uint32Array.from([0, 1, 2, 3, 4, 5]);
  const preprocessing = { mean: fixture.mean, std: fixture.std };
  const sgd: Optimiser = { kind: 'sgd', learningRate: 0.05, momentum: 0.9, nesterov: true, weightDecay: 1e-3 };
  const adam: Optimiser = { ...paperAdam, learningRate: 0.01, weightDecay: 1e-2 };
  const runs: [string, Gpu, Trajectory, Optimiser][] = [
    ['SGD', gpu, fixture.sgd, sgd],
    ['Adam', gpu, fixture.adam, adam],
    ['SGD without subgroups', withoutSubgroups, fixture.sgd, sgd],
  ];
  it.each(runs)('%s', async (_, gpu, expected, optimiser) => {
    const images = await DeviceImages.create(gpu, six, residual.input);
    const slice = await gpu.allocate(6 * padded(5) * 4, 'teacher');
    const teacher: TeacherTable = { shards: [{ first: 0, count: 6, slice }], views: 1, classes: 5 };
    const rows = new Float32Array(6 * padded(5));
    expected.teacher.forEach((logit, i) => (rows[Math.floor(i / 5) * padded(5) + (i % 5)] = logit));
    gpu.write(slice, rows);
    const feed = await Feed.create(gpu, images, { batch: 6, steps: 1, preprocessing, teacher });
    const weights = new Map(Object.entries(expected.initial).map(([name, data]) => [name, Float32Array.from(data)]));
    const parameters = await Parameters.create(gpu, residual, weights);
    const options = { objective, optimiser, schedule: { kind: 'constant' }, epochs: 10, indices, seed: 1, views: 0 } as const;
    const { epochs } = await train(gpu, parameters, feed, options);
    epochs.forEach(({ loss }, step) => expect(loss, `step ${step}`).toBeCloseTo(expected.losses[step]!, 4));
    const trained = await parameters.read();
    for (const [name, data] of Object.entries(expected.final)) {
      const largest = Math.max(...data.map(Math.abs));
      const worst = Math.max(...data.map((value, i) => Math.abs(value - trained.get(name)![i]!)));
      expect(worst / largest, name).toBeLessThan(2e-3);
    }
    const evaluation = await evaluate(gpu, parameters, await evaluationFeed(gpu, images, preprocessing, 4, 6), indices);
    expect(evaluation.samples).toBe(6);
    expect(evaluation.loss).toBeCloseTo(expected.evaluation.loss, 3);
    expect(evaluation.accuracy).toBe(expected.evaluation.accuracy);
  });
});

const small = zooSpec('mnist-cnn', { channels: 1, height: 12, width: 12, classes: 4 });
const split = patterns(96, 4, 1, 12);
const preprocessing = { mean: [0.4], std: [0.3] };
const images = await DeviceImages.create(gpu, split, small.input);
const all = Uint32Array.from({ length: 96 }, (_, i) => i);

const settings: TrainingOptions = {
  objective: { hard: { weight: 1, smoothing: 0 } },
  optimiser: { ...defaultSgd, learningRate: 0.05 },
  schedule: { kind: 'cosine' },
  epochs: 3,
  indices: all,
  seed: 5,
  views: Infinity,
};
const augmentation = { cropPadding: 2, flip: false, seed: 3 };

async function trained(seed: string, options: Partial<TrainingOptions> = {}): Promise<Map<string, Float32Array>> {
  const feed = await Feed.create(gpu, images, { batch: 32, steps: 3, preprocessing, augmentation });
  const parameters = await Parameters.create(gpu, small, initialWeights(small, seed));
  await train(gpu, parameters, feed, { ...settings, ...options });
  const weights = await parameters.read();
  await feed.destroy();
  await parameters.destroy();
  return weights;
}

describe('without subgroups', () => {
  it('no step of a plan uses them', async () => {
    const kernels = await kernelsOfStep(withoutSubgroups);
    expect(kernels.filter((label) => label.startsWith('conv2d/'))).not.toEqual([]);
    expect(kernels.filter((label) => subgroupKernel.test(label))).toEqual([]);
    if (gpu.traits.subgroupSize === 8) expect((await kernelsOfStep(gpu)).some((label) => subgroupKernel.test(label))).toBe(true);
  });
});

const subgroupKernel = /subgroup|winograd|taps/;

async function kernelsOfStep(device: Gpu): Promise<string[]> {
  const images = await DeviceImages.create(device, split, small.input);
  const feed = await Feed.create(device, images, { batch: 8, steps: 1, preprocessing });
  const parameters = await Parameters.create(device, small, initialWeights(small, 'a'));
  const plan = await TrainingPlan.create(device, parameters, feed, {
    objective: settings.objective,
    optimiser: settings.optimiser,
    seed: 0,
    steps: 1,
  });
  const kernels = plan.recording.steps.map(({ kernel }) => kernel.label);
  for (const owner of [plan, parameters, feed, images]) await owner.destroy();
  return kernels;
}

describe('training', () => {
  it('learns patterns and says so in evaluation', async () => {
    const feed = await Feed.create(gpu, images, { batch: 32, steps: 3, preprocessing });
    const parameters = await Parameters.create(gpu, small, initialWeights(small, 'a'));
    const { epochs } = await train(gpu, parameters, feed, { ...settings, epochs: 8, views: 0 });
    expect(epochs.at(-1)!.loss).toBeLessThan(epochs[0]!.loss / 4);
    const evaluation = await evaluate(gpu, parameters, await evaluationFeed(gpu, images, preprocessing, 40, 96), all);
    expect(evaluation.accuracy).toBe(1);
  });

  it('gives the same bits for the same seed, and others for another', async () => {
    const [first, second, other] = [await trained('a'), await trained('a'), await trained('a', { seed: 6 })];
    expect(second).toEqual(first);
    expect(other).not.toEqual(first);
  });

  it('gives each of several students the bits it gets alone', async () => {
    const feed = await Feed.create(gpu, images, { batch: 32, steps: 3, preprocessing, augmentation });
    const wide = zooSpec('mnist-cnn@2', { channels: 1, height: 12, width: 12, classes: 4 });
    const students = [
      await Parameters.create(gpu, small, initialWeights(small, 'a')),
      await Parameters.create(gpu, wide, initialWeights(wide, 'w')),
      await Parameters.create(gpu, small, initialWeights(small, 'b')),
    ];
    await trainSideBySide(gpu, students, feed, settings);
    expect(await students[0]!.read()).toEqual(await trained('a'));
    expect(await students[2]!.read()).toEqual(await trained('b'));
  });

  it('compiles nothing for another architecture once the op set is compiled', async () => {
    await compileOpSet(gpu);
    await trained('a');
    const before = gpu.statistics.pipelinesCompiled;
    const other = zooSpec('mnist-cnn@0.5', { channels: 1, height: 12, width: 12, classes: 4 });
    const feed = await Feed.create(gpu, images, { batch: 24, steps: 4, preprocessing, augmentation });
    const parameters = await Parameters.create(gpu, other, initialWeights(other, 'a'));
    await train(gpu, parameters, feed, { ...settings, epochs: 1 });
    expect(gpu.statistics.pipelinesCompiled).toBe(before);
  });

  it('keeps the logits of every view of the teacher, the same that training gathers', async () => {
    const teacher = await Parameters.create(gpu, small, initialWeights(small, 't'));
    const options = { batch: 20, preprocessing, augmentation, indices: all.subarray(0, 50), views: 2 };
    const table = await teacherTable(gpu, teacher, images, options);
    const logits = await readTable(gpu, table);
    const row = (image: number, view: number): Float32Array => logits.subarray((image * 2 + view) * 4, (image * 2 + view) * 4 + 4);
    expect(row(3, 0)).not.toEqual(row(3, 1));
    expect([...row(60, 0)]).toEqual([0, 0, 0, 0]);
    // A student that is the teacher has no distance to it, view by view (in evaluation mode both).
    const again = await readTable(gpu, await teacherTable(gpu, teacher, images, { ...options, batch: 50 }));
    expect(again).toEqual(logits);
  });

  it('starts specs that differ in names alone from the same weights', () => {
    const renamed = parseSpec(JSON.parse(JSON.stringify(small).replaceAll(/"conv(\d)"/g, '"layer$1"')));
    expect(renamed.nodes.map(({ id }) => id)).not.toEqual(small.nodes.map(({ id }) => id));
    expect([...initialWeights(renamed, 'a').values()]).toEqual([...initialWeights(small, 'a').values()]);
  });

  it('reports a diverged network by name', async () => {
    await expect(trained('a', { optimiser: { ...defaultSgd, learningRate: 1e30 }, epochs: 2 })).rejects.toThrow(/"mnist-cnn.*diverged/);
  });

  it('stops at an abort', async () => {
    await expect(trained('a', { signal: AbortSignal.abort(new Error('enough')) })).rejects.toThrow('enough');
  });
});
