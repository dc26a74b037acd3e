// Whole training steps and evaluations of zoo networks on random images: what a search pays for.
import {
  chooseCases,
  measureAll,
  profile,
  recordedWork,
  type BenchCase,
  type Encodable,
  type Gpu,
  type Measurement,
  type MeasureOptions,
  type NamedCase,
  type Precision,
  type Profile,
  type ProfileOptions,
  type Recording,
  type Roof,
} from '@n2n/kernels';
import {
  defaultLossScaling,
  defaultSgd,
  DeviceImages,
  EvaluationPlan,
  Feed,
  initialWeights,
  keyedRandom,
  Parameters,
  plainOrder,
  TrainingPlan,
  type Sgd,
  type Split,
} from '@n2n/trainer';
import { zooNames, zooSpec, type NetworkSpec } from '@n2n/trainer/network';

type Kind = 'step' | 'eval';

export interface StepCase extends NamedCase {
  /** `step/mnist-cnn/64`: what / network / batch; in mixed precision with `/mixed` behind. */
  readonly name: string;
  readonly kind: Kind;
  /** Of a training step; f32 unless told. */
  readonly precision?: Precision;
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

/** The networks that this version has. */
export const stepCases: readonly StepCase[] = [
  stepCase('step', 'mnist-cnn', 64, mnist),
  stepCase('step', 'mnist-cnn', 256, mnist),
  stepCase('eval', 'mnist-cnn', 500, mnist),
  stepCase('step', 'plain-6', 64, mnist),
  stepCase('step', 'resnet20', 16, cifar),
  stepCase('step', 'resnet18', 16, cifar),
  stepCase('step', 'vgg13', 16, cifar),
  { ...stepCase('step', 'resnet18', 256, cifar), heavy: 'step/resnet18/256' },
].filter(({ network }) => zooNames.includes(network));

function randomSplit(count: number, spec: NetworkSpec): Split {
  const { channels, height, width } = spec.input;
  const draw = keyedRandom(1, 'benchmark-images');
  const words = Uint32Array.from({ length: Math.ceil((count * channels * height * width) / 4) }, () => draw.next());
  const images = new Uint8Array(words.buffer, 0, count * channels * height * width);
  return { count, images, labels: Uint8Array.from({ length: count }, (_, i) => i % spec.classes) };
}

export interface PreparedStep {
  readonly bench: BenchCase;
  /** What a unit of work replays: the feed's gathering, then the plan. */
  readonly recordings: readonly [feed: Recording, plan: Recording];
  readonly memory: StepMemory;
  readonly plan: TrainingPlan | EvaluationPlan;
  readonly parameters: Parameters;
  destroy(): Promise<void>;
}

/** Device memory of a step beside its parameters. */
export interface StepMemory {
  readonly activationBytes: number;
  /** What the activations would take if no place were used twice. */
  readonly activationBytesWithoutReuse: number;
  readonly scratchBytes: number;
}

export interface StepData {
  readonly spec: NetworkSpec;
  readonly split: Split;
  readonly weights: ReadonlyMap<string, Float32Array>;
}

/** Keyed random images and weights: the same in every process. */
export function stepData({ network, batch, channels, size }: StepCase): StepData {
  const spec = zooSpec(network, { channels, height: size, width: size, classes: 10 });
  return { spec, split: randomSplit(batch, spec), weights: initialWeights(spec, 1) };
}

/** Preprocessing of the benchmarks' images: (pixel / 255 - mean) / std. */
export const BENCH_MEAN = 0.5;
export const BENCH_STD = 0.29;
/** The rate at which timed steps train: finite over any number of steps on one batch. */
const TIMED_LEARNING_RATE = 1e-4;

export interface PrepareOptions {
  readonly learningRate?: number;
  readonly optimiser?: Partial<Pick<Sgd, 'momentum' | 'nesterov' | 'weightDecay'>>;
}

/** Everything resident; one unit of work gathers the batch and runs the plan. The clock stands still: every step is the same work. */
export async function prepareStep(gpu: Gpu, stepOf: StepCase, data: StepData, options: PrepareOptions = {}): Promise<PreparedStep> {
  const { name, kind, batch, channels } = stepOf;
  const { spec, split, weights } = data;
  const { learningRate = TIMED_LEARNING_RATE, optimiser = {} } = options;
  const images = await DeviceImages.create(gpu, split, spec.input);
  const preprocessing = { mean: Array<number>(channels).fill(BENCH_MEAN), std: Array<number>(channels).fill(BENCH_STD) };
  const feed = await Feed.create(gpu, images, { batch, steps: 1, preprocessing });
  const parameters = await Parameters.create(gpu, spec, weights);
  const plan =
    kind === 'eval'
      ? await EvaluationPlan.create(gpu, parameters, feed)
      : await TrainingPlan.create(gpu, parameters, feed, {
          objective: { hard: { weight: 1, smoothing: 0 } },
          optimiser: { ...defaultSgd, ...optimiser, learningRate },
          seed: 1,
          steps: 1,
          lossScaling: stepOf.precision === 'mixed' ? defaultLossScaling : undefined,
        });
  if (plan instanceof TrainingPlan) gpu.write(plan.schedule, new Float32Array([learningRate, 0, 0, 0]));
  feed.setOrder(plainOrder(Uint32Array.from({ length: batch }, (_, i) => i)));
  const recordings = [feed.fill, plan.recording] as const;
  const work: Encodable = {
    encode(pass) {
      for (const recording of recordings) recording.encode(pass);
    },
  };
  return {
    bench: { name, record: work, samples: batch, ...recordedWork(recordings) },
    recordings,
    memory: { ...plan.memory },
    plan,
    parameters,
    async destroy() {
      await plan.destroy();
      await feed.destroy();
      await parameters.destroy();
      await images.destroy();
    },
  };
}

interface ChoiceOptions {
  /** Only the cases whose name contains this. */
  readonly filter?: string;
  /** Of training steps; evaluations are f32. */
  readonly precision?: Precision;
}

/** Throws RangeError when the filter matches nothing. */
const chosenCases = ({ filter = '', precision = 'f32' }: ChoiceOptions, { adapter }: Gpu): StepCase[] =>
  chooseCases(stepCases, filter, adapter.software).map((one) =>
    precision === 'f32' || one.kind === 'eval' ? one : { ...one, precision, name: `${one.name}/${precision}` },
  );

export interface StepBenchOptions extends MeasureOptions, ChoiceOptions {}

export interface StepMeasurement extends Measurement {
  readonly memory: StepMemory;
}

/** Measures training steps and evaluations in turns. Throws RangeError when the filter matches nothing. */
export async function runStepBench(gpu: Gpu, options: StepBenchOptions = {}): Promise<StepMeasurement[]> {
  const chosen = chosenCases(options, gpu);
  const prepared: PreparedStep[] = [];
  try {
    for (const one of chosen) {
      options.signal?.throwIfAborted();
      prepared.push(await prepareStep(gpu, one, stepData(one)));
    }
    const measured = await measureAll(
      gpu,
      prepared.map(({ bench }) => bench),
      options,
    );
    return measured.map((measurement, index) => ({ ...measurement, memory: prepared[index]!.memory }));
  } finally {
    for (const one of prepared) await one.destroy();
  }
}

export interface StepProfile {
  readonly name: string;
  readonly profile: Profile;
  /** Measured in the same rounds. */
  readonly roof: Roof;
}

export interface StepProfileOptions extends Omit<ProfileOptions, 'onProgress'>, ChoiceOptions {
  readonly onProgress?: (progress: { readonly done: number; readonly total: number; readonly name: string }) => void;
}

/** Device time of every pass of the chosen steps, one step after the other. Throws RangeError when the filter matches nothing. */
export async function profileSteps(gpu: Gpu, options: StepProfileOptions = {}): Promise<StepProfile[]> {
  const { filter: _, precision: _precision, onProgress, ...rest } = options;
  const chosen = chosenCases(options, gpu);
  const profiles: StepProfile[] = [];
  for (const [index, one] of chosen.entries()) {
    const prepared = await prepareStep(gpu, one, stepData(one));
    try {
      const found = await profile(gpu, prepared.recordings, {
        ...rest,
        onProgress: (done, total) => onProgress?.({ done: index * total + done, total: chosen.length * total, name: one.name }),
      });
      profiles.push({ name: one.name, ...found });
    } finally {
      await prepared.destroy();
    }
  }
  return profiles;
}
