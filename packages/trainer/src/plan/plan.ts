// A network compiled for a device: arenas, and the steps of one batch recorded once and replayed.
import { adam, Allocations, chooseVariant, fusesNorm, lossScale, Recorder, sgd } from '@n2n/kernels';
import type { Gpu, Precision, Recording, Slice } from '@n2n/kernels';
import type { NetworkSpec } from '../network/index.js';
import type { Feed } from '../train/feed.js';
import { initialScaling, type LossScaling } from '../train/loss-scaling.js';
import { emitMetrics, emitObjective, type Objective } from '../train/objective.js';
import type { Optimiser } from '../train/schedule.js';
import { buildForward } from './build.js';
import { CallList, type Activation, type Place } from './graph.js';
import { parameterBytes, type Parameters } from './parameters.js';

/** Where the plan finds what it does not own. */
interface Homes {
  readonly parameters: Parameters;
  readonly feed: Feed;
  readonly gradients?: Slice;
  readonly totals: Slice;
  readonly scaling?: Slice | undefined;
}

export interface PlanMemory {
  readonly activationBytes: number;
  /** What the activations would take if no place were used twice. */
  readonly activationBytesWithoutReuse: number;
  readonly scratchBytes: number;
}

/** Turns calls into steps of `recorder`; the activations' arena goes to `owned`. */
async function record(
  gpu: Gpu,
  calls: CallList,
  homes: Homes,
  recorder: Recorder,
  owned: Allocations,
  label: string,
): Promise<{ memory: PlanMemory; slice: (place: Place) => Slice }> {
  const layout = calls.allocate(gpu.alignment / 4);
  const arena = await owned.allocate(layout.words * 4, `${label} activations`);
  const slice = (place: Place): Slice => {
    if (place.kind === 'activation') {
      return { buffer: arena.buffer, offset: layout.offsets.get(place.id)! * 4, size: place.words * 4 };
    }
    switch (place.arena) {
      case 'parameters':
        return homes.parameters.within(homes.parameters.trained, place.name);
      case 'gradients':
        return homes.parameters.within(homes.gradients!, place.name);
      case 'state':
        return homes.parameters.within(homes.parameters.state, place.name);
      case 'batch':
        return place.name === 'totals' ? homes.totals : homes.feed.slice(place.name);
      case 'scaling':
        return homes.scaling!;
    }
  };
  for (const { op, pass, shape, places, label: node } of calls.calls) {
    const tensors = Object.fromEntries(Object.entries(places).map(([name, place]) => [name, slice(place)]));
    recorder.add(op, pass, shape, tensors, { label: node });
  }
  const memory = {
    activationBytes: layout.words * 4,
    activationBytesWithoutReuse: layout.wordsWithoutReuse * 4,
    scratchBytes: recorder.scratchBytes,
  };
  return { memory, slice };
}

export interface EvaluationPlanOptions {
  /** Ids of convolutions whose outputs are to be read after each batch. */
  readonly keep?: readonly string[];
  /** Batch-norms take each batch's own statistics, in place of the running ones. */
  readonly batchStatistics?: boolean;
}

/** The forward pass of a batch in evaluation mode, with its accuracy and loss added to `totals`. */
export class EvaluationPlan {
  private constructor(
    readonly recording: Recording,
    /** f32 [4]: sum of losses, correct, samples, unused. */
    readonly totals: Slice,
    /** [batch, classes4] of the last batch. */
    readonly logits: Slice,
    readonly memory: PlanMemory,
    /** Outputs that were asked for, by node id: [batch, positions, channels4] of the last batch. */
    readonly kept: ReadonlyMap<string, Slice>,
    private readonly owned: Allocations,
  ) {}

