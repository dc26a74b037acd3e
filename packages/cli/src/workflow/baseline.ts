// The controls of a finished run: the same teacher, data, constraints and training, the student found in another way.
import { isBetter, parseConstraint, sampleStudents, uniformStudent, violation, type Candidate } from '@n2n/agent';
import { compileOpSet, type Gpu } from '@n2n/kernels';
import type { Dataset } from '@n2n/trainer';
import { specHash } from '@n2n/trainer/network';
import type { Context } from '../context.js';
import { UsageError } from '../errors.js';
import { count } from '../output/format.js';
import type { Run } from '../run/run.js';
import { figuresOf } from './compress.js';
import { batchAsked, limitsOf, measuresOf } from './limits.js';
import { withMaterial, type Material } from './material.js';
import { withImages } from './network.js';
import { lastQuarter, type ControlResult, type Result } from './result.js';
import { candidatesDone, candidateSettings, judgeCandidates, scoreOf } from './search.js';
import { trainStudent } from './student.js';

export type Control = ControlResult['control'];

interface Found {
  readonly candidate: Candidate;
  /** Rewards R_c R_a of the candidates trained, in order. */
  readonly rewards: readonly number[];
}

/** Finds, trains and measures the control's student. `result` is that of the run. */
export async function runControl(
  context: Context,
  gpu: Gpu,
  run: Run,
  dataset: Dataset,
  result: Result,
  control: Control,
): Promise<ControlResult> {
  const path = run.path('baselines', `${control}.safetensors`);
  const { configuration } = run.record;
  const { found, trained } = await withImages(context, gpu, dataset.train, dataset, (images) =>
    withMaterial(
      context,
      gpu,
      configuration,
      dataset,
      images,
      async () => run.loadTeacher(),
      async (material) => {
        const student =
          control === 'random' ? await randomSearch(context, gpu, run, material, result.candidates) : narrowed(material, result);
        // Uniform scaling is the architecture alone; L1 pruning is the same widths with the teacher's channels.
        const init = control === 'uniform' ? 'random' : control === 'l1' ? 'inherit' : configuration.init;
        const { model, accuracy } = await trainStudent(context, gpu, run, material, [student.candidate], init, path);
        const batch = batchAsked(configuration.constraint.map(parseConstraint), material.model.spec);
        return { found: student, trained: { model, accuracy, batch } };
      },
    ),
  );
  const [figures] = await withImages(context, gpu, dataset.test, dataset, (images) =>
    figuresOf(context, gpu, [{ model: trained.model, path, accuracy: trained.accuracy }], images, trained.batch),
  );
  return { ...figures!, control, candidates: found.rewards.length, meanReward: lastQuarter(found.rewards) };
}

/** As many candidates as the search trained, drawn from its space among those that keep the limits on the architecture. */
async function randomSearch(context: Context, gpu: Gpu, run: Run, material: Material, candidates: number): Promise<Found> {
  const { seed, stages, roundTo, prior, shrinkageActions, constraint } = run.record.configuration;
  const constraints = constraint.map(parseConstraint);
  const drawn = sampleStudents(material.model.spec, {
    count: candidates,
    seed,
    stages,
    roundTo,
    prior,
    shrinkageActions,
    constraints,
  });
  context.output.note(`baseline: random search, ${count(drawn.length)} candidates`);
  await compileOpSet(gpu, run.record.configuration.precision);
  const progress = context.output.progress('baseline', 'candidates');
  const settings = candidateSettings(run.record.configuration, material);
  const outcomes = await judgeCandidates(context, gpu, material, settings, drawn, {
    onProgress: (first, size, training) => progress.update(candidatesDone(first, size, training), drawn.length),
  });
  const score = scoreOf(material);
  const limits = await limitsOf(gpu, material, constraints);
  const judged: { readonly candidate: Candidate; readonly merit: number; readonly violation: number }[] = [];
  for (const [i, candidate] of drawn.entries()) {
    const { accuracy, failure } = outcomes[i]!;
    // What could not be trained may not fit on the device.
    const measures = await measuresOf(gpu, material, failure === undefined ? constraints : [], candidate.spec, accuracy);
    const missed = failure === undefined ? violation(limits, measures) : Infinity;
    judged.push({ candidate, merit: score(candidate, accuracy), violation: missed });
  }
  const best = judged.reduce((a, b) => (isBetter(b, a) ? b : a));
  return { candidate: best.candidate, rewards: judged.map(({ merit }) => merit) };
}

/** The teacher narrowed to the parameters of the run's student. */
function narrowed(material: Material, { student }: Result): Found {
  const spec = uniformStudent(material.model.spec, student.params);
  if (specHash(spec) === specHash(material.model.spec)) {
    throw new UsageError(`the run's student has ${student.params} parameters, no fewer than its teacher; there is nothing to scale`);
  }
  return { candidate: { spec, hash: specHash(spec) }, rewards: [] };
}
