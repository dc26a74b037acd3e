// Ties, the ReLU's kink and NaN, which random data never hits: what PyTorch makes of them, here and in batchNorm with a ReLU.
import { afterAll, expect, it } from 'vitest';
import { openDevice, type Slice } from '../../gpu/device.js';
import { Recorder } from '../../gpu/recording.js';
import { batchNorm } from '../batchNorm/index.js';
import { batchNormPool } from './index.js';

const gpu = await openDevice();
afterAll(() => gpu.close());

/** Statistics that change nothing: mean 0, and a variance that makes 1 with epsilon. */
const plain = { epsilon: 0.5, momentum: 0.1 };

async function tensors(values: Readonly<Record<string, ArrayLike<number>>>): Promise<Record<string, Slice>> {
  const entries = Object.entries(values).map(async ([name, data]): Promise<[string, Slice]> => {
    const slice = await gpu.allocate(data.length * 4, name);
    gpu.write(slice, new Float32Array(data));
    return [name, slice];
  });
  return Object.fromEntries(await Promise.all(entries));
}

const unit = (value: number): number[] => Array.from({ length: 4 }, () => value);
const statistics = { gamma: unit(1), beta: unit(0), mean: unit(0), variance: unit(0.5), runningMean: unit(0), runningVariance: unit(0.5) };

it('a ReLU behind a batch-norm passes a NaN on, and has no gradient at 0', async () => {
  const x = [NaN, 0, -1, 2];
  const t = await tensors({
    ...statistics,
    x,
    residual: unit(0),
    y: unit(9),
    dy: unit(1),
    dx: unit(9),
    sum: unit(9),
    dgamma: unit(9),
    dbeta: unit(9),
  });
  const recorder = new Recorder(gpu);
  const shape = { rows: 1, channels: 4, relu: true, ...plain };
  recorder.add(batchNorm, 'evaluate', shape, t);
  recorder.add(batchNorm, 'gradient', shape, t);
  recorder.add(batchNorm, 'evaluate', { ...shape, residual: true }, { ...t, y: t['sum']! });
  const recording = await recorder.finish('kinks');
  recording.replay();
  expect([...(await gpu.read(t['y']!))]).toEqual([NaN, 0, 0, 2]);
  expect([...(await gpu.read(t['sum']!))]).toEqual([NaN, 0, 0, 2]);
  expect([...(await gpu.read(t['dx']!))]).toEqual([NaN, 0, 0, 1 - 1 - 2 * 2]); // dy - dbeta - x * dgamma, of one row
  expect([...(await gpu.read(t['dbeta']!))].slice(1)).toEqual([0, 0, 1]);
  await recording.destroy();
});

it('a pool behind it gives a tie to the first in scan order, lets a NaN win, and cuts off what is not positive', async () => {
  // Channel 0: a tie of the last three. 1: none positive, by beta. 2: a NaN in the third. 3: the last wins.
  const x = [1, -1, 3, 1, 2, 0, 7, 2, 2, -2, NaN, 3, 2, -3, 1, 4];
  const t = await tensors({
    ...statistics,
    beta: [0, -10, 0, 0],
    x,
    y: unit(9),
    dy: [1, 1, 0, 1],
    dx: Array(16).fill(9),
    winners: unit(9),
    dgamma: unit(9),
    dbeta: unit(9),
  });
  const shape = { batch: 1, height: 2, width: 2, channels: 4, relu: true, ...plain };
  const pooled = await run('evaluate');
  expect(pooled).toEqual([2, 0, NaN, 4]);
  // The mean is taken off before: which pixel wins stays.
  await run('forward');
  gpu.write(t['mean']!, new Float32Array(4));
  gpu.write(t['variance']!, new Float32Array(unit(0.5)));
  await run('gradient');
  expect([...(await gpu.read(t['dbeta']!))]).toEqual([1, 0, 0, 1]);
  // sum dy * xhat: the value that won.
  expect([...(await gpu.read(t['dgamma']!))].filter((_, c) => c !== 2)).toEqual([2, 0, 4]);
  // dx = d - dbeta / 4 - x * dgamma / 4 where scale is 1: d is left of it.
  const dx = await gpu.read(t['dx']!);
  const routed = (c: number, won: number): number[] => [0, 1, 2, 3].map((p) => dx[p * 4 + c]! + 1 / 4 + (x[p * 4 + c]! * won) / 4);
  expect([routed(0, 2), routed(3, 4)]).toEqual([
    [0, 1, 0, 0],
    [0, 0, 0, 1],
  ]);
  expect([0, 1, 2, 3].map((p) => Math.abs(dx[p * 4 + 1]!))).toEqual(unit(0));

  async function run(pass: string): Promise<number[]> {
    const recorder = new Recorder(gpu);
    recorder.add(batchNormPool, pass, shape, t);
    const recording = await recorder.finish(pass);
    recording.replay();
    const y = await gpu.read(t['y']!);
    await recording.destroy();
    return [...y];
  }
});
