// Judges students: trains each for a few epochs on the teacher's logits and measures it on the validation split. What a
// candidate gets depends on its spec and the settings alone, never on the order or on who else is being trained.
import { performance } from 'node:perf_hooks';
import { DeviceMemoryError, type Gpu, type Precision } from '@n2n/kernels';
import type { Preprocessing } from '../files/index.js';
import { SpecError, type NetworkSpec } from '../network/index.js';
import { Parameters, type Weights } from '../plan/parameters.js';
import { cohortsOf, rungSteps } from './cohorts.js';
import { evaluate, evaluationBatch, evaluationFeed, type Evaluation } from './evaluate.js';
import { Feed, type Augmentation, type TeacherTable } from './feed.js';
import type { DeviceImages } from './images.js';
import type { Inheritance } from './inherit.js';
import { initialWeights } from './initial.js';
import type { Objective } from './objective.js';
import type { Optimiser, Schedule } from './schedule.js';
import { DivergedError, stepsPerEpoch, trainSideBySide, type TrainingProgress } from './train.js';

export interface CandidateSettings {
  readonly objective: Objective;
  readonly optimiser: Optimiser;
  readonly schedule: Schedule;
  readonly epochs: number;
  readonly batch: number;
  readonly views: number;
  readonly seed: number | string;
  /** Of the training; students are measured in f32. f32 unless told. */
  readonly precision?: Precision | undefined;
  /** Students trained side by side, or `auto`: as many as are given at once and fit into `memoryBytes`. */
  readonly cohort: number | 'auto';
  /** Students of an `auto` cohort at most; 64, which is also the default, is the limit. */
  readonly sideBySide?: number;
  /** What the students of an `auto` cohort may take of the device's memory, all together (see `trainingBytes`); no limit by default. */
  readonly memoryBytes?: number;
  /**
   * Successive halving (Jamieson and Talwalkar, arXiv 1502.07943) inside a cohort: at each rung all but the best 1 / halving of the
   * students in training stop, and keep the accuracy that they have there. The last rung leaves one and is at 1 / halving of the
   * steps, the one before at 1 / halving^2, ..., none before EARLIEST_RUNG (cohorts.ts). 1 or nothing trains every student to the end.
   */
  readonly halving?: number;
  /** Validation images that a rung measures on, at most; all by default. The end of the training measures on all. */
  readonly rungImages?: number;
  readonly preprocessing: Preprocessing;
  readonly augmentation?: Augmentation;
  /** Where students start; without it from random weights. */
  readonly inheritance?: Inheritance;
}

export interface Candidate {
  readonly spec: NetworkSpec;
  readonly hash: string;
}

export interface CandidateOutcome {
  readonly hash: string;
  /** Fraction of the validation split; 0 when the loss is not finite. */
  readonly accuracy: number;
  /** Mean validation cross-entropy; NaN when it is not finite and when the student could not be trained. */
  readonly loss: number;
  readonly seconds: number;
  /** Steps trained, and the accuracy at each rung passed on the way. */
  readonly steps: number;
  readonly rungs: readonly Rung[];
  /** In mixed precision: steps that changed nothing, as their gradients overflowed. */
  readonly skippedSteps?: number;
  /** Asked for by `keepWeights`, of a student trained to the end. */
  readonly weights?: Map<string, Float32Array>;
  /** Why there is no finite loss. */
  readonly failure?: string;
}

export interface Rung {
  readonly steps: number;
  /** Fraction of the validation split. */
  readonly accuracy: number;
}

interface Passed {
  readonly steps: number;
  readonly evaluation: Evaluation;
}

export interface JudgeOptions {
  /** Outcomes carry the trained weights. */
  readonly keepWeights?: boolean;
  /** What a rung compares, larger is better; the accuracy unless told. */
  readonly score?: (candidate: Candidate, accuracy: number) => number;
  readonly signal?: AbortSignal;
  /** Progress within the cohort that starts at candidate `first`. */
  readonly onProgress?: (first: number, count: number, progress: TrainingProgress) => void;
}

export class CandidateTrainer {
  private constructor(
    private readonly gpu: Gpu,
    private readonly images: DeviceImages,
    private readonly feed: Feed,
    private readonly trainIndices: Uint32Array,
    private readonly validationIndices: Uint32Array,
    private readonly settings: CandidateSettings,
  ) {}

