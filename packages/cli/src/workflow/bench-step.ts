// Whole steps to time: a training step (gather, forward, loss, backward, optimiser) and an evaluation step (gather, forward,
// metrics), on random images of the right shape.
import type { BenchCase, Gpu, Slice } from '@n2n/kernels';
import {
  defaultSgd,
  DeviceImages,
  EvaluationPlan,
  Feed,
  initialWeights,
  keyedRandom,
  Parameters,
  plainOrder,
  scheduleRows,
  TrainingPlan,
  type Preprocessing,
  type Sgd,
  type Split,
} from '@n2n/trainer';
import { analyse, INPUT_ID, macs, zooSpec, type NetworkSpec } from '@n2n/trainer/network';
import { usualGeometry } from '../sources/network.js';

export interface StepCase {
  /** `step/<network>/<batch>` or `eval/<network>/<batch>`. */
  readonly name: string;
  readonly kind: 'step' | 'eval';
  readonly arch: string;
  readonly batch: number;
}

const stepCase = (kind: StepCase['kind'], arch: string, batch: number): StepCase => ({
  name: `${kind}/${arch}/${batch}`,
  kind,
  arch,
  batch,
});

/** The cases; `mnist-cnn` and `resnet18` are those that other engines were measured with. */
export const stepCases: readonly StepCase[] = [
  stepCase('step', 'mnist-cnn', 64),
  stepCase('eval', 'mnist-cnn', 500),
  stepCase('step', 'resnet18', 16),
];

/** Small enough that the weights stay finite however often a step is repeated. */
const SGD: Sgd = { ...defaultSgd, learningRate: 1e-3, nesterov: false };
const IMAGES = 1024;
const SEED = 1;
/** Entries of the order, over all steps: later steps than these would gather void images. */
const ORDER_ENTRIES = 2 ** 20;
const MOST_STEPS = 16_384;

/** A case with the memory it holds. */
export interface PreparedStep {
  readonly benchCase: BenchCase;
  /** Throws when the steps did not compute a finite loss: a time of wrong work means nothing. */
  check(): Promise<void>;
  destroy(): Promise<void>;
}

export async function prepareStep(gpu: Gpu, { name, kind, arch, batch }: StepCase): Promise<PreparedStep> {
  const geometry = usualGeometry(arch);
  const spec = zooSpec(arch, geometry);
  const images = await DeviceImages.create(gpu, randomSplit(geometry), geometry);
  const parameters = await Parameters.create(gpu, spec, initialWeights(spec, SEED));
  const steps = Math.min(MOST_STEPS, Math.floor(ORDER_ENTRIES / batch));
  const feed = await Feed.create(gpu, images, { batch, steps, preprocessing: unitPreprocessing(geometry.channels) });
  feed.setOrder(plainOrder(Uint32Array.from({ length: steps * batch }, (_, i) => i % IMAGES)));
  const plan = kind === 'step' ? await trainingPlan(gpu, parameters, feed, steps) : await EvaluationPlan.create(gpu, parameters, feed);
  const work = {
    encode(pass: GPUComputePassEncoder): void {
      feed.fill.encode(pass);
      plan.recording.encode(pass);
      feed.tick.encode(pass);
    },
  };
  return {
    benchCase: { name, record: work, samples: batch, flops: 2 * batch * (kind === 'step' ? trainingMacs(spec) : macs(spec)) },
    check: () => checkLoss(gpu, plan.totals, name),
    async destroy() {
      for (const owner of [plan, feed, parameters, images]) await owner.destroy();
    },
  };
}

async function trainingPlan(gpu: Gpu, parameters: Parameters, feed: Feed, steps: number): Promise<TrainingPlan> {
  const plan = await TrainingPlan.create(gpu, parameters, feed, {
    objective: { hard: { weight: 1, smoothing: 0 } },
    optimiser: SGD,
    seed: SEED,
    steps,
  });
  gpu.write(plan.schedule, scheduleRows(SGD, { kind: 'constant' }, 0, steps, steps));
  return plan;
}

/** Forward, gradient to the weights, gradient to the input; what reads the images has no use for the last. */
function trainingMacs(spec: NetworkSpec): number {
  const first = analyse(spec).nodes.filter(({ node }) => node.inputs.includes(INPUT_ID));
  return 3 * macs(spec) - first.reduce((sum, node) => sum + node.macs, 0);
}

async function checkLoss(gpu: Gpu, totals: Slice, name: string): Promise<void> {
  const [lossSum = Number.NaN, , samples = 0] = await gpu.read(totals);
  if (!Number.isFinite(lossSum) || samples === 0)
    throw new Error(`${name}: the loss is ${lossSum} over ${samples} samples; the steps compute nothing of use`);
}

function randomSplit({ channels, height, width, classes }: ReturnType<typeof usualGeometry>): Split {
  const random = keyedRandom(SEED, 'bench-images');
  const words = Uint32Array.from({ length: (IMAGES * channels * height * width) / 4 }, () => random.next());
  const labels = Uint8Array.from({ length: IMAGES }, () => random.int(classes));
  return { count: IMAGES, images: new Uint8Array(words.buffer), labels };
}

const unitPreprocessing = (channels: number): Preprocessing => ({
  mean: Array.from({ length: channels }, () => 0.5),
  std: Array.from({ length: channels }, () => 0.25),
});
