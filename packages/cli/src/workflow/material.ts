// What judging and training students needs of a run: its teacher, the images and how they are divided, the teacher's logits.
import { freeTable, Parameters, type Augmentation, type Dataset, type DeviceImages, type Model, type TeacherTable } from '@n2n/trainer';
import type { Gpu } from '@n2n/kernels';
import type { Context } from '../context.js';
import { count, percent } from '../output/format.js';
import type { Configuration } from '../run/record.js';
import { augmentationOf, evaluateOn } from './network.js';
import { choose, divide } from './split.js';
import { logitsOf } from './teacher.js';

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

/** What the material depends on besides teacher and data. */
export type MaterialOptions = Pick<Configuration, 'validation' | 'seed' | 'subset' | 'views' | 'cropPadding' | 'flip' | 'cutout'>;

/** Gets the material together for as long as `work` runs. `teacherOf` is given the images that a teacher may be trained on. */
export async function withMaterial<T>(
  context: Context,
  gpu: Gpu,
  configuration: MaterialOptions,
  dataset: Dataset,
  images: DeviceImages,
  teacherOf: (all: Uint32Array) => Promise<Model>,
  work: (material: Material) => Promise<T>,
): Promise<T> {
  const split = { validation: configuration.validation, classes: dataset.classes, seed: configuration.seed };
  const { train: all, validation } = divide(dataset.train, split);
  const train = choose(all, dataset.train, configuration.subset, split);
  const model = await teacherOf(all);
  const augmentation = augmentationOf(configuration);
  const teacher = await Parameters.create(gpu, model.spec, model.weights);
  const { accuracy } = await evaluateOn(gpu, teacher, images, model.preprocessing, validation, {
    signal: context.signal,
    progress: context.output.progress('teacher on the validation images', 'samples'),
  });
  context.output.note(`teacher: ${percent(accuracy)} of ${count(validation.length)} validation images`);
  const table = await logitsOf(context, gpu, teacher, images, { indices: all, views: configuration.views, augmentation, model });
  await teacher.destroy();
  try {
    return await work({ model, accuracy, images, all, train, validation, table, augmentation });
  } finally {
    await freeTable(gpu, table);
  }
}