  /** `teacher`, its logits or itself, may be left out when the objective has no teacher. */
  static async create(
    gpu: Gpu,
    images: DeviceImages,
    indices: { readonly train: Uint32Array; readonly validation: Uint32Array },
    settings: CandidateSettings,
    teacher?: TeacherTable | Parameters,
  ): Promise<CandidateTrainer> {
    const feed = await Feed.create(gpu, images, {
      batch: settings.batch,
      steps: Math.max(1, stepsPerEpoch(indices.train.length, settings.batch)),
      preprocessing: settings.preprocessing,
      ...(settings.augmentation === undefined ? {} : { augmentation: settings.augmentation }),
      ...(teacher === undefined ? {} : { teacher }),
    });
    return new CandidateTrainer(gpu, images, feed, indices.train, indices.validation, settings);
  }

  /**
   * Outcomes in the candidates' order. A student that diverges, that the plan refuses or that does not fit on the device has
   * accuracy 0, loss NaN and a `failure`; the others go on. A lost or misused device is no student's fault and is thrown.
   */
  async judge(candidates: readonly Candidate[], options: JudgeOptions = {}): Promise<CandidateOutcome[]> {
    const outcomes: CandidateOutcome[] = [];
    for (const cohort of cohortsOf(candidates, this.settings, this.gpu.alignment))
      outcomes.push(...(await this.#judgeCohort(cohort, outcomes.length, options)));
    return outcomes;
  }

  /** Where the cohort as a whole does not fit, each of its members is judged alone: only one that does not fit by itself fails. */
  async #judgeCohort(cohort: readonly Candidate[], first: number, options: JudgeOptions): Promise<CandidateOutcome[]> {
    const started = performance.now();
    try {
      return await this.#trainCohort(cohort, first, options);
    } catch (error) {
      if (!isMisfit(error)) throw error;
      this.gpu.check(); // memory that ran out outside of an allocation has voided the device
      const [only] = cohort;
      if (cohort.length === 1) return [{ ...failed(only!.hash, error.message, performance.now() - started), steps: 0, rungs: [] }];
    }
    const outcomes: CandidateOutcome[] = [];
    for (const [i, candidate] of cohort.entries()) outcomes.push(...(await this.#judgeCohort([candidate], first + i, options)));
    return outcomes;
  }

  async #trainCohort(cohort: readonly Candidate[], first: number, options: JudgeOptions): Promise<CandidateOutcome[]> {
    const { gpu, settings } = this;
    const started = performance.now();
    const networks: Parameters[] = [];
    try {
      for (const candidate of cohort) networks.push(await Parameters.create(gpu, candidate.spec, startingWeights(candidate, settings)));
      const passed: Passed[][] = cohort.map(() => []);
      const results = await trainSideBySide(gpu, networks, this.feed, {
        objective: settings.objective,
        optimiser: settings.optimiser,
        schedule: settings.schedule,
        epochs: settings.epochs,
        indices: this.trainIndices,
        seed: settings.seed,
        views: settings.views,
        precision: settings.precision ?? 'f32',
        rungs: rungSteps(cohort.length, settings.halving ?? 1, settings.epochs * this.feed.steps),
        onRung: (steps, training) => this.#rung(cohort, networks, passed, { steps, training }, options),
        ...(options.signal === undefined ? {} : { signal: options.signal }),
        onProgress: (progress) => options.onProgress?.(first, cohort.length, progress),
      });
      const outcomes: CandidateOutcome[] = [];
      for (const [i, { spec, hash }] of cohort.entries()) {
        const result = results[i]!;
        const steps = result instanceof DivergedError ? 0 : result.steps;
        const last = passed[i]!.at(-1);
        // A student that a rung stopped was measured there.
        const measured = last?.steps === steps ? last.evaluation : undefined;
        const validation = result instanceof DivergedError ? result : (measured ?? (await this.#validate(spec, networks[i]!)));
        const elapsedMs = (performance.now() - started) / cohort.length;
        const rungs = passed[i]!.map((rung) => ({ steps: rung.steps, accuracy: rung.evaluation.accuracy }));
        const kept = options.keepWeights === true && steps === settings.epochs * this.feed.steps;
        const weights = kept ? { weights: await networks[i]!.read() } : {};
        const skippedSteps = result instanceof DivergedError ? undefined : result.lossScale?.skippedSteps;
        outcomes.push({
          ...outcomeOf(hash, validation, elapsedMs),
          steps,
          rungs,
          ...(skippedSteps === undefined ? {} : { skippedSteps }),
          ...weights,
        });
      }
      return outcomes;
    } finally {
      for (const network of networks) await network.destroy();
    }
  }

  /** Measures the students in training and returns the best 1 / halving of them. */
  async #rung(
    cohort: readonly Candidate[],
    networks: readonly Parameters[],
    passed: readonly Passed[][],
    { steps, training }: { readonly steps: number; readonly training: readonly number[] },
    { score }: JudgeOptions,
  ): Promise<readonly number[]> {
    const scores = new Map<number, number>();
    for (const i of training) {
      const candidate = cohort[i]!;
      const evaluation = await this.#measureAtRung(candidate.spec, networks[i]!);
      passed[i]!.push({ steps, evaluation });
      scores.set(i, score?.(candidate, evaluation.accuracy) ?? evaluation.accuracy);
    }
    const ranked = training.toSorted((a, b) => scores.get(b)! - scores.get(a)! || a - b);
    return ranked.slice(0, Math.ceil(training.length / (this.settings.halving ?? 1)));
  }

  async #validate(spec: NetworkSpec, network: Parameters): Promise<Evaluation> {
    const indices = this.validationIndices;
    return this.#evaluate(network, indices, Math.min(evaluationBatch(spec), indices.length), false);
  }

  /**
   * On a part of the validation images, in whole batches and by their own statistics: those that the first steps left running are
   * of weights that have moved far since.
   */
  async #measureAtRung(spec: NetworkSpec, network: Parameters): Promise<Evaluation> {
    const count = Math.min(this.settings.rungImages ?? Infinity, this.validationIndices.length);
    const batches = Math.ceil(count / evaluationBatch(spec));
    const batch = Math.floor(count / batches);
    return this.#evaluate(network, spreadOver(this.validationIndices, batches * batch), batch, true);
  }

  async #evaluate(network: Parameters, indices: Uint32Array, batch: number, batchStatistics: boolean): Promise<Evaluation> {
    const feed = await evaluationFeed(this.gpu, this.images, this.settings.preprocessing, batch, indices.length);
    try {
      return await evaluate(this.gpu, network, feed, indices, { batchStatistics });
    } finally {
      await feed.destroy();
    }
  }

