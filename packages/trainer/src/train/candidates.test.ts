// Judging students: what each outcome says when a student cannot be trained, diverges or does not fit, beside others that do.
import { afterAll, afterEach, describe, expect, it, vi } from 'vitest';
import { DeviceLostError, DeviceMemoryError, DeviceUseError, openDevice, type Gpu } from '@n2n/kernels';
import { parseSpec, specHash, zooSpec, type NetworkSpec } from '../network/index.js';
import { patterns } from '../testing/patterns.js';
import { CandidateTrainer, type Candidate, type CandidateSettings } from './candidates.js';
import { Parameters } from '../plan/parameters.js';
import { trainingBytes, TrainingPlan } from '../plan/plan.js';
import { evaluate, evaluationFeed } from './evaluate.js';
import { Feed } from './feed.js';
import { DeviceImages } from './images.js';
import { initialWeights } from './initial.js';
import type { CandidateOutcome } from './outcome.js';
import { defaultSgd } from './schedule.js';

const gpu = await openDevice();
afterAll(() => gpu.close());

const geometry = { channels: 1, height: 12, width: 12 };
const split = patterns(96, 4, 1, 12);
const images = await DeviceImages.create(gpu, split, geometry);
const indices = { train: Uint32Array.from({ length: 64 }, (_, i) => i), validation: Uint32Array.from({ length: 32 }, (_, i) => 64 + i) };

const settings: CandidateSettings = {
  objective: { hard: { weight: 1, smoothing: 0 } },
  optimiser: { ...defaultSgd, learningRate: 0.05 },
  schedule: { kind: 'constant' },
  epochs: 2,
  batch: 32,
  views: 0,
  seed: 1,
  cohort: 3,
  preprocessing: { mean: [0.4], std: [0.3] },
};

const candidate = (spec: NetworkSpec): Candidate => ({ spec, hash: specHash(spec) });
const small = candidate(zooSpec('mnist-cnn', { ...geometry, classes: 4 }));
const half = candidate(zooSpec('mnist-cnn@0.5', { ...geometry, classes: 4 }));

/** A network whose one map has `filters` channels. */
const wide = (filters: number): Candidate =>
  candidate(
    parseSpec({
      name: `wide ${filters}`,
      input: geometry,
      classes: 4,
      nodes: [
        { id: 'conv', type: 'conv2d', inputs: ['input'], attributes: { filters, kernel: 1 } },
        { id: 'pool', type: 'global-average-pool', inputs: ['conv'] },
        { id: 'head', type: 'linear', inputs: ['pool'], attributes: { features: 4 } },
      ],
    }),
  );

/** Batch norm after the flatten: a valid spec that no plan computes. */
const refused = candidate(
  parseSpec({
    name: 'refused',
    input: geometry,
    classes: 4,
    nodes: [
      { id: 'flat', type: 'flatten', inputs: ['input'] },
      { id: 'norm', type: 'batch-norm', inputs: ['flat'] },
      { id: 'head', type: 'linear', inputs: ['norm'], attributes: { features: 4 } },
    ],
  }),
);

/** Outcomes without their times. Nothing may be left on the device, whatever became of the students. */
async function judge(
  candidates: readonly Candidate[],
  changed: Partial<CandidateSettings> = {},
): Promise<Omit<CandidateOutcome, 'seconds' | 'steps' | 'rungs'>[]> {
  const before = gpu.statistics.bytesAllocated;
  const trainer = await CandidateTrainer.create(gpu, images, indices, { ...settings, ...changed });
  const outcomes = await trainer.judge(candidates);
  await trainer.destroy();
  expect(gpu.statistics.bytesAllocated, 'bytes kept').toBe(before);
  return outcomes.map(({ hash, accuracy, loss, failure }) => ({ hash, accuracy, loss, ...(failure === undefined ? {} : { failure }) }));
}

const noOutcome = ({ hash }: Candidate, failure: RegExp): unknown => ({
  hash,
  accuracy: 0,
  loss: NaN,
  failure: expect.stringMatching(failure),
});

