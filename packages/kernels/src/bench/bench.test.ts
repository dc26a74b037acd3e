// The benchmark itself: its names, its arithmetic, its checks, and the kernels of the machine's limits.
import { afterAll, describe, expect, it } from 'vitest';
import { openDevice } from '../gpu/device.js';
import type { Recorder } from '../gpu/recording.js';
import { allOps } from '../ops/index.js';
import type { Op } from '../ops/op.js';
import { conformanceCases, runCase } from '../testing/conformance.js';
import { chooseCases } from './cases.js';
import { measureAll } from './measure.js';
import { opBenchCases, passBytes, runOpBench } from './ops.js';
import { copy, multiplyAdd } from './roof/index.js';

const gpu = await openDevice();
afterAll(() => gpu.close());

const quick = { repetitions: 2, warmup: 1, minimumMs: 1 };

describe('bench', () => {
  it('names the cases that are compared with other engines, once each', () => {
    const names = opBenchCases().map(({ name }) => name);
    expect(new Set(names).size).toBe(names.length);
    for (const pass of ['forward', 'input-gradient', 'weight-gradient']) {
      expect(names).toContain(`conv3x3/64x16x28x28-32/${pass}`);
      expect(names).toContain(`conv3x3/64x64x16x16-64/${pass}`);
    }
    for (const name of ['gemm/512', 'gemm/1024', 'roof/multiply-add', 'roof/copy']) expect(names).toContain(name);
  });

  it('has a case for every pass of every op', () => {
    const cases = opBenchCases();
    for (const op of allOps) {
      for (const passName of Object.keys(op.passes)) {
        // Sums over rows; linear's products are gemm/* and, as 1x1 convolutions, conv2d's.
        if (passName === 'bias-gradient' || op.name === 'linear') continue;
        expect(
          cases.some((one) => one.op === op && one.passName === passName),
          `${op.name} ${passName}`,
        ).toBe(true);
      }
    }
  });

  it('counts operations: gemm/512 is 2 * 512^3, the convolution 2 * 64 * 28^2 * 32 * 16 * 9', () => {
    const flops = (name: string): number => {
      const { op, passName, shape } = opBenchCases().find((one) => one.name === name)!;
      return op.passes[passName]!.flops(shape);
    };
    expect(flops('gemm/512')).toBe(2 * 512 ** 3);
    for (const pass of ['forward', 'input-gradient', 'weight-gradient']) {
      expect(flops(`conv3x3/64x16x28x28-32/${pass}`)).toBe(2 * 64 * 28 ** 2 * 32 * 16 * 9);
    }
    expect(flops('roof/multiply-add')).toBe(2 * 4 * 2 * 32 * 16 * 2 ** 18);
  });

  it('counts bytes: what is updated in place is read and written', () => {
    expect(passBytes(copy.passes['forward']!, { size: 100 })).toBe(800);
    expect(
      passBytes({ ...copy.passes['forward']!, tensors: [{ name: 'z', role: 'inout', type: 'f32', words: () => 100 }] }, { size: 100 }),
    ).toBe(800);
  });

  it('leaves what only a GPU can hold out on a software adapter, unless it is named', () => {
    const names = (filter: string, software: boolean) => chooseCases(opBenchCases(), filter, software).map(({ name }) => name);
    expect(names('gemm/', false)).toEqual(['gemm/512', 'gemm/1024', 'gemm/4096']);
    expect(names('gemm/', true)).toEqual(['gemm/512', 'gemm/1024']);
    expect(names('gemm/4096', true)).toEqual(['gemm/4096']);
    expect(names('conv3x3/256x512', false)).toHaveLength(3);
    expect(() => names('conv3x3/256x512', true)).toThrow(/no benchmark has "conv3x3\/256x512"/);
    expect(names('conv3x3/256x512x4x4-512/forward', true)).toHaveLength(1);
  });

  it('measures cases in turns, at their work and with rates from the median', async () => {
    const size = 4096;
    const slices = { x: await gpu.allocate(size * 4, 'x'), y: await gpu.allocate(size * 4, 'y') };
    const order: string[] = [];
    const recordOf = (rounds: number) => (recorder: Recorder) =>
      recorder.add(multiplyAdd, 'forward', { invocations: size / 4, rounds }, slices);
    const cases = [
      { name: 'short', record: recordOf(20), flops: 1e6, samples: 10 },
      { name: 'long', record: recordOf(200), bytes: 1e6 },
    ];
    const [short, long] = await measureAll(gpu, cases, {
      repetitions: 5,
      minimumMs: 5,
      onProgress: ({ phase, name }) => phase === 'measure' && order.push(name),
    });
    expect(order).toEqual(['short', 'long', 'short', 'long', 'short', 'long', 'short', 'long', 'short', 'long']);
    expect(long!.p10Ms / short!.p10Ms).toBeGreaterThan(3); // ten times the work
    expect(short!.p10Ms).toBeLessThanOrEqual(short!.medianMs);
    expect(short!.p90Ms).toBeGreaterThanOrEqual(short!.medianMs);
    expect(short!.gflops).toBeCloseTo(1 / short!.medianMs, 9);
    expect(short!.samplesPerSecond).toBeCloseTo(1e4 / short!.medianMs, 6);
    expect(long!.gbps).toBeCloseTo(1 / long!.medianMs, 9);
    expect(long!.gflops).toBeUndefined();
    expect(long!.samplesMs).toHaveLength(5);
    expect(long!.medianMs).toBe(long!.samplesMs.toSorted((a, b) => a - b)[2]);
    expect(long!.noise).toBeGreaterThanOrEqual(0);
    expect(long!.encodeMs).toBeGreaterThan(0);
    expect(long!.encodeMs).toBeLessThan(long!.medianMs);
    const limited = await measureAll(gpu, cases.slice(0, 1), { repetitions: 50, minimumMs: 1, timeLimitMs: 0 });
    expect(limited[0]!.samplesMs).toHaveLength(3);
    await gpu.free(slices.x, slices.y);
  });

  it('runs the filtered cases and frees their memory', async () => {
    const before = gpu.statistics.bytesAllocated;
    const results = await runOpBench(gpu, { ...quick, filter: 'metrics/' });
    expect(results.map(({ name }) => name)).toEqual(['metrics/500x10/forward']);
    expect(results[0]!.medianMs).toBeGreaterThan(0);
    expect(gpu.statistics.bytesAllocated).toBe(before);
  });

  it('refuses a filter that matches nothing, and stops when told', async () => {
    await expect(runOpBench(gpu, { filter: 'gem/512' })).rejects.toThrow(/no benchmark has "gem\/512" in its name; there are: gemm\/512/);
    await expect(runOpBench(gpu, { filter: 'metrics/', signal: AbortSignal.abort() })).rejects.toThrow(/abort/i);
  });
});

function roofSuite<S>(op: Op<S>): void {
  describe(`roof ${op.name}`, () => {
    for (const one of conformanceCases(op)) {
      it(`${op.name} ${JSON.stringify(one.shape)}`, async () => {
        for (const { error } of await runCase(gpu, one)) expect(error).toBeLessThanOrEqual(op.passes['forward']!.tolerance);
      });
    }
    it(`${op.name} refuses bad shapes`, () => {
      for (const { shape, message } of op.errors) expect(() => op.check(shape)).toThrow(message);
    });
  });
}

roofSuite(multiplyAdd);
roofSuite(copy);
