// The agent's search, wired to the trainer: candidates in, outcomes out.
import {
  fileSnapshot,
  openJournal,
  parseConstraint,
  runSearch,
  unconstrainedReward,
  type Evaluate,
  type FinishedStudent,
  type Journal,
  type SearchResult,
} from '@n2n/agent';
import { compileOpSet, type Gpu } from '@n2n/kernels';
import {
  CandidateTrainer,
  Inheritance,
  paperAdam,
  type Augmentation,
  type DeviceImages,
  type Model,
  type TeacherTable,
} from '@n2n/trainer';
import { parameterCount } from '@n2n/trainer/network';
import type { Context } from '../context.js';
import { count, percent } from '../output/format.js';
import type { Progress } from '../output/progress.js';
import type { Configuration } from '../run/record.js';
import type { Run } from '../run/run.js';
import { scheduleOf } from './optimiser.js';

export interface SearchMaterial {
  readonly model: Model;
  /** Of the teacher, on the validation images. */
  readonly accuracy: number;
  readonly images: DeviceImages;
  readonly train: Uint32Array;
  readonly validation: Uint32Array;
  readonly table: TeacherTable;
  readonly augmentation: Augmentation | undefined;
}

export interface SearchOutcome extends SearchResult {
  /** The device's count of compiled pipelines before the first and after the last training of candidates; null when none was trained now. */
  readonly pipelinesAtFirst: number | null;
  readonly pipelinesAtLast: number | null;
}

/** Runs or continues the run's search. */
export async function searchStudents(context: Context, gpu: Gpu, run: Run, material: SearchMaterial): Promise<SearchOutcome> {
  // So that no architecture of the search has anything left to compile.
  await compileOpSet(gpu);
  const trainer = await openTrainer(gpu, run.record.configuration, material);
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

async function searchWith(
  context: Context,
  gpu: Gpu,
  run: Run,
  material: SearchMaterial,
  trainer: CandidateTrainer,
  journal: Journal,
): Promise<SearchOutcome> {
  const { seed, stages, updates, rollouts, roundTo, prior, constraint } = run.record.configuration;
  const view = new SearchView(context, run.record.configuration);
  const pipelines: { first: number | null; last: number | null } = { first: null, last: null };
  const teacher = { params: parameterCount(material.model.spec), accuracy: material.accuracy };
  const evaluate: Evaluate = async (candidates) => {
    pipelines.first ??= gpu.statistics.pipelinesCompiled;
    const outcomes = await trainer.judge(candidates, {
      score: ({ spec }, accuracy) => unconstrainedReward({ params: parameterCount(spec), accuracy }, teacher),
      signal: context.signal,
      onProgress: (first, size, { samples, totalSamples }) => view.training((first + (size * samples) / totalSamples) / candidates.length),
    });
    pipelines.last = gpu.statistics.pipelinesCompiled;
    for (const { hash, spec } of candidates) await run.writeJson(`students/${hash}.json`, spec);
    return outcomes;
  };
  const result = await runSearch({
    teacher: { spec: material.model.spec, accuracy: material.accuracy },
    seed,
    stages,
    updates,
    rollouts,
    roundTo,
    prior,
    constraints: constraint.map(parseConstraint),
    evaluate,
    journal,
    snapshot: fileSnapshot(run.path('state.msgpack')),
    signal: context.signal,
    onEvent: (event) => {
      if (event.type === 'stage') view.stage(event.stage, event.choices);
      else if (event.type === 'update') view.update(event.counts.sampled, event.best);
    },
  });
  return { ...result, pipelinesAtFirst: pipelines.first, pipelinesAtLast: pipelines.last };
}

async function openTrainer(gpu: Gpu, configuration: Configuration, material: SearchMaterial): Promise<CandidateTrainer> {
  const { learningRate, weightDecay, schedule, epochs, batch, views, seed, cohort, halving, init } = configuration;
  return CandidateTrainer.create(
    gpu,
    material.images,
    { train: material.train, validation: material.validation },
    {
      objective: { mse: { weight: 1 } },
      optimiser: { ...paperAdam, learningRate, weightDecay },
      schedule: scheduleOf(schedule),
      epochs,
      batch,
      views,
      seed,
      cohort,
      halving,
      preprocessing: material.model.preprocessing,
      ...(material.augmentation === undefined ? {} : { augmentation: material.augmentation }),
      ...(init === 'inherit' ? { inheritance: new Inheritance(material.model) } : {}),
    },
    material.table,
  );
}

/** What people see of a search. */
class SearchView {
  readonly #context: Context;
  readonly #rollouts: number;
  readonly #total: number;
  #progress: Progress | undefined;
  #sampled = 0;
  #best = '';

  constructor(context: Context, { stages, updates, rollouts }: Configuration) {
    this.#context = context;
    this.#rollouts = rollouts;
    this.#total = stages.length * updates * rollouts;
  }

  stage(name: string, choices: number): void {
    this.#context.output.note(
      `search: layer ${name}, ${count(choices)} decisions${this.#best === '' ? '' : `; best so far ${this.#best}`}`,
    );
    this.#progress = this.#context.output.progress('search', 'candidates');
  }

  /** `fraction` of the current update's candidates is trained. */
  training(fraction: number): void {
    this.#progress?.update(this.#sampled + this.#rollouts * fraction, this.#total, this.#best);
  }

  update(sampled: number, best: FinishedStudent | undefined): void {
    this.#sampled = sampled;
    if (best !== undefined) this.#best = `${count(best.measures.params)} parameters at ${percent(best.measures.accuracy)}`;
    this.#progress?.update(sampled, this.#total, this.#best);
  }
}