/** Lets allocations fail that would bring the device's memory above `bytes`. */
function limitMemory(bytes: number): void {
  const allocate = gpu.allocate.bind(gpu);
  vi.spyOn(gpu, 'allocate').mockImplementation(async (size, label) => {
    if (gpu.statistics.bytesAllocated + size > bytes) throw new DeviceMemoryError(`buffer "${label}": out of memory`);
    return allocate(size, label);
  });
}

/** The most memory that the device held while `work` ran. */
async function peakOf(work: () => Promise<unknown>): Promise<number> {
  const allocate = gpu.allocate.bind(gpu);
  let peak = 0;
  const spy = vi.spyOn(gpu, 'allocate').mockImplementation(async (size, label) => {
    const slice = await allocate(size, label);
    peak = Math.max(peak, gpu.statistics.bytesAllocated);
    return slice;
  });
  await work();
  spy.mockRestore();
  return peak;
}

afterEach(() => void vi.restoreAllMocks());

describe('a student that cannot be trained', () => {
  it('has no outcome when the plan refuses it; the others have the one they get alone', async () => {
    const alone = await judge([small], { cohort: 1 });
    const [first, second, third] = await judge([small, refused, half]);
    expect(first).toEqual(alone[0]);
    expect(first!.loss).toBeGreaterThan(0);
    expect(second).toEqual(noOutcome(refused, /"norm".*flattened/));
    expect(third!.failure).toBeUndefined();
  });

  it('has no outcome when a tensor is over the binding limit', async () => {
    const alone = await judge([half], { cohort: 1 });
    const { limits } = gpu;
    const binding = 32 * 144 * 64 * 4 - 4;
    const lower = new Proxy(limits, {
      get: (_, name) => (name === 'maxStorageBufferBindingSize' ? binding : limits[name as keyof GPUSupportedLimits]),
    });
    vi.spyOn(gpu, 'limits', 'get').mockReturnValue(lower);
    expect(await judge([wide(64), half])).toEqual([noOutcome(wide(64), /binds at most/), alone[0]]);
    expect((await judge([wide(60)]))[0]!.failure).toBeUndefined();
  });

  it('is trained alone when the memory does not hold the cohort', async () => {
    const unlimited = await judge([wide(60), wide(64)]);
    const peak = await peakOf(() => judge([wide(64)]));
    expect(peak).toBeLessThan(await peakOf(() => judge([wide(60), wide(64)])));
    limitMemory(peak);
    expect(await judge([wide(60), wide(64)])).toEqual(unlimited);
  });

  it('has no outcome when the memory does not hold it alone', async () => {
    const peak = await peakOf(() => judge([wide(64)]));
    limitMemory(peak - 1);
    const [first, second] = await judge([wide(64), half]);
    expect(first).toEqual(noOutcome(wide(64), /out of memory/));
    expect(second!.failure).toBeUndefined();
  });

  it('has accuracy 0 and no loss when it diverges', async () => {
    expect(await judge([small], { optimiser: { ...defaultSgd, learningRate: 1e30 } })).toEqual([noOutcome(small, /diverged in epoch 1/)]);
  });

  it('has accuracy 0 and no loss when only its validation shows that it diverged', async () => {
    // One step: its loss is that of the initial weights.
    const oneStep = { epochs: 1, batch: 64, optimiser: { ...defaultSgd, learningRate: 1e30 } };
    expect(await judge([small], oneStep)).toEqual([noOutcome(small, /validation loss is (NaN|Infinity)/)]);
  });
});

describe('a device that fails is no outcome', () => {
  it.each([new DeviceLostError('gone'), new DeviceUseError('misused')])('$name', async (failure) => {
    const trainer = await CandidateTrainer.create(gpu, images, indices, settings);
    vi.spyOn(gpu, 'allocate').mockRejectedValue(failure);
    await expect(trainer.judge([small, half])).rejects.toBe(failure);
    vi.restoreAllMocks();
    await trainer.destroy();
  });

  it('DeviceMemoryError outside of an allocation', async () => {
    const other: Gpu = await openDevice();
    const trainer = await CandidateTrainer.create(other, await DeviceImages.create(other, split, geometry), indices, settings);
    const failure = new DeviceMemoryError('out of memory in a submit');
    other.poison(failure);
    await expect(trainer.judge([small])).rejects.toBe(failure);
    other.close();
  });
});

