// The tuner: times the variants of matrix products and convolutions on the adapter at hand, one shape for each class of shapes,
// each held to the plain kernel on that shape before its time counts. Only a clear gain overrides the order of preference, for
// that order looks at the shape itself and a choice at its class only.
import { performance } from 'node:perf_hooks';
import { measureAll } from '../bench/measure.js';
import { allocateTensors } from '../bench/tensors.js';
import type { Gpu, Slice } from '../gpu/device.js';
import { DeviceMemoryError, DeviceUseError } from '../gpu/errors.js';
import { Recorder, type Recording } from '../gpu/recording.js';
import { chooseVariant, ShapeError, type Choices, type Pass, type TensorDeclaration, type Variant } from '../ops/op.js';
import { compare } from '../testing/conformance.js';
import { tuneCases, type TuneCase } from './cases.js';

export interface TunedVariant {
  readonly variant: string;
  /** The least wall time of one launch; null when it was not timed. */
  readonly bestMs: number | null;
  /** 1e9 floating-point operations a second, at that time. */
  readonly gflops: number | null;
  /** Largest difference from the plain kernel over the largest result. */
  readonly deviation: number | null;
  /** Why it may not be chosen. */
  readonly refused: string | null;
}

export interface TunedCase {
  /** The class: `conv2d/forward/3x3 s1 c64 f64 p16384`. */
  readonly name: string;
  /** The shape measured for it. */
  readonly shape: unknown;
  readonly flops: number;
  /** What the order of preference takes for this shape. */
  readonly builtIn: string;
  readonly chosen: string;
  readonly variants: readonly TunedVariant[];
}

export interface TuneOptions {
  /** Only the classes whose name contains this. */
  readonly filter?: string;
  /** Also variants that are not preferred on this adapter. One of fewer bits is timed but never chosen. */
  readonly all?: boolean;
  /** After this wall time no further case begins. */
  readonly timeLimitMs?: number;
  /** Classes to measure after all others: those that an earlier tuning has. */
  readonly last?: ReadonlySet<string>;
  readonly onProgress?: (progress: { readonly done: number; readonly total: number; readonly name: string }) => void;
  readonly signal?: AbortSignal;
}

export interface Tuned {
  readonly cases: readonly TunedCase[];
  /** What was not measured, with the reason. */
  readonly left: readonly { readonly name: string; readonly reason: string }[];
}

/** How many times faster than the variant of the order of preference another must be: single figures move by 10 %. */
const LEAST_GAIN = 1.15;
/** A variant this many times slower than the fastest in one launch is timed no further. */
const HOPELESS = 3;
/** Launches beyond this are hardly lengthened by pauses of the process, and tried once to see whether they are hopeless. */
const LONG_MS = 100;
const REPETITIONS = 7;
const MINIMUM_MS = 15;

/** Measures the classes in the order of `tuneCases`. Throws RangeError when the filter leaves none. */
export async function tune(gpu: Gpu, options: TuneOptions = {}): Promise<Tuned> {
  const { filter = '', timeLimitMs = Infinity, last = new Set(), onProgress, signal } = options;
  const known = tuneCases(gpu.adapter.software);
  const wanted = known.filter(({ name }) => name.includes(filter));
  if (wanted.length === 0)
    throw new RangeError(`no class has "${filter}" in its name; there are ${known.map(({ name }) => name).join(', ')}`);
  const ordered = [...wanted.filter(({ name }) => !last.has(name)), ...wanted.filter(({ name }) => last.has(name))];
  const deadline = performance.now() + timeLimitMs;
  const cases: TunedCase[] = [];
  const left: { name: string; reason: string }[] = [];
  for (const [index, one] of ordered.entries()) {
    signal?.throwIfAborted();
    if (performance.now() >= deadline) {
      left.push({ name: one.name, reason: 'the time limit' });
      continue;
    }
    onProgress?.({ done: index, total: ordered.length, name: one.name });
    try {
      cases.push(await tuneCase(gpu, one, options));
    } catch (error) {
      if (!(error instanceof DeviceMemoryError)) throw error;
      gpu.check();
      left.push({ name: one.name, reason: error.message });
    }
  }
  return { cases, left };
}

/** What differs from the order of preference, for `Gpu.choices`. */
export const choicesOf = (cases: readonly Pick<TunedCase, 'name' | 'builtIn' | 'chosen'>[]): Choices =>
  Object.fromEntries(cases.flatMap(({ name, builtIn, chosen }) => (chosen === builtIn ? [] : [[name, chosen]])));

interface Attempt {
  readonly variant: Variant<unknown>;
  readonly recording: Recording | undefined;
  readonly deviation: number | null;
  readonly refused: string | null;
  /** One launch's time. */
  readonly onceMs: number;
}

/** Checks and times the variants of one case. */
export async function tuneCase(gpu: Gpu, one: TuneCase, { all = false, signal }: TuneOptions = {}): Promise<TunedCase> {
  const { name, op, passName, shape, flops } = one;
  const pass = op.passes[passName]!;
  const builtIn = chooseVariant(op, passName, shape, gpu.traits).name;
  const candidates = pass.variants.filter(
    (variant) => variant.usable(shape, gpu.traits) && (all || (variant.preferred?.(shape, gpu.traits) ?? true)),
  );
  const tensors: Record<string, Slice> = {};
  const attempts: Attempt[] = [];
  try {
    await allocateTensors(gpu, pass, shape, name, tensors);
    const expected = await referenceOutput(gpu, one, tensors);
    for (const variant of candidates) attempts.push(await attempt(gpu, one, variant, tensors, expected));
    const bestMs = await timesOf(gpu, attempts, builtIn, signal);
    const variants = attempts.map(({ variant, deviation, refused }, i): TunedVariant => {
      const ms = bestMs[i] ?? null;
      return { variant: variant.name, bestMs: ms, gflops: ms === null ? null : flops / ms / 1e6, deviation, refused };
    });
    return { name, shape, flops, builtIn, chosen: fastest(variants, builtIn), variants };
  } finally {
    for (const { recording } of attempts) await recording?.destroy();
    await gpu.free(...Object.values(tensors));
  }
}

