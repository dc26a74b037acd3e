// The profile of recorded work: device time of every launch by timestamp queries, gathered by pass and by kernel, beside the
// roof (multiply-adds in registers, a copy) measured in the same rounds.
import type { Gpu } from '../gpu/device.js';
import { Allocations } from '../gpu/allocations.js';
import { Recorder, type RecordedCall, type Recording } from '../gpu/recording.js';
import { timeRecording, timeSteps } from '../gpu/timing.js';
import { passBytes } from './ops.js';
import { copy, multiplyAdd } from './roof/index.js';
import { median } from './statistics.js';

/** What the adapter reaches at most: 1e9 floating-point operations and 1e9 bytes a second. */
export interface Roof {
  readonly gflops: number;
  readonly gbps: number;
}

/** Device time, and what was done in it. */
export interface ProfileRow {
  /** Device milliseconds of one replay: the median over the repetitions. */
  readonly elapsedMs: number;
  /** Of the sum over all launches. */
  readonly share: number;
  readonly launches: number;
  readonly flops: number;
  /** Bytes that had to move: inputs read once, outputs written once. */
  readonly bytes: number;
  readonly gflops: number;
  readonly gbps: number;
  /**
   * max(flops / roof, bytes / roof) / time: the least time that the work could take over the time it took. Above 1 where tensors
   * stay in a cache, which the copy does not.
   */
  readonly roofShare: number;
  /** Which of the two sets the least time. */
  readonly bound: 'compute' | 'memory';
}

/** One pass of one node: `conv1 forward`. */
export interface PassProfile extends ProfileRow {
  readonly label: string;
  readonly op: string;
  readonly pass: string;
  readonly variant: string;
  readonly shape: unknown;
}

/** All launches of an op's pass (`conv2d weight-gradient`), or of a kernel (`conv2d/forward.taps`). */
export interface GroupProfile extends ProfileRow {
  readonly name: string;
}

export interface Profile {
  /** Sum over the launches, which are timed one by one: what overlaps otherwise counts in full. */
  readonly elapsedMs: number;
  readonly passes: readonly PassProfile[];
  /** Longest first. */
  readonly ops: readonly GroupProfile[];
  /** Longest first. Operations and bytes of a pass with several launches are shared out by their times. */
  readonly kernels: readonly GroupProfile[];
}

export interface ProfileOptions {
  /** Timed replays after one that does not count; 5 unless told. */
  readonly repetitions?: number;
  readonly onProgress?: (done: number, total: number) => void;
  readonly signal?: AbortSignal;
}

/**
 * Profiles recordings that run in turn (the feed and the step) as one piece of work. Throws DeviceUseError without timestamp
 * queries. Every replay changes what the recordings change.
 */
export async function profile(
  gpu: Gpu,
  recordings: readonly Recording[],
  options: ProfileOptions = {},
): Promise<{ profile: Profile; roof: Roof }> {
  const { repetitions = 5, onProgress, signal } = options;
  return withRoof(gpu, async (measureRoof) => {
    const roofs: Roof[] = [];
    const rounds: Launch[][] = [];
    for (let round = -1; round < repetitions; round++) {
      signal?.throwIfAborted();
      const roof = await measureRoof();
      const launches: Launch[] = [];
      for (const recording of recordings) {
        const times = await timeSteps(gpu, recording);
        times.forEach(({ label, kernel, elapsedMs }, i) => launches.push({ label, kernel, elapsedMs, call: recording.steps[i]!.call }));
      }
      if (round < 0) continue; // drivers compile at the first dispatch
      roofs.push(roof);
      rounds.push(launches);
      onProgress?.(round + 1, repetitions);
    }
    // A limit: the best of the rounds, where the work's own times are medians.
    const roof = { gflops: Math.max(...roofs.map(({ gflops }) => gflops)), gbps: Math.max(...roofs.map(({ gbps }) => gbps)) };
    const launches = rounds[0]!.map((launch, i) => ({ ...launch, elapsedMs: median(rounds.map((round) => round[i]!.elapsedMs)) }));
    return { profile: summariseLaunches(launches, roof), roof };
  });
}

export interface Launch {
  readonly label: string;
  readonly kernel: string;
  readonly elapsedMs: number;
  /** The same object in all launches of one pass. */
  readonly call: RecordedCall;
}

