// Mean and variance of convolutions' outputs over a number of images: what a batch-norm put behind them starts from.
import { padded, type Gpu } from '@n2n/kernels';
import type { Preprocessing } from '../files/index.js';
import { analyse, channelsOf } from '../network/index.js';
import { EvaluationPlan } from '../plan/plan.js';
import type { Parameters } from '../plan/parameters.js';
import type { ChannelStatistics } from '../transform/index.js';
import { evaluationFeed, plainOrder } from './evaluate.js';
import type { DeviceImages } from './images.js';
import { runSteps, type StepsOptions } from './run.js';

/** Largest size of all kept outputs of a batch, and most images of a batch. */
const BATCH_ELEMENTS = 2 ** 25;
const BATCH_IMAGES = 32;

/**
 * Statistics of the outputs of `convolutions` over the images in `indices`, without augmentation and in evaluation mode, by node id.
 * Images beyond a whole number of batches are left out.
 */
export async function channelStatistics(
  gpu: Gpu,
  parameters: Parameters,
  images: DeviceImages,
  options: {
    readonly convolutions: readonly string[];
    readonly indices: Uint32Array;
    readonly preprocessing: Preprocessing;
  } & StepsOptions,
): Promise<Map<string, ChannelStatistics>> {
  const { convolutions, indices, preprocessing } = options;
  const { byId } = analyse(parameters.spec);
  const elements = convolutions.reduce((sum, id) => sum + (byId.get(id)?.outputElements ?? 0), 0);
  const batch = Math.max(1, Math.min(BATCH_IMAGES, indices.length, Math.floor(BATCH_ELEMENTS / Math.max(1, elements))));
  const steps = Math.floor(indices.length / batch);
  const sums = new Map(convolutions.map((id) => [id, new Moments(channelsOf(byId.get(id)!.outputShape))]));
  const feed = await evaluationFeed(gpu, images, preprocessing, batch, indices.length);
  try {
    const plan = await EvaluationPlan.create(gpu, parameters, feed, { keep: convolutions });
    try {
      feed.setOrder(plainOrder(indices.subarray(0, steps * batch)));
      for (let step = 0; step < steps; step++) {
        await runSteps(gpu, feed, (pass) => plan.recording.encode(pass), 1, options);
        for (const [id, moments] of sums) moments.add(await gpu.read(plan.kept.get(id)!));
      }
    } finally {
      await plan.destroy();
    }
  } finally {
    await feed.destroy();
  }
  return new Map([...sums].map(([id, moments]) => [id, moments.statistics()]));
}

/** Sums of values and of their squares about the first row, in double precision. */
class Moments {
  private readonly shift: Float64Array;
  private readonly first: Float64Array;
  private readonly second: Float64Array;
  private rows = 0;

  constructor(private readonly channels: number) {
    this.shift = new Float64Array(channels);
    this.first = new Float64Array(channels);
    this.second = new Float64Array(channels);
  }

  /** `values` [rows, channels4] */
  add(values: Float32Array): void {
    const stride = padded(this.channels);
    if (this.rows === 0) this.shift.set(values.subarray(0, this.channels));
    for (let at = 0; at < values.length; at += stride) {
      for (let c = 0; c < this.channels; c++) {
        const difference = values[at + c]! - this.shift[c]!;
        this.first[c]! += difference;
        this.second[c]! += difference * difference;
      }
    }
    this.rows += values.length / stride;
  }

  statistics(): ChannelStatistics {
    const mean = this.first.map((sum) => sum / this.rows);
    return {
      mean: mean.map((value, c) => value + this.shift[c]!),
      variance: this.second.map((sum, c) => Math.max(0, sum / this.rows - mean[c]! ** 2)),
    };
  }
}
