// The benchmark of the op set: every pass of every op at the shapes its declaration names, the cases that are compared with
// other engines, and the machine's limits.
import type { Gpu, Slice } from '../gpu/device.js';
import { DeviceUseError } from '../gpu/errors.js';
import { Recorder, type Recording } from '../gpu/recording.js';
import { conv2d, type Conv2dShape } from '../ops/conv2d/index.js';
import { allOps } from '../ops/index.js';
import { linear } from '../ops/linear/index.js';
import type { Op, Pass, TensorDeclaration } from '../ops/op.js';
import { chooseCases, isChosen, type NamedCase } from './cases.js';
import { measureAll, type BenchCase, type Measurement, type MeasureOptions } from './measure.js';
import { copy, multiplyAdd } from './roof/index.js';
import { allocateTensors } from './tensors.js';

export interface OpBenchCase extends NamedCase {
  /** `op/shape/pass`, or the names of the cases compared with other engines. */
  readonly name: string;
  readonly op: Op<unknown>;
  readonly passName: string;
  readonly shape: unknown;
}

export interface OpBenchOptions extends MeasureOptions {
  /** Only the cases whose name contains this. */
  readonly filter?: string;
  /** Only the cases that other engines are measured with, and the roof whatever the filter. */
  readonly headline?: boolean;
}

/** Square matrices, row-major: dx = dy weight is the product A B. */
const gemm = (size: number): OpBenchCase => ({
  name: `gemm/${size}`,
  op: linear,
  passName: 'input-gradient',
  shape: { batch: size, inputs: size, outputs: size, bias: false },
});

/** 3x3, stride 1, same padding; batch x channels x height x width - filters. */
function conv3x3(batch: number, channels: number, size: number, filters: number): OpBenchCase[] {
  const shape: Conv2dShape = {
    batch,
    channels,
    height: size,
    width: size,
    filters,
    kernel: [3, 3],
    stride: [1, 1],
    padding: [1, 1, 1, 1],
    groups: 1,
    bias: false,
  };
  const base = `conv3x3/${batch}x${channels}x${size}x${size}-${filters}`;
  return ['forward', 'input-gradient', 'weight-gradient'].map((passName) => ({ name: `${base}/${passName}`, op: conv2d, passName, shape }));
}

/** Sizes that fill a data-centre GPU: a large product, and the 3x3 convolutions of ResNet-18's stages at batch 256. */
function heavyCases(): OpBenchCase[] {
  const stages = [conv3x3(256, 64, 32, 64), conv3x3(256, 128, 16, 128), conv3x3(256, 256, 8, 256), conv3x3(256, 512, 4, 512)];
  return [gemm(4096), ...stages.flat()].map((one) => ({ ...one, heavy: one.name.split('/').slice(0, 2).join('/') }));
}

/** The largest sample by bytes, for an op that names no shape to time. */
function largestSample({ passes, samples }: Op<unknown>): readonly [string, unknown] {
  const size = (shape: unknown): number => Object.values(passes).reduce((sum, pass) => sum + passBytes(pass, shape), 0);
  const largest = samples.reduce((a, b) => (size(b) > size(a) ? b : a));
  return ['sample', largest];
}

function declaredCases(op: Op<unknown>): OpBenchCase[] {
  // conv2d and linear have the cases above.
  const compared = op.name === conv2d.name || op.name === linear.name;
  const shapes = Object.entries(op.benchmarks ?? (compared ? {} : Object.fromEntries([largestSample(op)])));
  return shapes.flatMap(([shapeName, shape]) =>
    Object.keys(op.passes).map((passName) => ({ name: `${op.name}/${shapeName}/${passName}`, op, passName, shape })),
  );
}

const roof = (op: Op<unknown>): OpBenchCase => ({ name: `roof/${op.name}`, op, passName: 'forward', shape: op.benchmarks![op.name] });

/** Every case of the op benchmark. */
export function opBenchCases(): OpBenchCase[] {
  return [
    gemm(512),
    gemm(1024),
    ...conv3x3(64, 16, 28, 32),
    ...conv3x3(64, 64, 16, 64),
    ...heavyCases(),
    ...allOps.flatMap(declaredCases),
    roof(multiplyAdd),
    roof(copy),
  ];
}

