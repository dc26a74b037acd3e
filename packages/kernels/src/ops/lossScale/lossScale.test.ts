// Loss scaling step by step: where a gradient is found that is no finite number, what becomes of the scale, what optimisers leave alone.
import { afterAll, describe, expect, it } from 'vitest';
import { openDevice, type Slice } from '../../gpu/device.js';
import { Recorder } from '../../gpu/recording.js';
import { sgd } from '../sgd/index.js';
import { lossScale, type LossScaleShape } from './index.js';

const gpu = await openDevice();
afterAll(() => gpu.close());

const shape: LossScaleShape = { size: 300_000, interval: 3, most: 64 };

/** A step without its backward pass: the caller writes the gradients. */
async function prepare(): Promise<{ scaling: Slice; gradients: Slice; parameters: Slice; step: () => void }> {
  const { size } = shape;
  const [parameters, velocity, gradients] = [
    await gpu.allocate(size * 4, 'parameters'),
    await gpu.allocate(size * 4, 'velocity'),
    await gpu.allocate(size * 4, 'gradients'),
  ];
  const [scaling, schedule, clock] = [
    await gpu.allocate(16, 'scaling'),
    await gpu.allocate(16, 'schedule'),
    await gpu.allocate(16, 'clock'),
  ];
  gpu.write(scaling, Float32Array.of(16, 1 / 16, 0, 0));
  gpu.write(schedule, Float32Array.of(0.5, 0, 0, 0));
  const recorder = new Recorder(gpu);
  recorder.add(lossScale, 'check', shape, { gradients, scaling });
  const rule = { size, steps: 1, momentum: 0.5, nesterov: false, weightDecay: 0.25, scaled: true };
  recorder.add(sgd, 'step', rule, { parameters, velocity, gradients, schedule, clock, scaling });
  recorder.add(lossScale, 'update', shape, { scaling });
  const recording = await recorder.finish('step');
  return { scaling, gradients, parameters, step: () => recording.replay() };
}

describe('lossScale', () => {
  it('halves after an overflow, doubles after the interval, within 1 and the largest scale', async () => {
    const { scaling, gradients, step } = await prepare();
    const history: number[][] = [];
    const good = new Float32Array(shape.size).fill(16);
    const bad = good.with(shape.size - 1, Infinity);
    for (const data of [good, good, bad, good, good, good, good, good, good, good, good, good, good, bad, bad, bad, bad, bad, bad, bad]) {
      gpu.write(gradients, data);
      step();
      history.push([...(await gpu.read(scaling))]);
    }
    expect(history.map(([scale]) => scale)).toEqual([16, 16, 8, 8, 8, 16, 16, 16, 32, 32, 32, 64, 64, 32, 16, 8, 4, 2, 1, 1]);
    expect(history.map(([scale, unscale]) => scale! * unscale!)).toEqual(history.map(() => 1));
    expect(history.map(([, , count]) => count)).toEqual([1, 2, 0, 1, 2, 0, 1, 2, 0, 1, 2, 0, 1, 0, 0, 0, 0, 0, 0, 0]);
    expect(history.at(-1)![3]).toBe(8);
  });

  it('leaves parameters and velocity alone in a skipped step, and divides by the scale in a good one', async () => {
    const { gradients, parameters, step } = await prepare();
    const before = Float32Array.from({ length: shape.size }, (_, i) => (i % 7) - 3);
    gpu.write(parameters, before);
    gpu.write(gradients, new Float32Array(shape.size).fill(NaN));
    step();
    expect((await gpu.read(parameters)).every((p, i) => p === before[i])).toBe(true);
    gpu.write(gradients, new Float32Array(shape.size).fill(8)); // 1, as the scale is 8 now
    step();
    expect((await gpu.read(parameters)).every((p, i) => p === before[i]! - 0.5 * (1 + 0.25 * before[i]!))).toBe(true);
  });

  it('finds what is no finite number wherever it is, and takes no other for such', async () => {
    const { scaling, gradients, step } = await prepare();
    const verdict = async (at: number, value: number): Promise<boolean> => {
      const before = (await gpu.read(scaling))[3]!;
      gpu.write(gradients, new Float32Array(shape.size).with(at, value));
      step();
      return (await gpu.read(scaling))[3]! > before;
    };
    for (const at of [0, 1, 2, 3, 255, 256, 4 * 65_536 + 3, 4 * 66_000 + 1, shape.size - 1]) {
      for (const value of [Infinity, -Infinity, NaN]) expect(await verdict(at, value), `${value} at ${at}`).toBe(true);
    }
    for (const value of [3.4e38, -3.4e38, 1e-45, 0, -0]) expect(await verdict(35_001, value), `${value}`).toBe(false);
  });
});
