// The training loop: epochs over a fixed set of images, one step after another on the device, one read-back an epoch.
import { performance } from 'node:perf_hooks';
import { encodeInterleaved, PLAIN_VIEW, type Gpu, type Precision } from '@n2n/kernels';
import type { Parameters } from '../plan/parameters.js';
import { TrainingPlan, type PlanMemory } from '../plan/plan.js';
import { keyedRandom } from '../random.js';
import type { Feed } from './feed.js';
import { defaultLossScaling, lossScaleRecord, type LossScaleRecord, type LossScaling } from './loss-scaling.js';
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
  /** f32 unless told; `mixed` where the adapter has shader-f16. */
  readonly precision?: Precision;
  /** In mixed precision, in place of the defaults. */
  readonly lossScaling?: Partial<LossScaling>;
  /** Steps of the whole training after which `onRung` says who goes on; rising, below the last step. */
  readonly rungs?: readonly number[];
  /** Given the steps done and the networks (by position) still in training, returns those that go on; with none the training ends. */
  readonly onRung?: (steps: number, training: readonly number[]) => Promise<readonly number[]>;
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
  /** Of the epochs trained to their end. */
  readonly epochs: readonly EpochRecord[];
  /** Steps trained: all of them unless a rung was the last. */
  readonly steps: number;
  readonly memory: PlanMemory;
  /** In mixed precision. */
  readonly lossScale?: LossScaleRecord;
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
  const { objective, optimiser, precision = 'f32' } = options;
  const lossScaling = precision === 'mixed' ? { ...defaultLossScaling, ...options.lossScaling } : undefined;
  const planOptions = { objective, optimiser, seed: dropoutSeed, steps, lossScaling };
  const runners: Runner[] = [];
  try {
    for (const parameters of networks) {
      const plan = await TrainingPlan.create(gpu, parameters, feed, planOptions);
      runners.push({ plan, parameters, epochs: [], steps: 0, training: true });
    }
    await new SideBySide(gpu, feed, options, steps, runners).run();
    return await Promise.all(runners.map(async (runner) => runner.error ?? resultOf(gpu, runner)));
  } finally {
    for (const { plan } of runners) await plan.destroy();
  }
}

/** One network in training. */
interface Runner {
  readonly plan: TrainingPlan;
  readonly parameters: Parameters;
  readonly epochs: EpochRecord[];
  steps: number;
  error?: DivergedError;
  /** False once a rung left it behind. */
  training: boolean;
}

async function resultOf(gpu: Gpu, { plan, epochs, steps }: Runner): Promise<TrainingResult> {
  const lossScale = await lossScaleOf(gpu, plan);
  return { epochs, steps, memory: plan.memory, ...(lossScale === undefined ? {} : { lossScale }) };
}

/** Undefined in f32. */
const lossScaleOf = async (gpu: Gpu, { scaling }: TrainingPlan): Promise<LossScaleRecord | undefined> =>
  scaling === undefined ? undefined : lossScaleRecord(await gpu.read(scaling));

class SideBySide {
  readonly #started = performance.now();
  #trainedSamples = 0;

  constructor(
    private readonly gpu: Gpu,
    private readonly feed: Feed,
    private readonly options: TrainingOptions,
    /** Of an epoch. */
    private readonly steps: number,
    private readonly runners: readonly Runner[],
  ) {}

