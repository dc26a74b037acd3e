// The chosen student: trained fully on labels and the teacher's logits, saved, and read again before anything is claimed of it.
import type { FinishedStudent } from '@n2n/agent';
import type { Gpu } from '@n2n/kernels';
import { Inheritance, initialWeights, loadModel, paperAdam, Parameters, saveModel, type Model } from '@n2n/trainer';
import { parameterCount, type NetworkSpec } from '@n2n/trainer/network';
import type { Context } from '../context.js';
import { count } from '../output/format.js';
import type { Run } from '../run/run.js';
import { fit } from './network.js';
import { exportStudent } from './onnx.js';
import { scheduleOf } from './optimiser.js';
import type { SearchMaterial } from './search.js';

/** Trains `best` by L_hard + lambda L_KD (N2N section 3.3) and returns it as read back from the file it was saved in. */
export async function trainStudent(
  context: Context,
  gpu: Gpu,
  run: Run,
  material: SearchMaterial & { readonly all: Uint32Array },
  best: FinishedStudent,
): Promise<Model> {
  const { seed, init, finalEpochs, finalLearningRate, finalWeightDecay, lambda, batch, views } = run.record.configuration;
  const { model: teacher, images, all, table, augmentation } = material;
  const spec: NetworkSpec = { ...best.spec, name: `${teacher.spec.name}-student` };
  context.output.note(`student: training ${count(parameterCount(spec))} parameters on ${count(all.length)} images, ${finalEpochs} epochs`);
  const initial = initialWeights(spec, `${seed}/final/${best.hash}`);
  const weights = init === 'inherit' ? new Inheritance(teacher).weightsFor(spec, initial) : initial;
  const parameters = await Parameters.create(gpu, spec, weights);
  try {
    await fit(
      gpu,
      parameters,
      images,
      {
        objective: { hard: { weight: 1, smoothing: 0 }, ...(lambda > 0 ? { mse: { weight: lambda } } : {}) },
        optimiser: { ...paperAdam, learningRate: finalLearningRate, weightDecay: finalWeightDecay },
        schedule: scheduleOf('one-cycle'),
        epochs: finalEpochs,
        indices: all,
        seed: `${seed}/final`,
        views,
        batch,
        preprocessing: teacher.preprocessing,
        augmentation,
        teacher: lambda > 0 ? table : undefined,
      },
      { signal: context.signal, progress: context.output.progress('student', 'samples') },
    );
    const path = run.path('best', 'student.safetensors');
    const training = {
      teacher: teacher.spec.name,
      data: run.record.data.name,
      seed: String(seed),
      note: `${finalEpochs} epochs of distillation`,
    };
    await saveModel(path, { spec, weights: await parameters.read(), preprocessing: teacher.preprocessing, training });
    const student = await reload(path, parameters);
    await exportStudent(context, gpu, run.path('best', 'student.onnx'), student, images, material.validation);
    return student;
  } finally {
    await parameters.destroy();
  }
}

/** The file must hold what was trained, to the last bit: every later figure is of the file. */
async function reload(path: string, trained: Parameters): Promise<Model> {
  const model = await loadModel(path);
  for (const [name, values] of await trained.read()) {
    const stored = model.weights.get(name);
    if (stored === undefined || values.some((value, i) => !Object.is(value, stored[i]))) {
      throw new Error(`${path}: tensor "${name}" read back differs from what was trained`);
    }
  }
  return model;
}