  static async create(gpu: Gpu, parameters: Parameters, feed: Feed, options: EvaluationPlanOptions = {}): Promise<EvaluationPlan> {
    const { keep = [], batchStatistics = false } = options;
    const { spec } = parameters;
    const calls = new CallList();
    const { logits } = buildForward(calls, spec, {
      batch: feed.batch,
      training: false,
      seed: 0,
      whole: keep,
      batchStatistics,
      fusesNorm: (shape) => !batchStatistics && fusesNorm(shape, gpu.traits, gpu.choices),
    });
    calls.keep(logits);
    const outputs = keep.map((id): [string, Activation] => [id, outputOf(calls, id)]);
    for (const [, output] of outputs) calls.keep(output);
    emitMetrics(calls, spec, feed.batch, logits);
    return Allocations.create(gpu, async (owned) => {
      const totals = await owned.allocate(16, 'totals');
      const recorder = new Recorder(gpu);
      const { memory, slice } = await record(gpu, calls, { parameters, feed, totals }, recorder, owned, spec.name);
      const recording = owned.adopt(await recorder.finish(`${spec.name} evaluation`));
      const kept = new Map(outputs.map(([id, output]) => [id, slice(output)]));
      return new EvaluationPlan(recording, totals, slice(logits), memory, kept, owned);
    });
  }

  async destroy(): Promise<void> {
    await this.owned.destroy();
  }
}

/** What the node's own call writes. */
function outputOf(calls: CallList, id: string): Activation {
  const output = calls.calls.find(({ label, pass }) => label === id && pass === 'forward')?.places['y'];
  if (output?.kind !== 'activation') throw new Error(`node "${id}" has no output of its own in this plan`);
  return output;
}

export interface TrainingPlanOptions {
  readonly objective: Objective;
  readonly optimiser: Optimiser;
  /** Keys dropout's masks. */
  readonly seed: number;
  /** Steps of the longest stretch between two resets of the feed's clock: the rows of the learning-rate table. */
  readonly steps: number;
  /** Mixed precision with such loss scaling; f32 without. */
  readonly lossScaling?: LossScaling | undefined;
}

/** One training step: forward, loss, backward, optimiser. */
export class TrainingPlan {
  private constructor(
    readonly recording: Recording,
    /** f32 [4]: sum of losses, correct, samples, unused; of the training batches. */
    readonly totals: Slice,
    /** f32 [steps, 4]: learning rate and Adam's corrections of each step. */
    readonly schedule: Slice,
    /** f32 [4], in mixed precision: the loss scale, its inverse, good steps in a row, skipped steps. */
    readonly scaling: Slice | undefined,
    readonly memory: PlanMemory,
    private readonly owned: Allocations,
  ) {}

  /** Throws AdapterError where mixed precision is asked for and the adapter does not have it. */
  static async create(gpu: Gpu, parameters: Parameters, feed: Feed, options: TrainingPlanOptions): Promise<TrainingPlan> {
    const { spec } = parameters;
    const { lossScaling } = options;
    const calls = new CallList();
    emitStep(calls, spec, feed.batch, options);
    const bytes = parameters.trainedWords * 4;
    return Allocations.create(gpu, async (owned) => {
      const gradients = await owned.allocate(bytes, `${spec.name} gradients`);
      const moments = [await owned.allocate(bytes, `${spec.name} first moment`)];
      if (options.optimiser.kind === 'adam') moments.push(await owned.allocate(bytes, `${spec.name} second moment`));
      const schedule = await owned.allocate(options.steps * 16, 'learning rates');
      const totals = await owned.allocate(16, 'totals');
      const scaling = lossScaling === undefined ? undefined : await owned.allocate(16, 'loss scale');
      if (lossScaling !== undefined) gpu.write(scaling!, initialScaling(lossScaling));
      const recorder = new Recorder(gpu, lossScaling === undefined ? 'f32' : 'mixed');
      const homes = { parameters, feed, gradients, totals, scaling };
      const { memory } = await record(gpu, calls, homes, recorder, owned, spec.name);
      recordOptimiser(gpu, recorder, parameters, { gradients, moments, schedule, scaling, feed }, options);
      const recording = owned.adopt(await recorder.finish(`${spec.name} training step`));
      return new TrainingPlan(recording, totals, schedule, scaling, memory, owned);
    });
  }

  async destroy(): Promise<void> {
    await this.owned.destroy();
  }
}

/** What the kernels of a plan, and with them its scratch memory, depend on. */
export type PlanDevice = Pick<Gpu, 'alignment' | 'traits' | 'choices'>;

/**
 * Device bytes that training a network takes beside the feed: parameters, gradients, moments, activations, scratch. Throws SpecError
 * when no plan computes the network, ShapeError when no kernel can.
 */
