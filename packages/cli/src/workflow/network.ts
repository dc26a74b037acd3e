// Networks at work: train one, evaluate one, time one. Each call owns what it allocates.
import type { Gpu } from '@n2n/kernels';
import {
  DeviceImages,
  evaluate,
  evaluationBatch,
  evaluationFeed,
  Feed,
  keyedRandom,
  measureLatency,
  type Parameters,
  stepsPerEpoch,
  train,
  type Augmentation,
  type Dataset,
  type Evaluation,
  type Preprocessing,
  type Split,
  type TeacherTable,
  type TrainingOptions,
  type TrainingResult,
} from '@n2n/trainer';
import { performance } from 'node:perf_hooks';
import type { Context } from '../context.js';
import { bytes, count } from '../output/format.js';
import type { Progress } from '../output/progress.js';

/** Images on the device, or streamed to it where they do not fit, for as long as `work` runs. */
export async function withImages<T>(
  { output, imageBytes }: Context,
  gpu: Gpu,
  split: Split,
  data: Dataset,
  work: (images: DeviceImages) => Promise<T>,
): Promise<T> {
  const { channels, height, width } = data;
  const images = await DeviceImages.create(gpu, split, { channels, height, width }, imageBytes);
  if (images.shards === undefined) {
    const limit = imageBytes === Infinity ? 'more than this device has' : 'more than --device-memory gives them';
    output.note(
      `${count(split.count)} images take ${bytes(split.count * images.stride)}, ${limit}: they are streamed to it as they are needed`,
    );
  }
  try {
    return await work(images);
  } finally {
    await images.destroy();
  }
}

interface AugmentationFlags {
  readonly cropPadding: number;
  readonly flip: boolean;
  readonly cutout?: number | undefined;
}

/** Whether a view of an image may be anything but the image itself. */
export const augments = ({ cropPadding, flip, cutout = 0 }: AugmentationFlags): boolean => cropPadding > 0 || flip || cutout > 0;

/** The augmentation that the flags ask for, or undefined for none. */
export function augmentationOf(options: AugmentationFlags & { readonly seed: number }): Augmentation | undefined {
  const { cropPadding, flip, cutout = 0, seed } = options;
  if (!augments(options)) return undefined;
  return { cropPadding, flip, cutout, seed: keyedRandom(seed, 'augmentation').next() };
}

export interface FitOptions extends Omit<TrainingOptions, 'onProgress' | 'signal'> {
  readonly batch: number;
  readonly preprocessing: Preprocessing;
  readonly augmentation?: Augmentation | undefined;
  readonly teacher?: TeacherTable | undefined;
}

/** Trains `parameters` in place. When the signal aborts, they stay as the last whole step left them. `onEpoch` is called after each epoch. */
export async function fit(
  gpu: Gpu,
  parameters: Parameters,
  images: DeviceImages,
  options: FitOptions,
  hooks: { readonly signal: AbortSignal; readonly progress: Progress; readonly onEpoch?: () => void },
): Promise<TrainingResult> {
  const { batch, preprocessing, augmentation, teacher, ...training } = options;
  const feed = await Feed.create(gpu, images, {
    batch,
    steps: Math.max(1, stepsPerEpoch(options.indices.length, batch)),
    preprocessing,
    ...(augmentation === undefined ? {} : { augmentation }),
    ...(teacher === undefined ? {} : { teacher }),
  });
  try {
    return await train(gpu, parameters, feed, {
      ...training,
      signal: hooks.signal,
      onProgress: ({ epoch, epochs, samples, totalSamples, loss, accuracy }) => {
        if (loss !== undefined) hooks.onEpoch?.();
        const measured = loss === undefined || accuracy === undefined ? '' : `, loss ${loss.toFixed(4)}, accuracy ${accuracy.toFixed(4)}`;
        hooks.progress.update(samples, totalSamples, `epoch ${epoch + 1}/${epochs}${measured}`);
      },
    });
  } finally {
    await feed.destroy();
  }
}

/** What a long piece of work is stopped by, and shown on. */
interface Hooks {
  readonly signal: AbortSignal;
  readonly progress?: Progress;
}

/** Accuracy and loss over the images in `indices`, without augmentation. The batch follows from the network alone. */
export async function evaluateOn(
  gpu: Gpu,
  parameters: Parameters,
  images: DeviceImages,
  preprocessing: Preprocessing,
  indices: Uint32Array,
  { signal, progress }: Hooks,
): Promise<Evaluation> {
  const batch = Math.min(evaluationBatch(parameters.spec), indices.length);
  const onSteps = (done: number): void => progress?.update(Math.min(done * batch, indices.length), indices.length);
  onSteps(0);
  const feed = await evaluationFeed(gpu, images, preprocessing, batch, indices.length);
  try {
    return await evaluate(gpu, parameters, feed, indices, { signal, onSteps });
  } finally {
    await feed.destroy();
  }
}

/** Rounds of a latency, at most; none begins after the time limit. */
const ROUNDS = 5;
const ROUND_MS = 60;
const ROUNDS_LIMIT_MS = 1000;

/** A network whose latency is measured. */
export interface Timed {
  readonly parameters: Parameters;
  readonly preprocessing: Preprocessing;
}

/**
 * Milliseconds of `batch` images at a time, one for each network: the lowest of several rounds' medians, as whatever else the machine
 * does only adds time, and often for longer than one round. The networks take turns, so that it meets them alike.
 */
export async function latenciesOf(gpu: Gpu, networks: readonly Timed[], images: DeviceImages, batch: number): Promise<number[]> {
  const lowest = networks.map(() => Infinity);
  const started = performance.now();
  const limitMs = ROUNDS_LIMIT_MS * networks.length;
  for (let round = 0; round < ROUNDS && (round === 0 || performance.now() - started < limitMs); round++) {
    for (const [i, { parameters, preprocessing }] of networks.entries()) {
      const feed = await evaluationFeed(gpu, images, preprocessing, batch, batch);
      try {
        const { medianMs } = await measureLatency(gpu, parameters, feed, ROUND_MS);
        lowest[i] = Math.min(lowest[i]!, medianMs);
      } finally {
        await feed.destroy();
      }
    }
  }
  return lowest;
}
