// The agent's search, wired to the trainer: candidates in, outcomes out.
import { fileSnapshot, openJournal, parseConstraint, runSearch, type Evaluate, type FinishedStudent, type SearchResult } from '@n2n/agent';
import type { Gpu } from '@n2n/kernels';
import { CandidateTrainer, paperAdam, writeFileAtomic, type Augmentation, type DeviceImages, type Model, type TeacherTable } from '@n2n/trainer';
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
  /** The device's count of compiled pipelines after the first and the last training of candidates; null when none was trained now. */
  readonly pipelinesAtFirst: number | null;
  readonly pipelinesAtLast: number | null;
}

export async function searchStudents(context: Context, gpu: Gpu, run: Run, material: SearchMaterial): Promise<SearchOutcome> {
  const { configuration } = run.record;
  const journal = await openJournal(run.path('journal.jsonl'));
  const trainer = await openTrainer(gpu, configuration, material);
  const view = new SearchView(context, configuration);
  const pipelines: { first: number | null; last: number | null } = { first: null, last: null };
  const evaluate: Evaluate = async (candidates) => {
    const outcomes = await trainer.judge(candidates, {
      signal: context.signal,
      onProgress: (first, size, { samples, totalSamples }) => view.training((first + (size * samples) / totalSamples) / candidates.length),
    });
    pipelines.last = gpu.statistics.pipelinesCompiled;
    pipelines.first ??= pipelines.last;
    for (const { hash, spec } of candidates) await writeFileAtomic(run.path('students', `${hash}.json`), `${JSON.stringify(spec, undefined, 2)}\n`);
    return outcomes;
  };
  try {
    const { seed, stages, updates, rollouts, roundTo } = configuration;
    const result = await runSearch({
      teacher: { spec: material.model.spec, accuracy: material.accuracy },
      ...{ seed, stages, updates, rollouts, roundTo },
      constraints: configuration.constraint.map(parseConstraint),
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
  } finally {
    await journal.close();
    await trainer.destroy();
  }
}

async function openTrainer(gpu: Gpu, configuration: Configuration, material: SearchMaterial): Promise<CandidateTrainer> {
  const { learningRate, weightDecay, schedule, epochs, batch, views, seed, cohort } = configuration;
  return CandidateTrainer.create(
    gpu,
    material.images,
    { train: material.train, validation: material.validation },
    {
      objective: { mse: { weight: 1 } },
      optimiser: { ...paperAdam, learningRate, weightDecay },
      schedule: scheduleOf(schedule),
      ...{ epochs, batch, views, seed, cohort },
      preprocessing: material.model.preprocessing,
      ...(material.augmentation === undefined ? {} : { augmentation: material.augmentation }),
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
    this.#context.output.note(`search: layer ${name}, ${count(choices)} decisions${this.#best === '' ? '' : `; best so far ${this.#best}`}`);
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
