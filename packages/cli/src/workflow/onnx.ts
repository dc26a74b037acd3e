// ONNX at both ends of a run: a teacher from another tool made fit to have students, and the student as other tools take it.
import { readFile } from 'node:fs/promises';
import type { Gpu } from '@n2n/kernels';
import {
  bareConvolutions,
  channelStatistics,
  encodeModel,
  insertBatchNorm,
  loadOnnx,
  modelFormat,
  Parameters,
  saveOnnx,
  type Dataset,
  type DeviceImages,
  type Evaluation,
  type Model,
  type Preprocessing,
} from '@n2n/trainer';
import type { Context } from '../context.js';
import { count } from '../output/format.js';
import type { Configuration } from '../run/record.js';
import type { PreprocessingFlags } from '../sources/model.js';
import type { Material } from './material.js';
import { evaluateOn, withImages } from './network.js';
import { divide } from './split.js';

/** Images that the statistics of batch-norms are taken from. */
const STATISTICS_IMAGES = 256;
/** Most that folding and rounding may change of an accuracy (0.05 points, or one image) and, as a fraction, of a loss. */
const ACCURACY_TOLERANCE = 5e-4;
const LOSS_TOLERANCE = 1e-3;

/** The run's copy of the teacher: the file itself, unless it is ONNX or the flags say how pixels become inputs. */
export async function teacherFile(
  context: Context,
  gpu: Gpu,
  path: string,
  teacher: Model,
  dataset: Dataset,
  { validation, seed }: Configuration,
  flags: PreprocessingFlags,
): Promise<Uint8Array> {
  if (modelFormat(path) === 'onnx') {
    const { train } = divide(dataset.train, { validation, classes: dataset.classes, seed });
    return encodeModel(await withBatchNorms(context, gpu, teacher, dataset, train), path);
  }
  return flags.mean === undefined && flags.std === undefined ? readFile(path) : encodeModel(teacher, path);
}

/**
 * The teacher with a batch-norm after each convolution that lost it in the export, started so that the teacher computes what it
 * did and its students can be trained. `indices`: training images.
 */
async function withBatchNorms(context: Context, gpu: Gpu, teacher: Model, dataset: Dataset, indices: Uint32Array): Promise<Model> {
  const convolutions = bareConvolutions(teacher.spec);
  if (convolutions.length === 0) return teacher;
  context.output.note(
    `teacher: ${count(convolutions.length)} convolutions have no batch-norm, as exporters fold it away; each gets one that leaves the teacher as it is`,
  );
  const step = Math.max(1, Math.floor(indices.length / STATISTICS_IMAGES));
  const spaced = indices.filter((_, i) => i % step === 0).subarray(0, STATISTICS_IMAGES);
  const parameters = await Parameters.create(gpu, teacher.spec, teacher.weights);
  try {
    const { preprocessing } = teacher;
    const statistics = await withImages(context, gpu, dataset.train, dataset, (images) =>
      channelStatistics(gpu, parameters, images, { convolutions, indices: spaced, preprocessing, signal: context.signal }),
    );
    return { ...teacher, ...insertBatchNorm(teacher, convolutions, statistics) };
  } finally {
    await parameters.destroy();
  }
}

/**
 * Writes the student as ONNX with its batch-norms folded, reads it back and evaluates it on the validation images beside
 * the student itself. Throws an Error when they differ by more than rounding.
 */
export async function exportStudent(
  context: Context,
  gpu: Gpu,
  path: string,
  student: Model,
  { images, validation: indices }: Pick<Material, 'images' | 'validation'>,
): Promise<void> {
  await saveOnnx(path, student, { foldBatchNorm: true });
  const { spec, weights, preprocessing = student.preprocessing } = await loadOnnx(path);
  const [ours, exported] = [
    await evaluated(context, gpu, student, student.preprocessing, images, indices),
    await evaluated(context, gpu, { spec, weights }, preprocessing, images, indices),
  ];
  const accuracyLimit = Math.max(ACCURACY_TOLERANCE, 1.5 / indices.length);
  const lossLimit = LOSS_TOLERANCE * Math.max(1, ours.loss);
  if (Math.abs(exported.accuracy - ours.accuracy) <= accuracyLimit && Math.abs(exported.loss - ours.loss) <= lossLimit) return;
  throw new Error(
    `${path}: read back it has accuracy ${exported.accuracy} and loss ${exported.loss} on ${indices.length} validation images, ` +
      `the student ${ours.accuracy} and ${ours.loss}; they must agree`,
  );
}

async function evaluated(
  context: Context,
  gpu: Gpu,
  network: Pick<Model, 'spec' | 'weights'>,
  preprocessing: Preprocessing,
  images: DeviceImages,
  indices: Uint32Array,
): Promise<Evaluation> {
  const parameters = await Parameters.create(gpu, network.spec, network.weights);
  try {
    return await evaluateOn(gpu, parameters, images, preprocessing, indices, context);
  } finally {
    await parameters.destroy();
  }
}
