// The agent's search, wired to the trainer: candidates in, outcomes out.
import {
  fileSnapshot,
  openJournal,
  parseConstraint,
  runSearch,
  unconstrainedReward,
  type Candidate,
  type Evaluate,
  type FinishedStudent,
  type Journal,
  type SearchCounts,
  type LatencyMeasures,
  type Outcome,
  type SearchOptions,
  type SearchResult,
} from '@n2n/agent';
import { compileOpSet, type Gpu } from '@n2n/kernels';
import {
  CandidateTrainer,
  Inheritance,
  needsTeacher,
  paperAdam,
  type CandidateOutcome,
  type CandidateSettings,
  type JudgeOptions,
  type TrainingProgress,
} from '@n2n/trainer';
import { parameterCount, type NetworkSpec } from '@n2n/trainer/network';
import type { Context } from '../context.js';
import { count, percent } from '../output/format.js';
import type { Progress } from '../output/progress.js';
import type { Configuration } from '../run/record.js';
import type { Run } from '../run/run.js';
import { latenciesAsked } from './limits.js';
import type { Material } from './material.js';
import { scheduleOf } from './optimiser.js';
import { policiesOf } from './transfer.js';

/** What the training of a candidate depends on besides the material. */
export type CandidateOptions = Pick<
  Configuration,
  | 'learningRate'
  | 'weightDecay'
  | 'schedule'
  | 'warmup'
  | 'epochs'
  | 'batch'
  | 'views'
  | 'seed'
  | 'precision'
  | 'cohort'
  | 'memory'
  | 'halving'
  | 'rungImages'
  | 'init'
> &
  Partial<Pick<Configuration, 'rollouts'>>;

export interface SearchOutcome extends SearchResult {
  /** The device's count of compiled pipelines before the first and after the last training of candidates; null when none was trained now. */
  readonly pipelinesAtFirst: number | null;
  readonly pipelinesAtLast: number | null;
}

/** Runs or continues the run's search. */
export async function searchStudents(context: Context, gpu: Gpu, run: Run, material: Material): Promise<SearchOutcome> {
  // So that no architecture of the search has anything left to compile.
  await compileOpSet(gpu, run.record.configuration.precision);
  const trainer = await openTrainer(gpu, material, candidateSettings(run.record.configuration, material));
  try {
    const journal = await openJournal(run.path('journal.jsonl'));
    try {
      return await searchWith(context, gpu, run, material, trainer, journal);
    } finally {
      await journal.close();
    }
  } finally {
    await trainer.destroy();
  }
}

/** The agent's options that a configuration stands for. Throws ConfigurationError for a constraint that is none. */
export function searchOptions(configuration: Configuration): Partial<SearchOptions> & Pick<SearchOptions, 'constraints'> {
  const { seed, stages, updates, rollouts, candidates, lenientUpdates, roundTo, prior, constraint } = configuration;
  const { baseline, entropyBonus, removalPolicy, shrinkagePolicy, shrinkageActions } = configuration;
  return {
    seed,
    stages,
    updates,
    rollouts,
    roundTo,
    candidates,
    lenientUpdates,
    prior,
    baseline,
    entropyBonus,
    removalPolicy,
    shrinkagePolicy,
    shrinkageActions,
    constraints: constraint.map(parseConstraint),
  };
}

async function searchWith(
  context: Context,
  gpu: Gpu,
  run: Run,
  material: Material,
  trainer: CandidateTrainer,
  journal: Journal,
): Promise<SearchOutcome> {
  const options = searchOptions(run.record.configuration);
  const { constraints } = options;
  const view = new SearchView(context, run.record.configuration);
  const pipelines: { first: number | null; last: number | null } = { first: null, last: null };
  const { model } = material;
  const latencies = (spec: NetworkSpec): Promise<LatencyMeasures> => latenciesAsked(gpu, material, constraints, spec);
  const evaluate: Evaluate = async (candidates) => {
    pipelines.first ??= gpu.statistics.pipelinesCompiled;
    const outcomes = await trainer.judge(candidates, {
      score: scoreOf(material),
      signal: context.signal,
      onProgress: (first, size, progress) => view.training(candidatesDone(first, size, progress) / candidates.length, candidates.length),
    });
    pipelines.last = gpu.statistics.pipelinesCompiled;
    for (const { hash, spec } of candidates) await run.writeJson(`students/${hash}.json`, spec);
    const measured: Outcome[] = [];
    for (const [i, outcome] of outcomes.entries()) {
      // What could not be trained may not fit on the device; its accuracy is 0 anyway.
      const failed = outcome.failure !== undefined;
      measured.push({ ...outcome, ...(failed ? { latencyMs: null, batchLatencyMs: null } : await latencies(candidates[i]!.spec)) });
    }
    return measured;
  };
  const policies = await policiesOf(run);
  const result = await runSearch({
    teacher: { spec: model.spec, accuracy: material.accuracy, measureLatency: () => latencies(model.spec) },
    ...options,
    ...(policies === undefined ? {} : { policies }),
    evaluate,
    journal,
    snapshot: fileSnapshot(run.path('state.msgpack')),
    signal: context.signal,
    onEvent: (event) => {
      if (event.type === 'stage') view.stage(event.stage, event.choices);
      else if (event.type === 'update') view.update(event.counts, event.best);
    },
  });
  return { ...result, pipelinesAtFirst: pipelines.first, pipelinesAtLast: pipelines.last };
}