/** Gathers launches by pass, by op and by kernel. */
export function summariseLaunches(launches: readonly Launch[], roof: Roof): Profile {
  const elapsedMs = sum(launches, (launch) => launch.elapsedMs);
  const groups = [...groupBy(launches, ({ call }) => call)];
  const row = (work: Work): ProfileRow => profileRow(work, elapsedMs, roof);
  const passes = groups.map(([call, members]): PassProfile => {
    const { op, pass, variant, shape } = call;
    return { label: members[0]!.label, op: op.name, pass, variant, shape, ...row(workOf(call, members)) };
  });
  const shared = groups.flatMap(([call, members]) => shareOut(workOf(call, members), members));
  const named = (groupsByName: Map<string, Work[]>): GroupProfile[] =>
    [...groupsByName].map(([name, works]) => ({ name, ...row(total(works)) })).toSorted((a, b) => b.elapsedMs - a.elapsedMs);
  return {
    elapsedMs,
    passes,
    ops: named(groupBy(passes, ({ op, pass }) => `${op} ${pass}`)),
    kernels: named(groupBy(shared, ({ kernel }) => kernel)),
  };
}

/** Operations and bytes of one replay of the recordings. */
export function recordedWork(recordings: readonly Recording[]): { flops: number; bytes: number } {
  const calls = recordings.flatMap(({ steps }) => [...new Set(steps.map(({ call }) => call))]);
  return {
    flops: sum(calls, ({ op, pass, shape }) => op.passes[pass]!.flops(shape)),
    bytes: sum(calls, ({ op, pass, shape }) => passBytes(op.passes[pass]!, shape)),
  };
}

interface Work {
  readonly elapsedMs: number;
  readonly launches: number;
  readonly flops: number;
  readonly bytes: number;
}

function workOf({ op, pass, shape }: RecordedCall, members: readonly Launch[]): Work {
  const declaration = op.passes[pass]!;
  return {
    elapsedMs: sum(members, ({ elapsedMs }) => elapsedMs),
    launches: members.length,
    flops: declaration.flops(shape),
    bytes: passBytes(declaration, shape),
  };
}

function shareOut(work: Work, members: readonly Launch[]): (Work & { readonly kernel: string })[] {
  return members.map(({ kernel, elapsedMs }) => {
    const part = work.elapsedMs > 0 ? elapsedMs / work.elapsedMs : 1 / members.length;
    return { kernel, elapsedMs, launches: 1, flops: work.flops * part, bytes: work.bytes * part };
  });
}

const total = (works: readonly Work[]): Work => ({
  elapsedMs: sum(works, ({ elapsedMs }) => elapsedMs),
  launches: sum(works, ({ launches }) => launches),
  flops: sum(works, ({ flops }) => flops),
  bytes: sum(works, ({ bytes }) => bytes),
});

function profileRow({ elapsedMs, launches, flops, bytes }: Work, wholeMs: number, roof: Roof): ProfileRow {
  const rate = (amount: number): number => (elapsedMs > 0 ? amount / elapsedMs / 1e6 : 0);
  const computeMs = flops / roof.gflops / 1e6;
  const memoryMs = bytes / roof.gbps / 1e6;
  return {
    elapsedMs,
    share: wholeMs > 0 ? elapsedMs / wholeMs : 0,
    launches,
    flops,
    bytes,
    gflops: rate(flops),
    gbps: rate(bytes),
    roofShare: elapsedMs > 0 ? Math.max(computeMs, memoryMs) / elapsedMs : 0,
    bound: computeMs >= memoryMs ? 'compute' : 'memory',
  };
}

/** Hands `work` a function that measures the roof once, by timestamps as the rest. */
async function withRoof<T>(gpu: Gpu, work: (measure: () => Promise<Roof>) => Promise<T>): Promise<T> {
  const owned = new Allocations(gpu);
  try {
    const sweep = copy.benchmarks!['copy']!;
    const chains = multiplyAdd.benchmarks!['multiply-add']!;
    const x = await owned.allocate(sweep.size * 4, 'roof x');
    const y = await owned.allocate(sweep.size * 4, 'roof y');
    const compute = new Recorder(gpu);
    compute.add(multiplyAdd, 'forward', chains, { x, y });
    const memory = new Recorder(gpu);
    memory.add(copy, 'forward', sweep, { x, y });
    const recordings = [owned.adopt(await compute.finish('roof compute')), owned.adopt(await memory.finish('roof memory'))] as const;
    const amounts = [multiplyAdd.passes['forward']!.flops(chains), passBytes(copy.passes['forward']!, sweep)] as const;
    return await work(async () => ({
      gflops: amounts[0] / (await timeRecording(gpu, recordings[0])) / 1e6,
      gbps: amounts[1] / (await timeRecording(gpu, recordings[1])) / 1e6,
    }));
  } finally {
    await owned.destroy();
  }
}

function groupBy<T, K>(items: readonly T[], key: (item: T) => K): Map<K, T[]> {
  const groups = new Map<K, T[]>();
  for (const item of items) {
    const group = groups.get(key(item));
    if (group === undefined) groups.set(key(item), [item]);
    else group.push(item);
  }
  return groups;
}

const sum = <T>(items: readonly T[], of: (item: T) => number): number => items.reduce((all, item) => all + of(item), 0);