export function trainingBytes(
  spec: NetworkSpec,
  batch: number,
  {
    objective,
    optimiser,
    precision,
  }: Pick<TrainingPlanOptions, 'objective' | 'optimiser'> & { readonly precision?: Precision | undefined },
  { alignment, traits, choices }: PlanDevice,
): number {
  const calls = new CallList();
  emitStep(calls, spec, batch, { objective, seed: 0 });
  const { trained, state } = parameterBytes(spec, alignment);
  const copies = optimiser.kind === 'adam' ? 4 : 3; // themselves, their gradients, one moment or two
  const scratchWords = calls.calls.map(
    ({ op, pass, shape }) => chooseVariant(op, pass, shape, traits, { precision, choices }).scratchWords?.(shape, traits) ?? 0,
  );
  return copies * trained + state + (calls.allocate(alignment / 4).words + Math.max(...scratchWords)) * 4;
}

function emitStep(
  calls: CallList,
  spec: NetworkSpec,
  batch: number,
  { objective, seed, lossScaling }: Pick<TrainingPlanOptions, 'objective' | 'seed' | 'lossScaling'>,
): void {
  const { logits, backward } = buildForward(calls, spec, { batch, training: true, seed });
  const dlogits: Activation = emitObjective(calls, spec, batch, logits, objective);
  if (lossScaling !== undefined) {
    const places = { gradient: dlogits, scaling: { kind: 'external', arena: 'scaling', name: 'scaling' } } as const;
    calls.emit(lossScale, 'apply', { size: dlogits.words, ...lossScaling }, places, 'loss scale');
  }
  backward(dlogits);
}

interface OptimiserSlices {
  readonly gradients: Slice;
  readonly moments: readonly Slice[];
  readonly schedule: Slice;
  readonly scaling: Slice | undefined;
  readonly feed: Feed;
}

/**
 * One dispatch over the whole arena, or a few where the arena is larger than a binding may be. With loss scaling all gradients are
 * checked before the first of them.
 */
function recordOptimiser(
  gpu: Gpu,
  recorder: Recorder,
  parameters: Parameters,
  slices: OptimiserSlices,
  { optimiser, steps, lossScaling }: TrainingPlanOptions,
): void {
  const { scaling } = slices;
  const chunks = chunksOf(parameters.trainedWords, Math.floor(gpu.limits.maxStorageBufferBindingSize / 4 / 1024) * 1024);
  if (lossScaling !== undefined) {
    for (const { size, part } of chunks) {
      recorder.add(lossScale, 'check', { size, ...lossScaling }, { gradients: part(slices.gradients), scaling: scaling! });
    }
  }
  for (const { size, part } of chunks) {
    const common = {
      parameters: part(parameters.trained),
      gradients: part(slices.gradients),
      schedule: slices.schedule,
      clock: slices.feed.slice('clock'),
      ...(scaling === undefined ? {} : { scaling }),
    };
    const scaled = scaling !== undefined;
    const [first, second] = slices.moments;
    if (optimiser.kind === 'sgd') {
      const { momentum, nesterov, weightDecay } = optimiser;
      recorder.add(sgd, 'step', { size, steps, momentum, nesterov, weightDecay, scaled }, { ...common, velocity: part(first!) });
    } else {
      const { beta1, beta2, epsilon, weightDecay, decoupled } = optimiser;
      const shape = { size, steps, beta1, beta2, epsilon, weightDecay, decoupled, scaled };
      recorder.add(adam, 'step', shape, { ...common, firstMoment: part(first!), secondMoment: part(second!) });
    }
  }
  if (lossScaling !== undefined) {
    recorder.add(lossScale, 'update', { size: parameters.trainedWords, ...lossScaling }, { scaling: scaling! });
  }
}

interface Chunk {
  /** Words. */
  readonly size: number;
  /** The same part of any arena. */
  part(arena: Slice): Slice;
}

function chunksOf(words: number, most: number): Chunk[] {
  return Array.from({ length: Math.ceil(words / most) }, (_, i) => {
    const size = Math.min(most, words - i * most);
    return { size, part: ({ buffer, offset }) => ({ buffer, offset: offset + i * most * 4, size: size * 4 }) };
  });
}