describe('a cohort whose size follows from the memory', () => {
  it('holds as many at a time as fit', async () => {
    const candidates = [wide(4), wide(8), wide(64), wide(12)];
    const bytes = candidates.map(({ spec }) => trainingBytes(spec, settings.batch, settings, gpu));
    const changed = { ...settings, cohort: 'auto' as const, memoryBytes: bytes[0]! + bytes[1]! };
    const trainer = await CandidateTrainer.create(gpu, images, indices, changed);
    const sizes = new Map<number, number>();
    const outcomes = await trainer.judge(candidates, { onProgress: (first, count) => sizes.set(first, count) });
    await trainer.destroy();
    expect(outcomes.map(({ hash }) => hash)).toEqual(candidates.map(({ hash }) => hash));
    expect([...sizes]).toEqual([
      [0, 2],
      [2, 1],
      [3, 1],
    ]);
  });

  it('is told in the bytes that the plan allocates', async () => {
    const { spec } = wide(64);
    const before = gpu.statistics.bytesAllocated;
    const feed = await Feed.create(gpu, images, { batch: settings.batch, steps: 2, preprocessing: settings.preprocessing });
    const withFeed = gpu.statistics.bytesAllocated;
    const parameters = await Parameters.create(gpu, spec, initialWeights(spec, 1));
    const plan = await TrainingPlan.create(gpu, parameters, feed, { ...settings, seed: 1, steps: 2 });
    expect(plan.memory.scratchBytes).toBeGreaterThan(0);
    // Beside those a plan has totals, learning rates and uniforms.
    const others = 8192;
    const taken = gpu.statistics.bytesAllocated - withFeed;
    const told = trainingBytes(spec, settings.batch, settings, gpu);
    expect(taken).toBeGreaterThanOrEqual(told);
    expect(taken).toBeLessThan(told + others);
    await plan.destroy();
    await parameters.destroy();
    await feed.destroy();
    expect(gpu.statistics.bytesAllocated).toBe(before);
  });
});