/** The name of the variant to take. */
export function fastest(variants: readonly TunedVariant[], builtIn: string): string {
  const able = variants.filter(({ refused, bestMs }) => refused === null && bestMs !== null);
  if (able.length === 0) return builtIn;
  const usual = able.find(({ variant }) => variant === builtIn);
  const best = able.reduce((a, b) => (b.bestMs! < a.bestMs! ? b : a), usual ?? able[0]!);
  return usual !== undefined && usual.bestMs! < LEAST_GAIN * best.bestMs! ? builtIn : best.variant;
}

const outputOf = (pass: Pass<unknown>): TensorDeclaration<unknown> => pass.tensors.find(({ role }) => role === 'out')!;

async function recorded(
  gpu: Gpu,
  { name, op, passName, shape }: TuneCase,
  variant: string,
  tensors: Record<string, Slice>,
): Promise<Recording> {
  const recorder = new Recorder(gpu);
  recorder.add(op, passName, shape, tensors, { variant });
  return recorder.finish(name);
}

/** One launch into an output of NaN, so that what is left unwritten shows. */
async function outputs(
  gpu: Gpu,
  { op, passName, shape }: TuneCase,
  recording: Recording,
  tensors: Record<string, Slice>,
): Promise<Float32Array> {
  const output = outputOf(op.passes[passName]!);
  gpu.write(tensors[output.name]!, new Float32Array(output.words(shape)).fill(NaN));
  recording.replay();
  return (await gpu.read(tensors[output.name]!)).subarray(0, output.words(shape));
}

/** The results of the last variant, the plain one that runs everywhere; conformance tests hold it to the float64 twin. */
async function referenceOutput(gpu: Gpu, one: TuneCase, tensors: Record<string, Slice>): Promise<Float32Array> {
  const recording = await recorded(gpu, one, one.op.passes[one.passName]!.variants.at(-1)!.name, tensors);
  try {
    const expected = await outputs(gpu, one, recording, tensors);
    if (!expected.every(Number.isFinite))
      throw new DeviceUseError(`${one.name}: the plain kernel gave a number that is not finite; it is wrong`);
    return expected;
  } finally {
    await recording.destroy();
  }
}

/** Compiles, runs and checks a variant. What this adapter refuses to compile or compute rightly is refused, not fatal. */
async function attempt(
  gpu: Gpu,
  one: TuneCase,
  variant: Variant<unknown>,
  tensors: Record<string, Slice>,
  expected: Float32Array,
): Promise<Attempt> {
  const pass = one.op.passes[one.passName]!;
  let recording: Recording;
  try {
    recording = await recorded(gpu, one, variant.name, tensors);
  } catch (error) {
    gpu.check();
    if (!(error instanceof DeviceUseError || error instanceof DeviceMemoryError || error instanceof ShapeError)) throw error;
    return { variant, recording: undefined, deviation: null, refused: error.message, onceMs: Infinity };
  }
  const { error: deviation } = compare(outputOf(pass).name, await outputs(gpu, one, recording, tensors), expected);
  const { tolerance = pass.tolerance } = variant;
  // Each of the two may be off by its tolerance.
  const wrong = !(deviation <= tolerance + pass.tolerance);
  const refused = wrong ? `differs from the plain kernel by ${deviation}` : tolerance > pass.tolerance ? 'computes with fewer bits' : null;
  const onceMs = wrong ? Infinity : await firstTime(gpu, recording);
  return { variant, recording, deviation: Number.isNaN(deviation) ? null : deviation, refused, onceMs };
}

/** The least time of a launch of three; of one where it is long. A single short one would be lost to any pause of the process. */
async function firstTime(gpu: Gpu, recording: Recording): Promise<number> {
  let leastMs = Infinity;
  for (let launch = 0; launch < 3; launch++) {
    leastMs = Math.min(leastMs, await gpu.time(() => recording.replay()));
    if (leastMs > LONG_MS) break;
  }
  return leastMs;
}

/** The least time of each attempt; undefined for what is wrong. The clearly slow keep the time of their first launches, but never the built-in one. */
async function timesOf(
  gpu: Gpu,
  attempts: readonly Attempt[],
  builtIn: string,
  signal: AbortSignal | undefined,
): Promise<(number | undefined)[]> {
  const least = Math.min(...attempts.map(({ onceMs }) => onceMs));
  const close = attempts.filter(({ variant, onceMs }) => onceMs < Infinity && (onceMs <= HOPELESS * least || variant.name === builtIn));
  const measured = await measureAll(
    gpu,
    close.map(({ variant, recording }) => ({ name: variant.name, record: recording! })),
    { repetitions: REPETITIONS, warmup: 1, minimumMs: MINIMUM_MS, ...(signal && { signal }) },
  );
  return attempts.map((one) => {
    const at = close.indexOf(one);
    const samples = measured[at]?.samplesMs ?? (one.onceMs < Infinity ? [one.onceMs] : []);
    return samples.length === 0 ? undefined : Math.min(...samples);
  });
}