/** The cases that other engines are measured with, and the roof. */
export const headlineCases = (): OpBenchCase[] => opBenchCases().filter(({ name }) => /^(gemm|conv3x3|roof)\//.test(name));

/** Bytes that a pass has to move: inputs read once, outputs written once, what is updated in place both. */
export function passBytes<S>(pass: Pass<S>, shape: S): number {
  if (pass.bytes !== undefined) return pass.bytes(shape);
  return pass.tensors
    .filter((tensor) => tensor.optional?.(shape) !== true)
    .reduce((sum, tensor) => sum + tensor.words(shape) * 4 * (tensor.role === 'inout' ? 2 : 1), 0);
}

/**
 * Measures the op set. Each case first runs once on random data, and must give finite outputs that are not all zero. Throws
 * RangeError when the filter matches nothing.
 */
export async function runOpBench(gpu: Gpu, options: OpBenchOptions = {}): Promise<Measurement[]> {
  const { filter = '', signal, onProgress } = options;
  const { software } = gpu.adapter;
  const cases = options.headline
    ? headlineCases().filter((one) => isChosen(one, filter, software) || one.name.startsWith('roof/'))
    : chooseCases(opBenchCases(), filter, software);
  const prepared: Prepared[] = [];
  try {
    for (const [index, opCase] of cases.entries()) {
      signal?.throwIfAborted();
      prepared.push(await prepare(gpu, opCase));
      onProgress?.({ phase: 'prepare', done: index + 1, total: cases.length * 2, name: opCase.name });
    }
    return await measureAll(
      gpu,
      prepared.map(({ benchCase }) => benchCase),
      {
        ...options,
        ...(onProgress && {
          onProgress: (progress) =>
            onProgress(
              progress.phase === 'prepare' ? { ...progress, done: cases.length + progress.done, total: cases.length * 2 } : progress,
            ),
        }),
      },
    );
  } finally {
    for (const { recording, slices } of prepared) {
      await recording.destroy();
      await gpu.free(...slices);
    }
  }
}

interface Prepared {
  readonly benchCase: BenchCase;
  readonly recording: Recording;
  readonly slices: readonly Slice[];
}

/** Allocates and fills the tensors of a case, records it, and checks what it computes. */
async function prepare(gpu: Gpu, opCase: OpBenchCase): Promise<Prepared> {
  const { name, op, passName, shape } = opCase;
  const pass = op.passes[passName]!;
  const tensors: Record<string, Slice> = {};
  try {
    if (pass.differentiates !== undefined) await runForward(gpu, opCase, pass.differentiates.pass, tensors);
    await allocateTensors(gpu, pass, shape, name, tensors);
    const recording = await record(gpu, op, passName, shape, tensors);
    recording.replay();
    for (const declaration of pass.tensors) {
      const slice = tensors[declaration.name];
      if (declaration.role !== 'in' && slice !== undefined) await checkOutput(gpu, name, declaration, slice);
    }
    const benchCase = { name, record: recording, flops: pass.flops(shape), bytes: passBytes(pass, shape) };
    return { benchCase, recording, slices: Object.values(tensors) };
  } catch (error) {
    await gpu.free(...Object.values(tensors)).catch(() => undefined); // the first error is the one that tells
    throw error;
  }
}

/** A gradient pass reads what its forward pass saved (statistics, indices): random words would not do. */
async function runForward(gpu: Gpu, { name, op, shape }: OpBenchCase, forwardName: string, tensors: Record<string, Slice>): Promise<void> {
  await allocateTensors(gpu, op.passes[forwardName]!, shape, name, tensors);
  const forward = await record(gpu, op, forwardName, shape, tensors);
  forward.replay();
  await gpu.done();
  await forward.destroy();
}

async function record(gpu: Gpu, op: Op<unknown>, passName: string, shape: unknown, tensors: Record<string, Slice>): Promise<Recording> {
  const recorder = new Recorder(gpu);
  recorder.add(op, passName, shape, tensors);
  return recorder.finish(`${op.name} ${passName}`);
}

async function checkOutput(gpu: Gpu, name: string, { name: tensor, type }: TensorDeclaration<unknown>, slice: Slice): Promise<void> {
  const bytes = await gpu.readBytes(slice);
  const values = type === 'f32' ? new Float32Array(bytes) : new Uint32Array(bytes);
  let somewhere = false;
  for (const value of values) {
    if (!Number.isFinite(value)) throw new DeviceUseError(`${name}: "${tensor}" holds ${value} for random inputs; the kernel is wrong`);
    somewhere ||= value !== 0;
  }
  if (!somewhere) throw new DeviceUseError(`${name}: "${tensor}" is all zero for random inputs; the kernel is wrong`);
}
