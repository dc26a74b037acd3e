// Wall-clock measurement of recorded work. What makes the figures comparable: warm-up, as drivers compile at the first
// dispatch; enough replays in a submit that the clock and the submit do not matter; several repetitions, round-robin over
// the cases, so that a busy spell of the machine meets all of them; the median with the 10th and 90th percentile.
import { performance } from 'node:perf_hooks';
import type { Gpu } from '../gpu/device.js';
import { Recorder, type Recording } from '../gpu/recording.js';
import { median, quantile, relativeNoise, rising } from './statistics.js';

/** Anything that encodes one unit of work into an open pass; a Recording does. */
export interface Encodable {
  encode(pass: GPUComputePassEncoder): void;
}

export interface BenchCase {
  /** `conv3x3/64x16x28x28-32/forward` */
  readonly name: string;
  /** One unit of work: a recording, or what to record (which is then freed after the measurement). */
  readonly record: Encodable | ((recorder: Recorder) => void);
  /** Floating-point operations of one unit. */
  readonly flops?: number;
  /** Bytes that one unit has to move. */
  readonly bytes?: number;
  /** Training or evaluation samples of one unit. */
  readonly samples?: number;
}

export interface MeasureOptions {
  /** Timed submits of each case; 9 unless told. */
  readonly repetitions?: number;
  /** Untimed units of each case before calibration; 2 unless told. */
  readonly warmup?: number;
  /** Least wall time of one timed submit; 60 unless told. */
  readonly minimumMs?: number;
  /** After this wall time no further round of repetitions begins, once three are there; none unless told. */
  readonly timeLimitMs?: number;
  readonly onProgress?: (progress: BenchProgress) => void;
  readonly signal?: AbortSignal;
}

/** Rounds that a time limit leaves. */
const LEAST_REPETITIONS = 3;

export interface BenchProgress {
  readonly phase: 'prepare' | 'measure';
  readonly done: number;
  readonly total: number;
  /** The case just done. */
  readonly name: string;
}

export interface Measurement {
  readonly name: string;
  /** Wall time of one unit of work. */
  readonly medianMs: number;
  readonly p10Ms: number;
  readonly p90Ms: number;
  /** Spread of the samples: about their standard deviation over their median. */
  readonly noise: number;
  /** Every repetition's wall time of one unit, in the order of measurement; what `bench compare` tests. */
  readonly samplesMs: readonly number[];
  /** Host time of encoding one unit, before the clock of the samples starts; the device works meanwhile when submits overlap. */
  readonly encodeMs: number;
  /** 1e9 floating-point operations a second, at the median. */
  readonly gflops?: number;
  /** 1e9 bytes a second, at the median. */
  readonly gbps?: number;
  readonly samplesPerSecond?: number;
}

interface Run {
  readonly work: Encodable;
  readonly replays: number;
  readonly samplesMs: number[];
  readonly encodesMs: number[];
}

/** A submit longer than this gains nothing and makes the encoder slow. */
const MOST_REPLAYS = 4096;

/** Measures one case. */
export async function measure(gpu: Gpu, benchCase: BenchCase, options: MeasureOptions = {}): Promise<Measurement> {
  return (await measureAll(gpu, [benchCase], options))[0]!;
}

/** Measures the cases in turns; results in the order given. All of them hold their memory until the end. */
export async function measureAll(gpu: Gpu, cases: readonly BenchCase[], options: MeasureOptions = {}): Promise<Measurement[]> {
  const { repetitions = 9, warmup = 2, minimumMs = 60, timeLimitMs = Infinity, onProgress, signal } = options;
  if (!Number.isInteger(repetitions) || repetitions < 1)
    throw new RangeError(`repetitions is ${repetitions}; it must be a positive integer`);
  const deadline = performance.now() + timeLimitMs;
  const owned: Recording[] = [];
  try {
    const runs: Run[] = [];
    for (const [index, { name, record }] of cases.entries()) {
      signal?.throwIfAborted();
      let work: Encodable;
      if (typeof record === 'function') {
        const recorder = new Recorder(gpu);
        record(recorder);
        const recording = await recorder.finish(name);
        owned.push(recording);
        work = recording;
      } else work = record;
      for (let i = 0; i < warmup; i++) await submit(gpu, work, 1);
      runs.push({ work, replays: await calibrate(gpu, work, minimumMs), samplesMs: [], encodesMs: [] });
      onProgress?.({ phase: 'prepare', done: index + 1, total: cases.length, name });
    }
    for (let repetition = 0; repetition < repetitions; repetition++) {
      if (repetition >= LEAST_REPETITIONS && performance.now() > deadline) break;
      for (const [index, { work, replays, samplesMs, encodesMs }] of runs.entries()) {
        signal?.throwIfAborted();
        const { elapsedMs, encodeMs } = await submit(gpu, work, replays);
        samplesMs.push(elapsedMs / replays);
        encodesMs.push(encodeMs / replays);
        onProgress?.({
          phase: 'measure',
          done: repetition * cases.length + index + 1,
          total: repetitions * cases.length,
          name: cases[index]!.name,
        });
      }
    }
    return cases.map((benchCase, index) => summarise(benchCase, runs[index]!));
  } finally {
    for (const recording of owned) await recording.destroy();
  }
}

/** Submits `replays` units. `elapsedMs`: from the submit to the end of the work; encoding, in `encodeMs`, is not in it. */
async function submit(gpu: Gpu, work: Encodable, replays: number): Promise<{ elapsedMs: number; encodeMs: number }> {
  await gpu.done();
  const start = performance.now();
  const encoder = gpu.raw.createCommandEncoder();
  const pass = encoder.beginComputePass();
  for (let i = 0; i < replays; i++) work.encode(pass);
  pass.end();
  const commands = encoder.finish();
  const encoded = performance.now();
  gpu.raw.queue.submit([commands]);
  gpu.statistics.submits += 1;
  await gpu.done();
  return { elapsedMs: performance.now() - encoded, encodeMs: encoded - start };
}

/** Replays a submit so that it takes `minimumMs`. */
async function calibrate(gpu: Gpu, work: Encodable, minimumMs: number): Promise<number> {
  for (let replays = 1; ;) {
    const { elapsedMs } = await submit(gpu, work, replays);
    if (elapsedMs >= minimumMs || replays >= MOST_REPLAYS) return replays;
    // At most eightfold at a time, as short submits overstate the time of a unit; 1.1: to be past the minimum, not at it.
    const wanted = Math.ceil(replays * Math.min(8, (1.1 * minimumMs) / elapsedMs));
    replays = Math.min(MOST_REPLAYS, Math.max(replays + 1, wanted));
  }
}

function summarise({ name, flops, bytes, samples }: BenchCase, { samplesMs, encodesMs }: Run): Measurement {
  const sorted = rising(samplesMs);
  const medianMs = quantile(sorted, 0.5);
  return {
    name,
    medianMs,
    p10Ms: quantile(sorted, 0.1),
    p90Ms: quantile(sorted, 0.9),
    noise: relativeNoise(samplesMs),
    samplesMs,
    encodeMs: median(encodesMs),
    ...(flops !== undefined && flops > 0 && { gflops: flops / medianMs / 1e6 }),
    ...(bytes !== undefined && bytes > 0 && { gbps: bytes / medianMs / 1e6 }),
    ...(samples !== undefined && { samplesPerSecond: (samples / medianMs) * 1e3 }),
  };
}
