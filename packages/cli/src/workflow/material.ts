// What judging and training students needs of a run: its teacher, the images and how they are divided, the teacher's logits.
import { Parameters, type Augmentation, type Dataset, type DeviceImages, type Model, type TeacherTable } from '@n2n/trainer';
import type { Gpu } from '@n2n/kernels';
import type { Context } from '../context.js';
import { percent } from '../output/format.js';
import type { Run } from '../run/run.js';
import { augmentationOf, evaluateOn } from './network.js';
import { choose, divide } from './split.js';
import { logitsOf, obtainTeacher } from './teacher.js';

export interface Material {
  readonly model: Model;
  /** Of the teacher, on the validation images. */
  readonly accuracy: number;
  readonly images: DeviceImages;
  /** Everything that is not held out; the best student trains on it. */
  readonly all: Uint32Array;
  /** The part of it that candidates train on. */
  readonly train: Uint32Array;
  readonly validation: Uint32Array;
  readonly table: TeacherTable;
  readonly augmentation: Augmentation | undefined;
}

/** Gets the material together, training the teacher where the run has none yet, for as long as `work` runs. */
export async function withMaterial<T>(
  context: Context,
  gpu: Gpu,
  run: Run,
  dataset: Dataset,
  images: DeviceImages,
  work: (material: Material) => Promise<T>,
): Promise<T> {
  const { configuration } = run.record;
  const split = { validation: configuration.validation, classes: dataset.classes, seed: configuration.seed };
  const { train: all, validation } = divide(dataset.train, split);
  const train = choose(all, dataset.train, configuration.subset, split);
  const model = await obtainTeacher(context, gpu, run, dataset, images, all);
  const augmentation = augmentationOf(configuration);
  const teacher = await Parameters.create(gpu, model.spec, model.weights);
  const { accuracy } = await evaluateOn(gpu, teacher, images, model.preprocessing, validation, context.signal);
  context.output.note(`teacher: ${percent(accuracy)} of ${validation.length} validation images`);
  const table = await logitsOf(context, gpu, teacher, images, { indices: all, views: configuration.views, augmentation, model });
  await teacher.destroy();
  try {
    return await work({ model, accuracy, images, all, train, validation, table, augmentation });
  } finally {
    await gpu.free(table.slice);
  }
}
