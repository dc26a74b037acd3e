// A chosen student: trained fully on labels and the teacher's logits, saved, and read again before anything is claimed of it.
import { isBetter, parseConstraint, violation, type Candidate } from '@n2n/agent';
import type { Gpu } from '@n2n/kernels';
import {
  DivergedError,
  loadModel,
  paperAdam,
  saveModel,
  type CandidateOutcome,
  type CandidateSettings,
  type Model,
  type Weights,
} from '@n2n/trainer';
import { parameterCount, type NetworkSpec } from '@n2n/trainer/network';
import type { Context } from '../context.js';
import { count } from '../output/format.js';
import type { Configuration } from '../run/record.js';
import type { Run } from '../run/run.js';
import { limitsOf, measuresOf } from './limits.js';
import type { Material } from './material.js';
import { scheduleOf } from './optimiser.js';
import { candidateSettings, judgeCandidates, scoreOf } from './search.js';

/** How a chosen student is trained: L_hard + lambda L_KD (N2N section 3.3), Adam, one cycle. */
export function finalTraining({
  finalEpochs,
  finalLearningRate,
  finalWeightDecay,
  lambda,
}: Pick<Configuration, 'finalEpochs' | 'finalLearningRate' | 'finalWeightDecay' | 'lambda'>): Pick<
  CandidateSettings,
  'objective' | 'optimiser' | 'schedule' | 'epochs'
> {
  return {
    objective: { hard: { weight: 1, smoothing: 0 }, ...(lambda > 0 ? { mse: { weight: lambda } } : {}) },
    optimiser: { ...paperAdam, learningRate: finalLearningRate, weightDecay: finalWeightDecay },
    schedule: scheduleOf('one-cycle'),
    epochs: finalEpochs,
  };
}

/** A student as read back from the file it was saved in, and its accuracy as a fraction of the validation images. */
export interface TrainedStudent {
  readonly model: Model;
  readonly accuracy: number;
  /** Steps of its training that mixed precision skipped; null in f32. */
  readonly skippedSteps: number | null;
}

/**
 * Trains the finalists on all training images and saves the best of them at `path`: the one that keeps most of the constraints,
 * then the one of greatest R_c R_a on the validation images. Throws DivergedError when none of them learns.
 */
export async function trainStudent(
  context: Context,
  gpu: Gpu,
  run: Run,
  material: Material,
  finalists: readonly Candidate[],
  init: Configuration['init'],
  path: string,
): Promise<TrainedStudent> {
  const { configuration, data } = run.record;
  const { seed, finalEpochs, constraint } = configuration;
  const outcomes = await trainFully(context, gpu, configuration, material, finalists, init);
  const score = scoreOf(material);
  const constraints = constraint.map(parseConstraint);
  const limits = await limitsOf(gpu, material, constraints);
  const trained = [];
  for (const [i, candidate] of finalists.entries()) {
    const { spec } = candidate;
    const { weights, accuracy, skippedSteps = null } = outcomes[i]!;
    if (weights === undefined) continue;
    const measures = await measuresOf(gpu, material, constraints, spec, accuracy);
    trained.push({ spec, weights, accuracy, skippedSteps, violation: violation(limits, measures), merit: score(candidate, accuracy) });
  }
  const [first, ...others] = trained;
  if (first === undefined)
    throw new DivergedError(outcomes.find(({ failure }) => failure !== undefined)?.failure ?? 'no finalist was trained');
  const best = others.reduce((a, b) => (isBetter(b, a) ? b : a), first);
  const training = {
    teacher: material.model.spec.name,
    data: data.name,
    seed: String(seed),
    note: `${finalEpochs} epochs of distillation`,
  };
  const spec: NetworkSpec = { ...best.spec, name: `${material.model.spec.name}-student` };
  await saveModel(path, { spec, weights: best.weights, preprocessing: material.model.preprocessing, training });
  return { model: await reload(path, best.weights), accuracy: best.accuracy, skippedSteps: best.skippedSteps };
}

async function trainFully(
  context: Context,
  gpu: Gpu,
  configuration: Configuration,
  material: Material,
  finalists: readonly Candidate[],
  init: Configuration['init'],
): Promise<CandidateOutcome[]> {
  const { seed, finalEpochs } = configuration;
  const sizes = finalists.map(({ spec }) => count(parameterCount(spec))).join(', ');
  context.output.note(
    `${finalists.length === 1 ? 'student' : `${finalists.length} finalists`}: training ${sizes} parameters on ` +
      `${count(material.all.length)} images, ${finalEpochs} epochs`,
  );
  const settings: CandidateSettings = {
    ...candidateSettings({ ...configuration, init }, material),
    ...finalTraining(configuration),
    seed: `${seed}/final`,
    cohort: finalists.length,
  };
  const progress = context.output.progress('student', 'samples');
  return judgeCandidates(context, gpu, { ...material, train: material.all }, settings, finalists, {
    keepWeights: true,
    onProgress: (first, size, { samples, totalSamples, epoch, epochs }) =>
      progress.update(first * totalSamples + size * samples, finalists.length * totalSamples, `epoch ${epoch + 1}/${epochs}`),
  });
}

/** The file must hold what was trained, to the last bit: every later figure is of the file. */
async function reload(path: string, trained: Weights): Promise<Model> {
  const model = await loadModel(path);
  for (const [name, values] of trained) {
    const stored = model.weights.get(name);
    if (stored === undefined || values.some((value, i) => !Object.is(value, stored[i]))) {
      throw new Error(`${path}: tensor "${name}" read back differs from what was trained`);
    }
  }
  return model;
}