  async destroy(): Promise<void> {
    await this.feed.destroy();
  }
}

/** What a candidate's training starts from. */
export function startingWeights({ spec, hash }: Candidate, settings: Pick<CandidateSettings, 'seed' | 'inheritance'>): Weights {
  const initial = initialWeights(spec, `${settings.seed}/${hash}`);
  return settings.inheritance?.weightsFor(spec, initial) ?? initial;
}

/** `count` of `indices`, evenly spread: of images sorted by class as many of each. */
function spreadOver(indices: Uint32Array, count: number): Uint32Array {
  return Uint32Array.from({ length: count }, (_, i) => indices[Math.floor((i * indices.length) / count)]!);
}

/**
 * A student that cannot be trained here: the plan refuses its spec, or a tensor is over the adapter's limits or the memory
 * left. Only the first two follow from the spec alone; all are told the same way, by judging the student alone.
 */
const isMisfit = (error: unknown): error is SpecError | DeviceMemoryError =>
  error instanceof SpecError || error instanceof DeviceMemoryError;

type Measured = Omit<CandidateOutcome, 'steps' | 'rungs'>;

function outcomeOf(hash: string, validation: Evaluation | DivergedError, elapsedMs: number): Measured {
  if (validation instanceof DivergedError) return failed(hash, validation.message, elapsedMs);
  const { accuracy, loss } = validation;
  // Logits that are no numbers have an accuracy all the same: that of always answering with the first class.
  if (!Number.isFinite(loss)) return failed(hash, `the validation loss is ${loss}`, elapsedMs);
  return { hash, accuracy, loss, seconds: elapsedMs / 1000 };
}

const failed = (hash: string, failure: string, elapsedMs: number): Measured => ({
  hash,
  accuracy: 0,
  loss: NaN,
  seconds: elapsedMs / 1000,
  failure,
});
