// Recordings: what the recorder refuses, replays, recordings in turns, scratch memory, and time on the device.
import { afterAll, describe, expect, it } from 'vitest';
import { copy, multiplyAdd } from '../bench/roof/index.js';
import { clock } from '../ops/clock/index.js';
import { ShapeError, type Op } from '../ops/op.js';
import { openDevice, type Slice } from './device.js';
import { DeviceMemoryError, DeviceUseError } from './errors.js';
import { encodeInterleaved, Recorder, type Recording } from './recording.js';
import { hasTimestamps, timeRecording, timeSteps } from './timing.js';

const gpu = await openDevice();
afterAll(() => gpu.close());

const a = await gpu.allocate(4096, 'a');
const b = await gpu.allocate(4096, 'b');
const counter = await gpu.allocate(16, 'clock');

/** copy in two launches through scratch memory. */
const twice: Op<{ readonly size: number }> = {
  ...copy,
  name: 'twice',
  passes: {
    forward: {
      ...copy.passes['forward']!,
      variants: [
        {
          name: 'scratch',
          usable: () => true,
          scratchWords: ({ size }) => size,
          dispatches: (shape, device) => {
            const [launch] = copy.passes['forward']!.variants[0]!.dispatches(shape, device);
            return [
              { ...launch!, bind: ['x', 'scratch'] },
              { ...launch!, bind: ['scratch', 'y'] },
            ];
          },
        },
      ],
    },
  },
};

async function recorded(record: (recorder: Recorder) => void): Promise<Recording> {
  const recorder = new Recorder(gpu);
  record(recorder);
  return recorder.finish('test');
}

const ticks = (by: number, slice: Slice = counter): Promise<Recording> =>
  recorded((recorder) => recorder.add(clock, 'tick', { by }, { clock: slice }));
const count = async (slice: Slice = counter): Promise<number> => new Uint32Array(await gpu.readBytes(slice))[0]!;

describe('the recorder refuses', () => {
  const recorder = new Recorder(gpu);

  it('a missing tensor, by name', () => {
    expect(() => recorder.add(copy, 'forward', { size: 1024 }, { x: a })).toThrow('copy forward: tensor "y" is missing');
  });

  it('a tensor that is too small, with both sizes', () => {
    expect(() => recorder.add(copy, 'forward', { size: 1028 }, { x: a, y: b })).toThrow('copy forward: "x" got 4096 bytes, needs 4112');
  });

  it('a tensor over the binding limit', () => {
    const words = Math.floor(gpu.limits.maxStorageBufferBindingSize / 16) * 4 + 4;
    const claimed: Slice = { buffer: a.buffer, offset: 0, size: words * 4 };
    expect(() => recorder.add(copy, 'forward', { size: words }, { x: claimed, y: claimed })).toThrow(DeviceMemoryError);
    expect(() => recorder.add(copy, 'forward', { size: words }, { x: claimed, y: claimed })).toThrow(
      /binds at most \d+\. Use a smaller batch/,
    );
  });

  it('a bad shape, an unknown pass and an unknown variant', () => {
    expect(() => recorder.add(copy, 'forward', { size: 5 }, { x: a, y: b })).toThrow(ShapeError);
    expect(() => recorder.add(copy, 'backward', { size: 4 }, { x: a, y: b })).toThrow('copy: has no pass "backward"; it has forward');
    expect(() => recorder.add(copy, 'forward', { size: 4 }, { x: a, y: b }, { variant: 'tiled' })).toThrow(/no usable variant \(tiled\)/);
  });

  it('a launch that binds an undeclared name', async () => {
    const wrong: typeof copy = {
      ...copy,
      passes: {
        forward: {
          ...copy.passes['forward']!,
          variants: [
            {
              name: 'wrong',
              usable: () => true,
              dispatches: (s, d) => [{ ...copy.passes['forward']!.variants[0]!.dispatches(s, d)[0]!, bind: ['x', 'z'] }],
            },
          ],
        },
      },
    };
    const kept = gpu.statistics.bytesAllocated;
    const launches = recorded((recorder) => {
      recorder.add(twice, 'forward', { size: 4 }, { x: a, y: b });
      recorder.add(wrong, 'forward', { size: 4 }, { x: a, y: b });
    });
    await expect(launches).rejects.toThrow(DeviceUseError);
    expect(gpu.statistics.bytesAllocated, 'scratch and uniforms of the failed recording').toBe(kept);
  });
});