describe('successive halving', () => {
  const cohort = [small, half, wide(8), wide(4)];

  it('stops all but the best at each rung; whoever goes on gets the bits of an uninterrupted training', async () => {
    const options = { ...settings, cohort: 4, halving: 2 };
    const trainer = await CandidateTrainer.create(gpu, images, indices, options);
    // The later in the list the better: the first two stop at the first rung, the third at the second.
    const outcomes = await trainer.judge(cohort, { score: ({ hash }) => cohort.findIndex((other) => other.hash === hash) });
    await trainer.destroy();
    expect(outcomes.map(({ steps }) => steps)).toEqual([1, 1, 2, 4]);
    expect(outcomes.map(({ rungs }) => rungs.map(({ steps }) => steps))).toEqual([[1], [1], [1, 2], [1, 2]]);
    for (const { accuracy, rungs } of outcomes.slice(0, 3)) expect(accuracy).toBe(rungs.at(-1)!.accuracy);
    const [alone] = await judge([cohort[3]!], { cohort: 1 });
    expect(outcomes[3]).toMatchObject(alone!);
  });

  it('measures on a part of the validation images at a rung, on all of them at the end', async () => {
    const trainer = await CandidateTrainer.create(gpu, images, indices, { ...settings, cohort: 'auto', halving: 4, rungImages: 5 });
    const before = gpu.statistics.bytesAllocated;
    const outcomes = await trainer.judge(cohort, { score: ({ hash }) => (hash === half.hash ? 1 : 0) });
    expect(gpu.statistics.bytesAllocated).toBe(before);
    await trainer.destroy();
    for (const { rungs } of outcomes) expect(rungs.map(({ accuracy }) => accuracy * 5)).toEqual([expect.toSatisfy(Number.isInteger)]);
    const [alone] = await judge([half], { cohort: 1 });
    expect(outcomes[1]).toMatchObject(alone!);
  });

  it('comes to the same outcomes where the memory does not hold the cohort', async () => {
    const trainer = await CandidateTrainer.create(gpu, images, indices, { ...settings, cohort: 4, halving: 2, epochs: 3 });
    const done: number[] = [];
    const outcomes = async (): Promise<unknown[]> => {
      const judged = await trainer.judge(cohort, {
        score: ({ hash }) => [3, 1, 4, 2][cohort.findIndex((other) => other.hash === hash)]!,
        onProgress: (first, count, { samples, totalSamples }) => done.push(first + (count * samples) / totalSamples),
      });
      return judged.map((outcome) => ({ ...outcome, seconds: 0 }));
    };
    const together = await outcomes();
    expect(together.map((outcome) => (outcome as CandidateOutcome).steps)).toEqual([3, 2, 6, 2]);
    limitMemory((await peakOf(outcomes)) - 1);
    done.length = 0;
    expect(await outcomes()).toEqual(together);
    expect(vi.mocked(gpu.allocate).mock.settledResults.filter(({ type }) => type === 'rejected')).toHaveLength(1);
    // The progress goes back once: where the memory ran out, at the first rung.
    expect(done.filter((value, i) => i > 0 && value < done[i - 1]!)).toHaveLength(1);
    expect(done.at(-1)).toBe(4);
    await trainer.destroy();
  });

  it('compares the others where the plan refuses one', async () => {
    const trainer = await CandidateTrainer.create(gpu, images, indices, { ...settings, cohort: 4, halving: 2 });
    const outcomes = await trainer.judge([half, refused, wide(8), wide(4)], { score: ({ hash }) => (hash === half.hash ? 1 : 0) });
    await trainer.destroy();
    expect(outcomes[1]).toMatchObject({ ...(noOutcome(refused, /flattened/) as object), steps: 0, rungs: [] });
    expect(outcomes.map(({ rungs }) => rungs.map(({ steps }) => steps))).toEqual([[1, 2], [], [1, 2], [1]]);
    expect(outcomes.map(({ steps }) => steps)).toEqual([4, 0, 2, 1]);
  });

  it("measures a rung by its images' own statistics, which leaves the running ones alone", async () => {
    const options = { ...settings, cohort: 'auto' as const, halving: 4, rungImages: 31 };
    // The weights stay where they start.
    const still = { ...options, optimiser: { ...defaultSgd, learningRate: 1e-9, weightDecay: 0 } };
    const trainer = await CandidateTrainer.create(gpu, images, indices, still);
    const [{ rungs }] = (await trainer.judge([small, half])) as [CandidateOutcome];
    await trainer.destroy();
    const parameters = await Parameters.create(gpu, small.spec, initialWeights(small.spec, `${settings.seed}/${small.hash}`));
    const part = Uint32Array.from({ length: 31 }, (_, i) => indices.validation[Math.floor((i * 32) / 31)]!);
    const feed = await evaluationFeed(gpu, images, settings.preprocessing, 31, 31);
    const before = await parameters.read();
    const own = await evaluate(gpu, parameters, feed, part, { batchStatistics: true });
    expect(await parameters.read()).toEqual(before);
    expect(rungs[0]!.accuracy).toBe(own.accuracy);
    expect((await evaluate(gpu, parameters, feed, part)).loss).not.toBeCloseTo(own.loss, 3);
    await expect(evaluate(gpu, parameters, feed, part.subarray(1), { batchStatistics: true })).rejects.toThrow(
      /batches of 31 leave a rest/,
    );
    await feed.destroy();
    await parameters.destroy();
  });

  it('compares accuracies unless told otherwise', async () => {
    const trainer = await CandidateTrainer.create(gpu, images, indices, { ...settings, cohort: 4, halving: 4, epochs: 6 });
    const outcomes = await trainer.judge(cohort);
    await trainer.destroy();
    const [winner] = outcomes.filter(({ steps }) => steps === 12);
    expect(outcomes.map(({ steps }) => steps).toSorted((a, b) => a - b)).toEqual([3, 3, 3, 12]);
    expect(winner!.rungs[0]!.accuracy).toBe(Math.max(...outcomes.map(({ rungs }) => rungs[0]!.accuracy)));
  });
});
