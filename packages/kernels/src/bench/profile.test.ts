// The profile: its sums on made-up times, and a small recording on the device.
import { afterAll, describe, expect, it } from 'vitest';
import { Allocations } from '../gpu/allocations.js';
import { openDevice } from '../gpu/device.js';
import { Recorder, type RecordedCall } from '../gpu/recording.js';
import { activation } from '../ops/activation/index.js';
import { conv2d } from '../ops/conv2d/index.js';
import { profile, recordedWork, summariseLaunches, type Launch } from './profile.js';

const gpu = await openDevice();
afterAll(() => gpu.close());

const convolution = {
  batch: 8,
  channels: 16,
  height: 12,
  width: 12,
  filters: 8,
  kernel: [3, 3],
  stride: [1, 1],
  padding: [1, 1, 1, 1],
  groups: 1,
  bias: false,
} as const;
const CONV_FLOPS = 2 * 8 * 12 * 12 * 8 * 16 * 9;
const CONV_BYTES = 4 * (8 * 12 * 12 * 16 + 8 * 9 * 16 + 8 * 12 * 12 * 8);
const size = 8 * 12 * 12 * 8;

describe('summariseLaunches', () => {
  const conv: RecordedCall = { op: conv2d, pass: 'forward', shape: convolution, variant: 'two-step' };
  const relu: RecordedCall = { op: activation, pass: 'forward', shape: { size, kind: 'relu' }, variant: 'plain' };
  const launches: Launch[] = [
    { label: 'conv1 forward', kernel: 'conv2d/transform', elapsedMs: 1, call: conv },
    { label: 'conv1 forward', kernel: 'conv2d/multiply', elapsedMs: 3, call: conv },
    { label: 'relu1 forward', kernel: 'activation/forward', elapsedMs: 1, call: relu },
    { label: 'conv2 forward', kernel: 'conv2d/multiply', elapsedMs: 5, call: { ...conv } },
  ];
  // The convolution's operations take 1 ms at this roof, its bytes far less; the ReLU's bytes take 0.5 ms.
  const roof = { gflops: CONV_FLOPS / 1e6, gbps: (size * 8) / 0.5 / 1e6 };
  const summary = summariseLaunches(launches, roof);

  it('gathers the launches of a pass, with its operations once', () => {
    expect(summary.elapsedMs).toBe(10);
    expect(summary.passes.map(({ label, launches: count, elapsedMs, share }) => [label, count, elapsedMs, share])).toEqual([
      ['conv1 forward', 2, 4, 0.4],
      ['relu1 forward', 1, 1, 0.1],
      ['conv2 forward', 1, 5, 0.5],
    ]);
    const [conv1, relu1] = summary.passes;
    expect(conv1).toMatchObject({ op: 'conv2d', pass: 'forward', variant: 'two-step', flops: CONV_FLOPS, bytes: CONV_BYTES });
    expect(conv1!.gflops).toBeCloseTo(CONV_FLOPS / 4 / 1e6, 9);
    expect(conv1).toMatchObject({ bound: 'compute' });
    expect(conv1!.roofShare).toBeCloseTo(0.25, 9);
    expect(relu1).toMatchObject({ bound: 'memory', bytes: size * 8 });
    expect(relu1!.roofShare).toBeCloseTo(0.5, 9);
  });

  it('adds up by op and by kernel, longest first', () => {
    expect(summary.ops.map(({ name, elapsedMs, flops }) => [name, elapsedMs, flops])).toEqual([
      ['conv2d forward', 9, 2 * CONV_FLOPS],
      ['activation forward', 1, activation.passes['forward']!.flops({ size, kind: 'relu' })],
    ]);
    expect(summary.kernels.map(({ name, launches: count, elapsedMs }) => [name, count, elapsedMs])).toEqual([
      ['conv2d/multiply', 2, 8],
      ['conv2d/transform', 1, 1],
      ['activation/forward', 1, 1],
    ]);
    expect(summary.kernels[0]!.flops).toBeCloseTo(1.75 * CONV_FLOPS, 3); // three quarters of one, all of the other
  });
});

describe('profile', () => {
  it('times every launch beside the roof and frees what it took', async () => {
    const owned = new Allocations(gpu);
    const words = (name: string, count: number) => owned.allocate(count * 4, name);
    const tensors = { x: await words('x', 8 * 144 * 16), weight: await words('weight', 8 * 9 * 16), y: await words('y', size) };
    const z = await words('z', size);
    const record = async (name: string) => {
      const recorder = new Recorder(gpu);
      recorder.add(conv2d, 'forward', convolution, tensors, { label: name });
      recorder.add(activation, 'forward', { size, kind: 'relu' }, { x: tensors.y, y: z }, { label: `${name} relu` });
      return owned.adopt(await recorder.finish(name));
    };
    const [first, second] = [await record('first'), await record('second')];
    expect(recordedWork([first, second])).toEqual({
      flops: 2 * (CONV_FLOPS + activation.passes['forward']!.flops({ size, kind: 'relu' })),
      bytes: 2 * (CONV_BYTES + size * 8),
    });
    const before = gpu.statistics.bytesAllocated;
    const { profile: found, roof } = await profile(gpu, [first, second], { repetitions: 2 });
    expect(gpu.statistics.bytesAllocated).toBe(before);
    expect(roof.gflops).toBeGreaterThan(0.1);
    expect(roof.gbps).toBeGreaterThan(0.1);
    expect(found.passes.reduce((count, { launches }) => count + launches, 0)).toBe(first.steps.length + second.steps.length);
    expect(found.ops.map(({ name }) => name).toSorted()).toEqual(['activation forward', 'conv2d forward']);
    expect(found.ops.find(({ name }) => name === 'conv2d forward')!.flops).toBe(2 * CONV_FLOPS);
    expect(found.passes.every(({ elapsedMs }) => elapsedMs > 0)).toBe(true);
    expect(found.ops.reduce((all, { share }) => all + share, 0)).toBeCloseTo(1, 9);
    await owned.destroy();
  });
});