describe('a recording', () => {
  it('replays its steps as often as told in one submit', async () => {
    gpu.write(counter, new Uint32Array(4));
    const recording = await ticks(1);
    const { submits, dispatches } = gpu.statistics;
    recording.replay(5);
    expect(gpu.statistics.submits).toBe(submits + 1);
    expect(gpu.statistics.dispatches).toBe(dispatches + 5);
    expect(await count()).toBe(5);
    await recording.destroy();
  });

  it('runs interleaved with others, each with its own uniforms', async () => {
    const other = await gpu.allocate(16, 'other clock');
    gpu.write(counter, new Uint32Array(4));
    const two = await recorded((recorder) => {
      recorder.add(clock, 'tick', { by: 10 }, { clock: counter });
      recorder.add(clock, 'tick', { by: 100 }, { clock: counter });
    });
    const recordings = [two, await ticks(7, other)];
    const encoder = gpu.raw.createCommandEncoder();
    const pass = encoder.beginComputePass();
    encodeInterleaved(gpu, pass, recordings);
    pass.end();
    gpu.submit(encoder);
    expect(await count()).toBe(110);
    expect(await count(other)).toBe(7);
    for (const recording of recordings) await recording.destroy();
    await gpu.free(other);
  });

  it('compiles nothing for a new shape', async () => {
    await (await recorded((recorder) => recorder.add(copy, 'forward', { size: 4 }, { x: a, y: b }))).destroy();
    const before = gpu.statistics.pipelinesCompiled;
    await (await recorded((recorder) => recorder.add(copy, 'forward', { size: 1024 }, { x: a, y: b }))).destroy();
    expect(gpu.statistics.pipelinesCompiled).toBe(before);
  });

  it('takes scratch memory for its hungriest pass, and gives everything back', async () => {
    const before = gpu.statistics.bytesAllocated;
    gpu.write(
      a,
      Float32Array.from({ length: 1024 }, (_, i) => i),
    );
    const recorder = new Recorder(gpu);
    recorder.add(twice, 'forward', { size: 64 }, { x: a, y: b });
    recorder.add(twice, 'forward', { size: 1024 }, { x: a, y: b });
    expect(recorder.scratchBytes).toBe(4096);
    const recording = await recorder.finish('scratch');
    expect(gpu.statistics.bytesAllocated).toBeGreaterThanOrEqual(before + 4096);
    recording.replay();
    expect([...(await gpu.read(b))]).toEqual([...(await gpu.read(a))]);
    await recording.destroy();
    expect(gpu.statistics.bytesAllocated).toBe(before);
  });
});

describe('time on the device', () => {
  const invocations = 64;
  const work = (rounds: number) => (recorder: Recorder) =>
    recorder.add(multiplyAdd, 'forward', { invocations, rounds }, { x: a, y: b }, { label: `${rounds}` });

  it('is measured for a recording and for each of its steps', async () => {
    if (!hasTimestamps(gpu)) {
      const recording = await ticks(1);
      await expect(timeRecording(gpu, recording)).rejects.toThrow(/no timestamp queries/);
      return;
    }
    const recording = await recorded((recorder) => {
      work(2000)(recorder);
      work(20_000)(recorder);
    });
    recording.replay(); // the driver compiles at the first launch
    await gpu.done();
    const steps = await timeSteps(gpu, recording);
    expect(steps.map(({ label, kernel }) => [label, kernel])).toEqual([
      ['2000 forward', 'roof/multiplyAdd'],
      ['20000 forward', 'roof/multiplyAdd'],
    ]);
    // The best of several: a busy machine lengthens single ones.
    const best = steps.map(({ elapsedMs }) => elapsedMs);
    for (let i = 0; i < 4; i++)
      (await timeSteps(gpu, recording)).forEach(({ elapsedMs }, at) => (best[at] = Math.min(best[at]!, elapsedMs)));
    expect(best[0]).toBeGreaterThan(0);
    expect(best[1]! / best[0]!).toBeGreaterThan(3); // ten times the work
    const start = performance.now();
    const elapsedMs = await timeRecording(gpu, recording);
    expect(elapsedMs).toBeGreaterThan(0);
    expect(elapsedMs).toBeLessThan(performance.now() - start); // the device's clock counts real milliseconds
    expect(elapsedMs).toBeGreaterThan(best[1]! / 3);
    await recording.destroy();
  });

  it('is measured for more steps than a query set holds', async () => {
    if (!hasTimestamps(gpu)) return;
    const recording = await recorded((recorder) => {
      for (let i = 0; i < 2050; i++) recorder.add(clock, 'tick', {}, { clock: counter });
    });
    const steps = await timeSteps(gpu, recording);
    expect(steps).toHaveLength(2050);
    expect(steps.every(({ elapsedMs }) => elapsedMs >= 0)).toBe(true);
    await recording.destroy();
  });
});
