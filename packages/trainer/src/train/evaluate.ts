// Accuracy of a network on a set of images, and the teacher's logits computed once.
import { Allocations, padded, PLAIN_VIEW, Recorder, rows, type Gpu } from '@n2n/kernels';
import type { NetworkSpec } from '../network/index.js';
import { sampleWords } from '../plan/layout.js';
import { sampleLayouts, type Parameters } from '../plan/parameters.js';
import { EvaluationPlan } from '../plan/plan.js';
import { Feed, type FeedOptions, type TeacherTable } from './feed.js';
import { allocateShards, type DeviceImages } from './images.js';
import { runSteps, type StepsOptions } from './run.js';

export interface Evaluation {
  /** Fraction of the samples whose largest logit is the label's. */
  readonly accuracy: number;
  /** Mean cross-entropy. */
  readonly loss: number;
  readonly samples: number;
}

/** Pairs (image, plain view). */
export function plainOrder(indices: Uint32Array): Uint32Array {
  const pairs = new Uint32Array(indices.length * 2);
  indices.forEach((image, i) => {
    pairs[i * 2] = image;
    pairs[i * 2 + 1] = PLAIN_VIEW;
  });
  return pairs;
}

/** A feed for evaluation over `count` images, without augmentation. */
export async function evaluationFeed(
  gpu: Gpu,
  images: DeviceImages,
  preprocessing: FeedOptions['preprocessing'],
  batch: number,
  count: number,
): Promise<Feed> {
  return Feed.create(gpu, images, { batch, steps: Math.max(1, Math.ceil(count / batch)), preprocessing });
}

export interface EvaluationOptions extends StepsOptions {
  /** Each batch's own batch-norm statistics, in place of the running ones; then no batch may be partly void. */
  readonly batchStatistics?: boolean;
}

/** Evaluates with running batch-norm statistics; the last batch may be partly void. */
export async function evaluate(
  gpu: Gpu,
  parameters: Parameters,
  feed: Feed,
  indices: Uint32Array,
  options: EvaluationOptions = {},
): Promise<Evaluation> {
  const { batchStatistics = false } = options;
  if (batchStatistics && indices.length % feed.batch !== 0) {
    throw new RangeError(`batches of ${feed.batch} leave a rest of ${indices.length} images, which would spoil its batch's statistics`);
  }
  const plan = await EvaluationPlan.create(gpu, parameters, feed, { batchStatistics });
  try {
    feed.setOrder(plainOrder(indices));
    await runSteps(gpu, feed, (pass) => plan.recording.encode(pass), Math.ceil(indices.length / feed.batch), options);
    const [lossSum, correct, samples] = (await gpu.read(plan.totals)) as unknown as [number, number, number];
    return { accuracy: correct / samples, loss: lossSum / samples, samples };
  } finally {
    await plan.destroy();
  }
}

/**
 * Logits of every image in `indices` under each of `views` views (0: the plain image only), as a table that feeds gather
 * from like labels. Rows of images outside `indices` stay zero.
 */
export async function teacherTable(
  gpu: Gpu,
  teacher: Parameters,
  images: DeviceImages,
  options: Omit<FeedOptions, 'steps' | 'teacher'> & { readonly indices: Uint32Array; readonly views: number } & StepsOptions,
): Promise<TeacherTable> {
  const { classes } = teacher.spec;
  const { batch, indices } = options;
  const views = Math.max(1, options.views);
  const steps = Math.ceil((indices.length * views) / batch);
  return Allocations.create(gpu, async (kept) => {
    const shards = await allocateShards(gpu, kept, images.count, views * padded(classes) * 4, 'teacher logits');
    const temporary = new Allocations(gpu);
    try {
      const feed = temporary.adopt(await Feed.create(gpu, images, { ...options, steps }));
      const plan = temporary.adopt(await EvaluationPlan.create(gpu, teacher, feed));
      const recorder = new Recorder(gpu);
      const shape = { batch, words: padded(classes), views, steps, voidWord: 0 };
      for (const { first, count, slice } of shards) {
        const slices = { y: plan.logits, order: feed.slice('order'), clock: feed.slice('clock'), table: slice };
        recorder.add(rows, 'scatter', { ...shape, first, count }, slices);
      }
      const scatter = temporary.adopt(await recorder.finish('teacher logits'));
      feed.setOrder(viewOrder(indices, options.views));
      const encodeStep = (pass: GPUComputePassEncoder): void => {
        plan.recording.encode(pass);
        scatter.encode(pass);
      };
      await runSteps(gpu, feed, encodeStep, steps, options);
      return { shards, views, classes };
    } finally {
      await temporary.destroy();
    }
  });
}

/** Pairs (image, view): every image under view 0, then under view 1, ...; `views` 0 is the plain view alone. */
function viewOrder(indices: Uint32Array, views: number): Uint32Array {
  if (views === 0) return plainOrder(indices);
  const pairs = new Uint32Array(indices.length * views * 2);
  for (let view = 0; view < views; view++) {
    indices.forEach((image, i) => {
      const at = (view * indices.length + i) * 2;
      pairs[at] = image;
      pairs[at + 1] = view;
    });
  }
  return pairs;
}

/** Gives the memory of a table back. */
export async function freeTable(gpu: Gpu, { shards }: TeacherTable): Promise<void> {
  await gpu.free(...shards.map(({ slice }) => slice));
}

/** A table's content: [count, views, classes4]. */
export async function readTable(gpu: Gpu, { shards, views, classes }: TeacherTable): Promise<Float32Array> {
  const row = views * padded(classes);
  const logits = new Float32Array(shards.reduce((sum, { count }) => sum + count, 0) * row);
  for (const { first, count, slice } of shards) logits.set((await gpu.read(slice)).subarray(0, count * row), first * row);
  return logits;
}

/** The largest batch, at most 500, that keeps every activation of the network under 32 MiB. */
export function evaluationBatch(spec: NetworkSpec): number {
  const bytes = Math.max(...[...sampleLayouts(spec).values()].map(sampleWords)) * 4;
  return Math.max(1, Math.min(500, Math.floor((32 * 2 ** 20) / bytes)));
}