  async run(): Promise<void> {
    const { epochs, rungs = [], onRung } = this.options;
    for (let epoch = 0; epoch < epochs; epoch++) {
      const order = epochOrder(this.options, epoch, this.steps * this.feed.batch);
      const first = epoch * this.steps;
      for (const { plan } of this.#active()) this.gpu.write(plan.totals, new Float32Array(4));
      const cuts = rungs.filter((rung) => rung > first && rung <= first + this.steps).map((rung) => rung - first);
      let from = 0;
      for (const to of new Set([...cuts, this.steps])) {
        await this.#segment(order, epoch, from, to);
        if (to === this.steps) await this.#closeEpoch(epoch);
        if (cuts.includes(to) && onRung !== undefined) await this.#rung(first + to, onRung);
        if (this.#active().every(({ error }) => error !== undefined)) return;
        from = to;
      }
    }
  }

  #active(): Runner[] {
    return this.runners.filter(({ training }) => training);
  }

  /** Steps `from` to `to` of an epoch. */
  async #segment(order: Uint32Array, epoch: number, from: number, to: number): Promise<void> {
    const { gpu, feed, options, steps } = this;
    const active = this.#active();
    const first = epoch * steps + from;
    feed.setOrder(order.subarray(from * feed.batch * 2), first);
    for (const { plan } of active) {
      const skipped = (await lossScaleOf(gpu, plan))?.skippedSteps;
      gpu.write(plan.schedule, scheduleRows(options.optimiser, options.schedule, first, steps - from, options.epochs * steps, skipped));
    }
    const recordings = active.map(({ plan }) => plan.recording);
    const before = this.#trainedSamples;
    await runSteps(gpu, feed, (pass) => encodeInterleaved(gpu, pass, recordings), to - from, {
      onSteps: (done) => {
        this.#trainedSamples = before + done * feed.batch * active.length;
        this.#report(epoch, from + done);
      },
      ...(options.signal === undefined ? {} : { signal: options.signal }),
    });
    for (const runner of active) runner.steps = epoch * steps + to;
  }

  async #closeEpoch(epoch: number): Promise<void> {
    for (const runner of this.#active()) {
      if (runner.error !== undefined) continue;
      const record = await closeEpoch(this.gpu, runner, epoch);
      if (record instanceof Error) runner.error = record;
      else runner.epochs.push(record);
    }
    this.#report(epoch, this.steps, this.runners[0]?.epochs[epoch]);
  }

  async #rung(steps: number, onRung: NonNullable<TrainingOptions['onRung']>): Promise<void> {
    const training = this.runners.flatMap((runner, i) => (runner.training && runner.error === undefined ? [i] : []));
    if (training.length === 0) return;
    const goOn = await onRung(steps, training);
    this.runners.forEach((runner, i) => (runner.training &&= goOn.includes(i)));
  }

  #report(epoch: number, done: number, last?: EpochRecord): void {
    const { epochs, onProgress } = this.options;
    const { batch } = this.feed;
    const samplesPerSecond = this.#trainedSamples / ((performance.now() - this.#started) / 1000);
    const samples = (epoch * this.steps + done) * batch;
    onProgress?.({ epoch, epochs, samples, totalSamples: epochs * this.steps * batch, samplesPerSecond, ...last });
  }
}

async function closeEpoch(gpu: Gpu, { plan, parameters }: Runner, epoch: number): Promise<EpochRecord | DivergedError> {
  const [lossSum, correct, samples] = (await gpu.read(plan.totals)) as unknown as [number, number, number];
  const loss = lossSum / samples;
  if (!Number.isFinite(loss)) {
    return new DivergedError(
      `training of "${parameters.spec.name}" diverged in epoch ${epoch + 1}: the loss is ${loss}. Use a lower learning rate.`,
    );
  }
  return { loss, accuracy: correct / samples };
}

/** Pairs (image, view) of the first `samples` of an epoch, shuffled by a key of its own. */
export function epochOrder(
  { indices, seed, views }: Pick<TrainingOptions, 'indices' | 'seed' | 'views'>,
  epoch: number,
  samples: number,
): Uint32Array {
  const shuffle = keyedRandom(seed, 'batch-order', epoch).permutation(indices.length);
  const viewDraw = keyedRandom(seed, 'view', epoch);
  const pairs = new Uint32Array(samples * 2);
  for (let i = 0; i < samples; i++) {
    pairs[i * 2] = indices[shuffle[i]!]!;
    pairs[i * 2 + 1] = views === 0 ? PLAIN_VIEW : views === Infinity ? epoch : viewDraw.int(views);
  }
  return pairs;
}
