// Judges students: trains each for a few epochs on the teacher's logits and measures it on the validation split. What a
// candidate gets depends on its spec and the settings alone, never on the order or on who else is being trained; with successive
// halving on its cohort too, but not on how much of that fits on the device at a time.
import { performance } from 'node:perf_hooks';
import { DeviceMemoryError, type Gpu, type Precision } from '@n2n/kernels';
import type { Preprocessing } from '../files/index.js';
import { SpecError, type NetworkSpec } from '../network/index.js';
import { Parameters, type Weights } from '../plan/parameters.js';
import { cohortsOf, goOn, rungSteps, type Halving } from './cohorts.js';
import { evaluate, evaluationBatch, evaluationFeed, type Evaluation } from './evaluate.js';
import { Feed, type Augmentation, type TeacherTable } from './feed.js';
import type { DeviceImages } from './images.js';
import type { Inheritance } from './inherit.js';
import { initialWeights } from './initial.js';
import type { Objective } from './objective.js';
import { judgeOneByOne } from './one-by-one.js';
import { failed, outcomeOf, type CandidateOutcome } from './outcome.js';
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
    for (const cohort of cohortsOf(candidates, this.settings, this.gpu))
      outcomes.push(...(await this.#judgeCohort(cohort, outcomes.length, options)));
    return outcomes;
  }

  /** Where the cohort as a whole does not fit, its members are trained one by one: only one that does not fit by itself fails. */
  async #judgeCohort(cohort: readonly Candidate[], first: number, options: JudgeOptions): Promise<CandidateOutcome[]> {
    const part = this.settings.halving ?? 1;
    const halving = { rungs: rungSteps(cohort.length, part, this.#totalSteps), part };
    const onProgress = (progress: TrainingProgress): void => options.onProgress?.(first, cohort.length, progress);
    if (cohort.length > 1) {
      try {
        return await this.#train(cohort, halving, options, onProgress);
      } catch (error) {
        this.#requireMisfit(error);
      }
    }
    return judgeOneByOne({
      members: cohort.length,
      halving,
      totalSteps: this.#totalSteps,
      score: (member, accuracy) => scoreOf(cohort[member]!, accuracy, options),
      train: (member, steps, report) => this.#trainAlone(cohort[member]!, steps, options, report),
      onProgress,
    });
  }

  /** To the end or, for fewer steps, to a rung there. */
  async #trainAlone(
    candidate: Candidate,
    steps: number,
    options: JudgeOptions,
    onProgress: (progress: TrainingProgress) => void,
  ): Promise<CandidateOutcome> {
    const started = performance.now();
    const rungs = steps === this.#totalSteps ? [] : [steps];
    try {
      const [outcome] = await this.#train([candidate], { rungs, part: Infinity }, options, onProgress);
      return outcome!;
    } catch (error) {
      const { message } = this.#requireMisfit(error);
      return { ...failed(candidate.hash, message, performance.now() - started), steps: 0, rungs: [] };
    }
  }

  get #totalSteps(): number {
    return this.settings.epochs * this.feed.steps;
  }

  /**
   * A student that cannot be trained here: the plan refuses its spec, or a tensor is over the adapter's limits or the memory
   * left. Only the first two follow from the spec alone; all are told the same way, by training the student alone. Throws any other error.
   */
  #requireMisfit(error: unknown): SpecError | DeviceMemoryError {
    if (!(error instanceof SpecError || error instanceof DeviceMemoryError)) throw error;
    this.gpu.check(); // memory that ran out outside of an allocation has voided the device
    return error;
  }

  async #train(
    cohort: readonly Candidate[],
    halving: Halving,
    options: JudgeOptions,
    onProgress: (progress: TrainingProgress) => void,
  ): Promise<CandidateOutcome[]> {
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
        rungs: halving.rungs,
        onRung: async (steps, training) => {
          for (const i of training) passed[i]!.push({ steps, evaluation: await this.#measureAtRung(cohort[i]!.spec, networks[i]!) });
          return goOn(training, (i) => scoreOf(cohort[i]!, passed[i]!.at(-1)!.evaluation.accuracy, options), halving);
        },
        ...(options.signal === undefined ? {} : { signal: options.signal }),
        onProgress,
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
        const kept = options.keepWeights === true && steps === this.#totalSteps;
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

const scoreOf = (candidate: Candidate, accuracy: number, { score }: JudgeOptions): number => score?.(candidate, accuracy) ?? accuracy;

/** What a candidate's training starts from. */
export function startingWeights({ spec, hash }: Candidate, settings: Pick<CandidateSettings, 'seed' | 'inheritance'>): Weights {
  const initial = initialWeights(spec, `${settings.seed}/${hash}`);
  return settings.inheritance?.weightsFor(spec, initial) ?? initial;
}

/** `count` of `indices`, evenly spread: of images sorted by class as many of each. */
function spreadOver(indices: Uint32Array, count: number): Uint32Array {
  return Uint32Array.from({ length: count }, (_, i) => indices[Math.floor((i * indices.length) / count)]!);
}
