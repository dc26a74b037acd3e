// The training loop: epochs over a fixed set of images, one step after another on the device, one read-back an epoch.
import { performance } from 'node:perf_hooks';
import { encodeInterleaved, PLAIN_VIEW, type Gpu } from '@n2n/kernels';
import type { Parameters } from '../plan/parameters.js';
import { TrainingPlan, type PlanMemory } from '../plan/plan.js';
import { keyedRandom } from '../random.js';
import type { Feed } from './feed.js';
import type { Objective } from './objective.js';
import { runSteps } from './run.js';
import { scheduleRows, type Optimiser, type Schedule } from './schedule.js';

export interface TrainingOptions {
  readonly objective: Objective;
  readonly optimiser: Optimiser;
  readonly schedule: Schedule;
  readonly epochs: number;
  /** Images to train on, as indices into the feed's images. A last incomplete batch of an epoch is left out. */
  readonly indices: Uint32Array;
  /** Keys the order of the images and dropout's masks. */
  readonly seed: number | string;
  /** Augmented views to draw from: 0 for none, Infinity for a new one each epoch (then there are no cached teacher logits). */
  readonly views: number;
  readonly signal?: AbortSignal;
  readonly onProgress?: (progress: TrainingProgress) => void;
}

export interface TrainingProgress {
  readonly epoch: number;
  readonly epochs: number;
  /** Samples trained so far, over all epochs, and their total. */
  readonly samples: number;
  readonly totalSamples: number;
  readonly samplesPerSecond: number;
  /** Set at the end of an epoch. */
  readonly loss?: number;
  readonly accuracy?: number;
}

export interface EpochRecord {
  /** Mean objective over the epoch's batches, while the weights moved. */
  readonly loss: number;
  /** Fraction of the epoch's samples classified rightly, likewise. */
  readonly accuracy: number;
}

export interface TrainingResult {
  readonly epochs: readonly EpochRecord[];
  readonly memory: PlanMemory;
}

/** Steps of one epoch over `count` images. */
export const stepsPerEpoch = (count: number, batch: number): number => Math.floor(count / batch);

/** The training loss stopped being a number: the learning rate is too high for this network. */
export class DivergedError extends Error {
  override readonly name = 'DivergedError';
}

/** Trains `parameters` in place. */
export async function train(gpu: Gpu, parameters: Parameters, feed: Feed, options: TrainingOptions): Promise<TrainingResult> {
  const [result] = await trainSideBySide(gpu, [parameters], feed, options);
  if (result instanceof Error) throw result;
  return result!;
}

/**
 * Trains several networks on the same batches, their dispatches interleaved. Each has memory of its own, so each gets the
 * bits it would get alone. A network that diverges yields its error in place of a result; the others go on.
 */
export async function trainSideBySide(
  gpu: Gpu,
  networks: readonly Parameters[],
  feed: Feed,
  options: TrainingOptions,
): Promise<(TrainingResult | DivergedError)[]> {
  const steps = stepsPerEpoch(options.indices.length, feed.batch);
  if (steps === 0) throw new RangeError(`${options.indices.length} images are less than one batch of ${feed.batch}`);
  const dropoutSeed = keyedRandom(options.seed, 'dropout').next();
  const planOptions = { objective: options.objective, optimiser: options.optimiser, seed: dropoutSeed, steps };
  const plans: TrainingPlan[] = [];
  try {
    for (const parameters of networks) plans.push(await TrainingPlan.create(gpu, parameters, feed, planOptions));
    const records: (EpochRecord[] | DivergedError)[] = networks.map(() => []);
    const totalSamples = options.epochs * steps * feed.batch;
    const started = performance.now();
    for (let epoch = 0; epoch < options.epochs; epoch++) {
      feed.setOrder(epochOrder(options, epoch, steps * feed.batch), epoch * steps);
      const table = scheduleRows(options.optimiser, options.schedule, epoch * steps, steps, options.epochs * steps);
      for (const plan of plans) {
        gpu.write(plan.schedule, table);
        gpu.write(plan.totals, new Float32Array(4));
      }
      const report = (done: number, last?: EpochRecord): void => {
        const samples = (epoch * steps + done) * feed.batch;
        const samplesPerSecond = (samples * networks.length) / ((performance.now() - started) / 1000);
        options.onProgress?.({ epoch, epochs: options.epochs, samples, totalSamples, samplesPerSecond, ...last });
      };
      const recordings = plans.map((plan) => plan.recording);
      await runSteps(gpu, feed, (pass) => encodeInterleaved(gpu, pass, recordings), steps, {
        onSteps: (done) => report(done),
        ...(options.signal === undefined ? {} : { signal: options.signal }),
      });
      for (const [i, plan] of plans.entries()) {
        const record = records[i]!;
        if (!(record instanceof Error)) records[i] = await closeEpoch(gpu, plan, record, networks[i]!, epoch);
      }
      const first = records[0]!;
      report(steps, first instanceof Error ? undefined : first.at(-1));
      if (records.every((record) => record instanceof Error)) break;
    }
    return records.map((record, i) => (record instanceof Error ? record : { epochs: record, memory: plans[i]!.memory }));
  } finally {
    for (const plan of plans) await plan.destroy();
  }
}

async function closeEpoch(
  gpu: Gpu,
  plan: TrainingPlan,
  records: EpochRecord[],
  network: Parameters,
  epoch: number,
): Promise<EpochRecord[] | DivergedError> {
  const [lossSum, correct, samples] = (await gpu.read(plan.totals)) as unknown as [number, number, number];
  const loss = lossSum / samples;
  if (!Number.isFinite(loss)) {
    return new DivergedError(
      `training of "${network.spec.name}" diverged in epoch ${epoch + 1}: the loss is ${loss}. Use a lower learning rate.`,
    );
  }
  return [...records, { loss, accuracy: correct / samples }];
}

/** Pairs (image, view) of an epoch, shuffled by a key of its own. */
function epochOrder({ indices, seed, views }: TrainingOptions, epoch: number, samples: number): Uint32Array {
  const shuffle = keyedRandom(seed, 'batch-order', epoch).permutation(indices.length);
  const viewDraw = keyedRandom(seed, 'view', epoch);
  const pairs = new Uint32Array(samples * 2);
  for (let i = 0; i < samples; i++) {
    pairs[i * 2] = indices[shuffle[i]!]!;
    pairs[i * 2 + 1] = views === 0 ? PLAIN_VIEW : views === Infinity ? epoch : viewDraw.int(views);
  }
  return pairs;
}
