// Training in mixed precision: as good as in f32, overflows are skipped, and nothing but the device decides about them.
import { afterAll, describe, expect, it } from 'vitest';
import { AdapterError, compileOpSet, openDevice, type Gpu } from '@n2n/kernels';
import { zooSpec } from '../network/index.js';
import { Parameters, TrainingPlan } from '../plan/index.js';
import { patterns } from '../testing/patterns.js';
import { evaluate, evaluationFeed } from './evaluate.js';
import { Feed } from './feed.js';
import { DeviceImages } from './images.js';
import { initialWeights } from './initial.js';
import { defaultLossScaling } from './loss-scaling.js';
import { defaultSgd, paperAdam } from './schedule.js';
import { train, trainSideBySide, type TrainingOptions, type TrainingResult } from './train.js';

const gpu = await openDevice();
/** Chooses the kernels of an adapter without shader-f16. */
const withoutF16 = await openDevice();
Object.defineProperty(withoutF16, 'traits', { value: { ...withoutF16.traits, f16: false } });
afterAll(() => {
  gpu.close();
  withoutF16.close();
});

const spec = zooSpec('mnist-cnn', { channels: 1, height: 12, width: 12, classes: 4 });
const images = await DeviceImages.create(gpu, patterns(96, 4, 1, 12), spec.input);
const indices = Uint32Array.from({ length: 96 }, (_, i) => i);
const preprocessing = { mean: [0.4], std: [0.3] };
const feed = await Feed.create(gpu, images, { batch: 32, steps: 3, preprocessing });

const settings: TrainingOptions = {
  objective: { hard: { weight: 1, smoothing: 0 } },
  optimiser: { ...defaultSgd, learningRate: 0.05 },
  schedule: { kind: 'cosine' },
  epochs: 8,
  indices,
  seed: 5,
  views: 0,
  precision: 'mixed',
};

const planOptions = { objective: settings.objective, optimiser: settings.optimiser, seed: 1, steps: 1 };

type Weights = Map<string, Float32Array>;

async function trained(options: Partial<TrainingOptions>): Promise<{ result: TrainingResult; weights: Weights; accuracy: number }> {
  const parameters = await Parameters.create(gpu, spec, initialWeights(spec, 'a'));
  const result = await train(gpu, parameters, feed, { ...settings, ...options });
  const evaluation = await evaluate(gpu, parameters, await evaluationFeed(gpu, images, preprocessing, 48, 96), indices);
  const weights = await parameters.read();
  await parameters.destroy();
  return { result, weights, accuracy: evaluation.accuracy };
}

it('is refused on an adapter without shader-f16', async () => {
  const there = await DeviceImages.create(withoutF16, patterns(8, 4, 1, 12), spec.input);
  const theirs = await Feed.create(withoutF16, there, { batch: 8, steps: 1, preprocessing });
  const parameters = await Parameters.create(withoutF16, spec, initialWeights(spec, 'a'));
  const refused = train(withoutF16, parameters, theirs, { ...settings, indices: indices.subarray(0, 8) });
  await expect(refused).rejects.toThrow(AdapterError);
  await expect(refused).rejects.toThrow(/mixed precision needs .*shader-f16.*does not offer/);
});

