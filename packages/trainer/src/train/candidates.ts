// Judges students: trains each for a few epochs on the teacher's logits and measures it on the validation split. What a
// candidate gets depends on its spec and the settings alone, never on the order or on who else is being trained.
import { performance } from 'node:perf_hooks';
import { DeviceMemoryError, type Gpu } from '@n2n/kernels';
import type { Preprocessing } from '../files/index.js';
import { SpecError, type NetworkSpec } from '../network/index.js';
import { Parameters } from '../plan/parameters.js';
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
  /** Students trained side by side. */
  readonly cohort: number;
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
  /** Why there is no finite loss. */
  readonly failure?: string;
}

export interface JudgeOptions {
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

  /** `teacher` may be left out when the objective has no teacher. */
  static async create(
    gpu: Gpu,
    images: DeviceImages,
    indices: { readonly train: Uint32Array; readonly validation: Uint32Array },
    settings: CandidateSettings,
    teacher?: TeacherTable,
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
    for (let first = 0; first < candidates.length; first += this.settings.cohort) {
      const cohort = candidates.slice(first, first + this.settings.cohort);
      outcomes.push(...(await this.#judgeCohort(cohort, first, options)));
    }
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
      if (cohort.length === 1) return [failed(only!.hash, error.message, performance.now() - started)];
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
      for (const { spec, hash } of cohort) {
        const initial = initialWeights(spec, `${settings.seed}/${hash}`);
        networks.push(await Parameters.create(gpu, spec, settings.inheritance?.weightsFor(spec, initial) ?? initial));
      }
      const results = await trainSideBySide(gpu, networks, this.feed, {
        objective: settings.objective,
        optimiser: settings.optimiser,
        schedule: settings.schedule,
        epochs: settings.epochs,
        indices: this.trainIndices,
        seed: settings.seed,
        views: settings.views,
        ...(options.signal === undefined ? {} : { signal: options.signal }),
        onProgress: (progress) => options.onProgress?.(first, cohort.length, progress),
      });
      const outcomes: CandidateOutcome[] = [];
      for (const [i, { spec, hash }] of cohort.entries()) {
        const result = results[i]!;
        const validation = result instanceof DivergedError ? result : await this.#validate(spec, networks[i]!);
        const elapsedMs = (performance.now() - started) / cohort.length;
        outcomes.push(outcomeOf(hash, validation, elapsedMs));
      }
      return outcomes;
    } finally {
      for (const network of networks) await network.destroy();
    }
  }

  async #validate(spec: NetworkSpec, network: Parameters): Promise<Evaluation> {
    const batch = Math.min(evaluationBatch(spec), this.validationIndices.length);
    const feed = await evaluationFeed(this.gpu, this.images, this.settings.preprocessing, batch, this.validationIndices.length);
    try {
      return await evaluate(this.gpu, network, feed, this.validationIndices);
    } finally {
      await feed.destroy();
    }
  }

  async destroy(): Promise<void> {
    await this.feed.destroy();
  }
}

/**
 * A student that cannot be trained here: the plan refuses its spec, or a tensor is over the adapter's limits or the memory
 * left. Only the first two follow from the spec alone; all are told the same way, by judging the student alone.
 */
const isMisfit = (error: unknown): error is SpecError | DeviceMemoryError =>
  error instanceof SpecError || error instanceof DeviceMemoryError;

function outcomeOf(hash: string, validation: Evaluation | DivergedError, elapsedMs: number): CandidateOutcome {
  if (validation instanceof DivergedError) return failed(hash, validation.message, elapsedMs);
  const { accuracy, loss } = validation;
  // Logits that are no numbers have an accuracy all the same: that of always answering with the first class.
  if (!Number.isFinite(loss)) return failed(hash, `the validation loss is ${loss}`, elapsedMs);
  return { hash, accuracy, loss, seconds: elapsedMs / 1000 };
}

const failed = (hash: string, failure: string, elapsedMs: number): CandidateOutcome => ({
  hash,
  accuracy: 0,
  loss: NaN,
  seconds: elapsedMs / 1000,
  failure,
});
