// The teacher of a run: loaded from its file, or trained by the run's recipe first; its figures; its logits, once.
import type { Gpu } from '@n2n/kernels';
import {
  evaluationBatch,
  initialWeights,
  Parameters,
  saveModel,
  teacherTable,
  type Augmentation,
  type Dataset,
  type DeviceImages,
  type Model,
  type TeacherTable,
} from '@n2n/trainer';
import { parameterCount } from '@n2n/trainer/network';
import { readFile } from 'node:fs/promises';
import type { Context } from '../context.js';
import { count } from '../output/format.js';
import { sha256, type TeacherRecipe } from '../run/record.js';
import type { Run } from '../run/run.js';
import { checkFits, openNetwork } from '../sources/network.js';
import { fit } from './network.js';
import { optimiserOf, scheduleOf } from './optimiser.js';

/** The run's teacher, trained first when the run has a recipe and no teacher yet. */
export async function obtainTeacher(
  context: Context,
  gpu: Gpu,
  run: Run,
  dataset: Dataset,
  images: DeviceImages,
  indices: Uint32Array,
): Promise<Model> {
  const { configuration, teacherSha256 } = run.record;
  if (configuration.teacher.kind === 'recipe' && teacherSha256 === null) {
    await trainTeacher(context, gpu, run, configuration.teacher, dataset, images, indices);
  }
  const model = await run.loadTeacher();
  checkFits(model.spec, dataset);
  return model;
}

async function trainTeacher(
  context: Context,
  gpu: Gpu,
  run: Run,
  recipe: TeacherRecipe,
  dataset: Dataset,
  images: DeviceImages,
  indices: Uint32Array,
): Promise<void> {
  const { spec } = await openNetwork(recipe.arch, dataset);
  const { seed, precision = 'f32' } = run.record.configuration;
  const preprocessing = { mean: dataset.mean, std: dataset.std };
  context.output.note(
    `teacher: training ${spec.name} (${count(parameterCount(spec))} parameters) on ${count(indices.length)} images, ${recipe.epochs} epochs`,
  );
  const parameters = await Parameters.create(gpu, spec, initialWeights(spec, seed));
  try {
    await fit(
      gpu,
      parameters,
      images,
      {
        objective: { hard: { weight: 1, smoothing: 0 } },
        optimiser: optimiserOf({ optimiser: 'sgd', learningRate: recipe.learningRate, momentum: 0.9, weightDecay: 5e-4 }),
        schedule: scheduleOf('one-cycle'),
        epochs: recipe.epochs,
        indices,
        seed,
        views: 0,
        precision,
        batch: recipe.batch,
        preprocessing,
      },
      { signal: context.signal, progress: context.output.progress('teacher', 'samples') },
    );
    const path = run.path('teacher.safetensors');
    const training = { data: dataset.name, seed: String(seed), note: `${recipe.epochs} epochs` };
    await saveModel(path, { spec, weights: await parameters.read(), preprocessing, training });
    await run.update({ teacherSha256: sha256(await readFile(path)) });
  } finally {
    await parameters.destroy();
  }
}

/** The teacher's logits of every view of the images in `indices`. */
export async function logitsOf(
  context: Context,
  gpu: Gpu,
  teacher: Parameters,
  images: DeviceImages,
  options: {
    readonly indices: Uint32Array;
    readonly views: number;
    readonly augmentation: Augmentation | undefined;
    readonly model: Model;
  },
): Promise<TeacherTable> {
  const { indices, views, augmentation, model } = options;
  const batch = Math.min(evaluationBatch(model.spec), indices.length);
  const steps = Math.ceil((indices.length * Math.max(1, views)) / batch);
  const progress = context.output.progress("teacher's logits", 'samples');
  return teacherTable(gpu, teacher, images, {
    batch,
    indices,
    views,
    preprocessing: model.preprocessing,
    ...(augmentation === undefined ? {} : { augmentation }),
    signal: context.signal,
    onSteps: (done) => progress.update(done * batch, steps * batch),
  });
}