/** Judges candidates of no search, as one with these settings does. */
export async function judgeCandidates(
  context: Context,
  gpu: Gpu,
  material: Material,
  settings: CandidateSettings,
  candidates: readonly Candidate[],
  options: Omit<JudgeOptions, 'score' | 'signal'>,
): Promise<CandidateOutcome[]> {
  const trainer = await openTrainer(gpu, material, settings);
  try {
    return await trainer.judge(candidates, { ...options, score: scoreOf(material), signal: context.signal });
  } finally {
    await trainer.destroy();
  }
}

/** Candidates done when those from `first` on are in training, with fractions. */
export const candidatesDone = (first: number, size: number, { samples, totalSamples }: TrainingProgress): number =>
  first + (size * samples) / totalSamples;

/** R_c R_a of a student: what successive halving compares, and what decides between students that keep constraints alike. */
export function scoreOf({
  model,
  accuracy: teacherAccuracy,
}: Pick<Material, 'model' | 'accuracy'>): (candidate: Candidate, accuracy: number) => number {
  const teacher = { params: parameterCount(model.spec), accuracy: teacherAccuracy };
  return ({ spec }, accuracy) => unconstrainedReward({ params: parameterCount(spec), accuracy }, teacher);
}

async function openTrainer(
  gpu: Gpu,
  { images, train, validation, table }: Material,
  settings: CandidateSettings,
): Promise<CandidateTrainer> {
  return CandidateTrainer.create(gpu, images, { train, validation }, settings, needsTeacher(settings.objective) ? table : undefined);
}

/** How candidates are trained: on the teacher's logits alone (METHOD, "Training a student"). */
export function candidateSettings(
  configuration: CandidateOptions,
  { model, augmentation }: Pick<Material, 'model' | 'augmentation'>,
): CandidateSettings {
  const { learningRate, weightDecay, rollouts, memory, rungImages = 0 } = configuration;
  return {
    objective: { mse: { weight: 1 } },
    optimiser: { ...paperAdam, learningRate, weightDecay },
    schedule: scheduleOf(configuration.schedule, configuration.warmup),
    epochs: configuration.epochs,
    batch: configuration.batch,
    views: configuration.views,
    seed: configuration.seed,
    precision: configuration.precision,
    cohort: configuration.cohort,
    halving: configuration.halving,
    // What halving spends on a student depends on how many are judged together: those of an update.
    ...(rollouts === undefined ? {} : { sideBySide: rollouts }),
    ...(memory === undefined ? {} : { memoryBytes: memory * 2 ** 20 }),
    ...(rungImages === 0 ? {} : { rungImages }),
    preprocessing: model.preprocessing,
    ...(augmentation === undefined ? {} : { augmentation }),
    ...(configuration.init === 'inherit' ? { inheritance: new Inheritance(model) } : {}),
  };
}

/** What people see of a search. Its length is counted in rollouts, or in candidates where these end a stage. */
class SearchView {
  readonly #context: Context;
  readonly #rollouts: number;
  readonly #candidates: number;
  readonly #stageLength: number;
  readonly #total: number;
  #progress: Progress | undefined;
  #stage = -1;
  #counts: SearchCounts | undefined;
  #countsBefore: SearchCounts | undefined;
  #best = '';

  constructor(context: Context, { stages, updates, rollouts, candidates }: Configuration) {
    this.#context = context;
    this.#rollouts = rollouts;
    this.#candidates = candidates;
    this.#stageLength = candidates > 0 ? Math.min(candidates, updates * rollouts) : updates * rollouts;
    this.#total = stages.length * this.#stageLength;
  }

  stage(name: string, choices: number): void {
    this.#context.output.note(
      `search: layer ${name}, ${count(choices)} decisions${this.#best === '' ? '' : `; best so far ${this.#best}`}`,
    );
    this.#stage += 1;
    this.#countsBefore = this.#counts;
    this.#progress = this.#context.output.progress('search', 'candidates');
  }

  /** `fraction` of the `size` candidates that an update has to train is trained. */
  training(fraction: number, size: number): void {
    this.#show(fraction * (this.#candidates > 0 ? size : this.#rollouts));
  }

  update(counts: SearchCounts, best: FinishedStudent | undefined): void {
    this.#counts = counts;
    if (best !== undefined) this.#best = `${count(best.measures.params)} parameters at ${percent(best.measures.accuracy)}`;
    this.#show(0);
  }

  #show(under: number): void {
    const unit = this.#candidates > 0 ? 'trained' : 'sampled';
    const done = (this.#counts?.[unit] ?? 0) - (this.#countsBefore?.[unit] ?? 0) + under;
    this.#progress?.update(this.#stage * this.#stageLength + Math.min(this.#stageLength, done), this.#total, this.#best);
  }
}
