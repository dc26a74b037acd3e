// Whole training steps and evaluations of zoo networks on random images: what a search pays for.
import { measureAll, type BenchCase, type Encodable, type Gpu, type Measurement, type MeasureOptions } from '@n2n/kernels';
import {
  defaultSgd,
  DeviceImages,
  EvaluationPlan,
  Feed,
  initialWeights,
  keyedRandom,
  Parameters,
  plainOrder,
  TrainingPlan,
  type Split,
} from '@n2n/trainer';
import { zooSpec, type NetworkSpec } from '@n2n/trainer/network';

type Kind = 'step' | 'eval';

interface StepCase {
  /** `step/mnist-cnn/64`: what / network / batch. */
  readonly name: string;
  readonly kind: Kind;
  readonly network: string;
  readonly batch: number;
  readonly channels: number;
  readonly size: number;
}

const mnist = { channels: 1, size: 28 };
const cifar = { channels: 3, size: 32 };

function stepCase(kind: Kind, network: string, batch: number, input: { channels: number; size: number }): StepCase {
  return { name: `${kind}/${network}/${batch}`, kind, network, batch, ...input };
}

export const stepCases: readonly StepCase[] = [
  stepCase('step', 'mnist-cnn', 64, mnist),
  stepCase('step', 'mnist-cnn', 256, mnist),
  stepCase('eval', 'mnist-cnn', 500, mnist),
  stepCase('step', 'plain-6', 64, mnist),
  stepCase('step', 'resnet18', 16, cifar),
  stepCase('step', 'vgg13', 16, cifar),
];

function randomSplit(count: number, spec: NetworkSpec): Split {
  const { channels, height, width } = spec.input;
  const draw = keyedRandom(1, 'benchmark-images');
  const words = Uint32Array.from({ length: Math.ceil((count * channels * height * width) / 4) }, () => draw.next());
  const images = new Uint8Array(words.buffer, 0, count * channels * height * width);
  return { count, images, labels: Uint8Array.from({ length: count }, (_, i) => i % spec.classes) };
}

interface Prepared {
  readonly bench: BenchCase;
  destroy(): Promise<void>;
}

/** Everything resident; one unit of work gathers the batch and runs the plan. The clock stands still: every step is the same work. */
async function prepare(gpu: Gpu, { name, kind, network, batch, channels, size }: StepCase): Promise<Prepared> {
  const spec = zooSpec(network, { channels, height: size, width: size, classes: 10 });
  const images = await DeviceImages.create(gpu, randomSplit(batch, spec), spec.input);
  const preprocessing = { mean: Array<number>(channels).fill(0.5), std: Array<number>(channels).fill(0.29) };
  const feed = await Feed.create(gpu, images, { batch, steps: 1, preprocessing });
  const parameters = await Parameters.create(gpu, spec, initialWeights(spec, 1));
  const plan =
    kind === 'eval'
      ? await EvaluationPlan.create(gpu, parameters, feed)
      : await TrainingPlan.create(gpu, parameters, feed, {
          objective: { hard: { weight: 1, smoothing: 0 } },
          optimiser: { ...defaultSgd, learningRate: 1e-4 },
          seed: 1,
          steps: 1,
        });
  if (plan instanceof TrainingPlan) gpu.write(plan.schedule, new Float32Array([1e-4, 0, 0, 0]));
  feed.setOrder(plainOrder(Uint32Array.from({ length: batch }, (_, i) => i)));
  const work: Encodable = {
    encode(pass) {
      feed.fill.encode(pass);
      plan.recording.encode(pass);
    },
  };
  return {
    bench: { name, record: work, samples: batch },
    async destroy() {
      await plan.destroy();
      await feed.destroy();
      await parameters.destroy();
      await images.destroy();
    },
  };
}

export interface StepBenchOptions extends MeasureOptions {
  /** Only the cases whose name contains this. */
  readonly filter?: string;
}

/** Measures training steps and evaluations in turns. Throws RangeError when the filter matches nothing. */
export async function runStepBench(gpu: Gpu, options: StepBenchOptions = {}): Promise<Measurement[]> {
  const chosen = stepCases.filter(({ name }) => name.includes(options.filter ?? ''));
  if (chosen.length === 0) {
    throw new RangeError(`no benchmark has "${options.filter}" in its name; there are: ${stepCases.map(({ name }) => name).join(', ')}`);
  }
  const prepared: Prepared[] = [];
  try {
    for (const one of chosen) prepared.push(await prepare(gpu, one));
    return await measureAll(
      gpu,
      prepared.map(({ bench }) => bench),
      options,
    );
  } finally {
    for (const one of prepared) await one.destroy();
  }
}
