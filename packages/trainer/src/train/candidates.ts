// Judges students: trains each for a few epochs on the teacher's logits and measures it on the validation split. What a
// candidate gets depends on its spec and the settings alone, never on the order or on who else is being trained.
import { performance } from 'node:perf_hooks';
import type { Gpu } from '@n2n/kernels';
import type { Preprocessing } from '../files/index.js';
import type { NetworkSpec } from '../network/index.js';
import { Parameters } from '../plan/parameters.js';
import { evaluate, evaluationBatch, evaluationFeed } from './evaluate.js';
import { Feed, type Augmentation, type TeacherTable } from './feed.js';
import type { DeviceImages } from './images.js';
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
}

export interface CandidateOutcome {
  readonly hash: string;
  readonly accuracy: number;
  readonly loss: number;
  readonly seconds: number;
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

  /** Outcomes in the candidates' order. A student whose training diverges has accuracy 0 and the largest finite loss, which JSON can hold. */
  async judge(candidates: readonly { readonly spec: NetworkSpec; readonly hash: string }[], options: JudgeOptions = {}): Promise<CandidateOutcome[]> {
    const outcomes: CandidateOutcome[] = [];
    for (let first = 0; first < candidates.length; first += this.settings.cohort) {
      const cohort = candidates.slice(first, first + this.settings.cohort);
      outcomes.push(...(await this.#judgeCohort(cohort, first, options)));
    }
    return outcomes;
  }

  async #judgeCohort(cohort: readonly { readonly spec: NetworkSpec; readonly hash: string }[], first: number, options: JudgeOptions): Promise<CandidateOutcome[]> {
    const { gpu, settings } = this;
    const started = performance.now();
    const networks: Parameters[] = [];
    try {
      for (const { spec, hash } of cohort) networks.push(await Parameters.create(gpu, spec, initialWeights(spec, `${settings.seed}/${hash}`)));
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
        const diverged = results[i] instanceof DivergedError;
        const { accuracy, loss } = diverged ? { accuracy: 0, loss: Number.MAX_VALUE } : await this.#validate(spec, networks[i]!);
        outcomes.push({ hash, accuracy, loss, seconds: (performance.now() - started) / 1000 / cohort.length });
      }
      return outcomes;
    } finally {
      for (const network of networks) await network.destroy();
    }
  }

  async #validate(spec: NetworkSpec, network: Parameters): Promise<{ accuracy: number; loss: number }> {
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