describe.skipIf(!gpu.traits.f16)('training in mixed precision', () => {
  it('rounds the operands of all passes of convolutions and linear layers, and of these alone', async () => {
    const parameters = await Parameters.create(gpu, spec, initialWeights(spec, 'a'));
    const plan = await TrainingPlan.create(gpu, parameters, feed, { ...planOptions, lossScaling: defaultLossScaling });
    const kinds = plan.recording.steps.map(({ call }) => `${call.op.name} ${call.pass}: ${call.variant}`);
    const rounded = kinds.filter((kind) => /: (half|matrix)$/.test(kind)).map((kind) => kind.replace(/:.*/, ''));
    const products = ['conv2d', 'linear'].flatMap((op) => ['forward', 'input-gradient', 'weight-gradient'].map((pass) => `${op} ${pass}`));
    expect(new Set(rounded)).toEqual(new Set(products));
    expect(kinds.filter((kind) => products.includes(kind.replace(/:.*/, ''))).length).toBe(rounded.length);
    await plan.destroy();
    await parameters.destroy();
  });

  it.each([
    ['SGD', settings.optimiser],
    ['Adam', { ...paperAdam, learningRate: 0.01 }],
  ])('%s reaches the accuracy of f32 on a path close to it', async (_, optimiser) => {
    const [mixed, full] = [await trained({ optimiser }), await trained({ optimiser, precision: 'f32' })];
    expect(full.accuracy).toBe(1);
    expect(mixed.accuracy).toBeGreaterThanOrEqual(full.accuracy - 0.01);
    mixed.result.epochs.forEach(({ loss }, epoch) => {
      const expected = full.result.epochs[epoch]!.loss;
      expect(Math.abs(loss - expected), `epoch ${epoch}`).toBeLessThan(0.02 * full.result.epochs[0]!.loss);
    });
    expect(mixed.weights).not.toEqual(full.weights); // rounded indeed
    expect(mixed.result.lossScale).toEqual({ scale: 2 ** 16, skippedSteps: 0 });
    expect(full.result.lossScale).toBeUndefined();
  });

  it('needs the scale: tiny gradients are lost without it', async () => {
    const objective = { hard: { weight: 2 ** -20, smoothing: 0 } };
    const optimiser = { ...settings.optimiser, learningRate: 0.05 * 2 ** 20, weightDecay: 0 };
    const [scaled, plain] = [
      await trained({ objective, optimiser }),
      await trained({ objective, optimiser, lossScaling: { start: 1, most: 1 } }),
    ];
    expect(scaled.accuracy).toBeGreaterThanOrEqual(0.99);
    const last = (one: TrainingResult): number => one.epochs.at(-1)!.loss / one.epochs[0]!.loss;
    expect(last(plain.result)).toBeGreaterThan(2 * last(scaled.result));
  });

  it('skips steps that overflow until the scale fits, the same way each time', async () => {
    const start = 2 ** 40;
    const [first, second] = [await trained({ lossScaling: { start } }), await trained({ lossScaling: { start } })];
    const { scale, skippedSteps } = first.result.lossScale!;
    expect(skippedSteps).toBeGreaterThan(5);
    expect(scale).toBe(start / 2 ** skippedSteps);
    expect(skippedSteps).toBeLessThan(24); // of 24 steps
    expect(second.weights).toEqual(first.weights);
    expect(second.result.lossScale).toEqual(first.result.lossScale);
  });

  it('changes no parameter while every step overflows', async () => {
    const { result, weights } = await trained({ lossScaling: { start: 2 ** 100 }, epochs: 1 });
    expect(result.lossScale).toEqual({ scale: 2 ** 97, skippedSteps: 3 });
    for (const [name, values] of initialWeights(spec, 'a')) {
      if (!name.includes('running')) expect(weights.get(name), name).toEqual(values);
    }
  });

  it.each([
    [1, 2],
    [2, 5],
  ])("makes Adam's first step in epoch %i after %i skipped ones, as any first step: by the learning rate", async (epochs, skips) => {
    const optimiser = { ...paperAdam, learningRate: 2 ** -10, weightDecay: 0 };
    const schedule = { kind: 'constant' } as const;
    const skipping = async (exponent: number): ReturnType<typeof trained> => {
      const found = await trained({ optimiser, schedule, epochs, lossScaling: { start: 2 ** exponent } });
      return found.result.lossScale!.skippedSteps > skips ? skipping(exponent - 1) : found;
    };
    const { result, weights } = await skipping(30);
    expect(result.lossScale!.skippedSteps).toBe(skips); // of skips + 1
    const before = initialWeights(spec, 'a');
    for (const [name, values] of weights) {
      if (!name.endsWith('weight')) continue;
      const moved = Math.max(...values.map((value, i) => Math.abs(value - before.get(name)![i]!)));
      expect(moved / optimiser.learningRate, name).toBeCloseTo(1, 3);
    }
  });

  it('doubles the scale after the interval', async () => {
    const { result } = await trained({ lossScaling: { start: 2 ** 8, interval: 6 } });
    expect(result.lossScale).toEqual({ scale: 2 ** 12, skippedSteps: 0 }); // 24 steps
  });

  it('gives each of several students the bits and the scale it gets alone', async () => {
    const students = [];
    for (const key of ['b', 'a']) students.push(await Parameters.create(gpu, spec, initialWeights(spec, key)));
    const lossScaling = { start: 2 ** 36 };
    const results = await trainSideBySide(gpu, students, feed, { ...settings, lossScaling });
    const alone = await trained({ lossScaling });
    expect(await students[1]!.read()).toEqual(alone.weights);
    expect((results[1] as TrainingResult).lossScale).toEqual(alone.result.lossScale);
  });

  it('checks and updates parameters that no one binding holds as it does those that one holds', async () => {
    const narrow = await openDevice();
    const most = 80 * 1024; // of 97 KiB of parameters
    const limits = new Proxy(narrow.limits, {
      get: (target, name) =>
        name === 'maxStorageBufferBindingSize' ? most : (target as unknown as Record<string | symbol, unknown>)[name],
    });
    Object.defineProperty(narrow, 'limits', { value: limits });
    const trainedOn = async (device: Gpu): Promise<{ weights: Weights; result: TrainingResult }> => {
      const there = await DeviceImages.create(device, patterns(24, 4, 1, 12), spec.input);
      const theirs = await Feed.create(device, there, { batch: 4, steps: 6, preprocessing });
      const parameters = await Parameters.create(device, spec, initialWeights(spec, 'a'));
      expect(parameters.trainedWords * 4).toBeGreaterThan(most);
      const options = { epochs: 4, indices: indices.subarray(0, 24), lossScaling: { start: 2 ** 30 } };
      const result = await train(device, parameters, theirs, { ...settings, ...options });
      const plan = await TrainingPlan.create(device, parameters, theirs, { ...planOptions, lossScaling: defaultLossScaling });
      const checks = new Set(plan.recording.steps.map(({ call }) => call).filter(({ pass }) => pass === 'check'));
      const checked = [...checks].reduce((sum, { shape }) => sum + (shape as { size: number }).size, 0);
      expect(checked).toBe(parameters.trainedWords);
      return { weights: await parameters.read(), result };
    };
    const [parts, whole] = [await trainedOn(narrow), await trainedOn(gpu)];
    narrow.close();
    expect(parts.result.lossScale!.skippedSteps).toBeGreaterThan(0);
    expect(parts.result.lossScale).toEqual(whole.result.lossScale);
    expect(parts.weights).toEqual(whole.weights);
  });

  it('compiles nothing once the op set is compiled for it', async () => {
    await compileOpSet(gpu, 'mixed');
    const before = gpu.statistics.pipelinesCompiled;
    const other = zooSpec('mnist-cnn@0.5', { channels: 1, height: 12, width: 12, classes: 4 });
    const parameters = await Parameters.create(gpu, other, initialWeights(other, 'a'));
    await train(gpu, parameters, feed, { ...settings, epochs: 1, optimiser: paperAdam });
    expect(gpu.statistics.pipelinesCompiled).toBe(before);
  });

  it('refuses a first scale that is no power of two', async () => {
    await expect(trained({ lossScaling: { start: 1000 } })).rejects.toThrow(/first loss scale is 1000; it must be a power of two/);
  });
});
