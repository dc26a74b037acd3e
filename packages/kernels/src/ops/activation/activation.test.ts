// The values at the kinks and far out, which random data never hits: the GPU against numbers written down here.
import { afterAll, expect, it } from 'vitest';
import { openDevice } from '../../gpu/device.js';
import { Recorder } from '../../gpu/recording.js';
import { activation, type ActivationKind } from './index.js';

const gpu = await openDevice();
afterAll(() => gpu.close());

const X = [0, -0, -3, 3, 6, -200, 200, NaN];

/** f(X) and f'(X) as PyTorch gives them, the gradient at a kink included. */
const expected: Record<ActivationKind, { y: number[]; dx: number[] }> = {
  relu: { y: [0, 0, 0, 3, 6, 0, 200, NaN], dx: [0, 0, 0, 1, 1, 0, 1, 1] },
  relu6: { y: [0, 0, 0, 3, 6, 0, 6, NaN], dx: [0, 0, 0, 1, 0, 0, 0, 1] },
  'leaky-relu': { y: [0, 0, -0.75, 3, 6, -50, 200, NaN], dx: [0.25, 0.25, 0.25, 1, 1, 0.25, 1, 1] },
  silu: { y: [0, 0, -0.14227762, 2.8577224, 5.9851646, 0, 200, NaN], dx: [0.5, 0.5, -0.08810445, 1.0881045, 1.0123259, 0, 1, NaN] },
  'hard-swish': { y: [0, 0, 0, 3, 6, 0, 200, NaN], dx: [0.5, 0.5, 0, 1, 1, 0, 1, NaN] },
};

it.each(Object.keys(expected) as ActivationKind[])('activation %s at its kinks and far out', async (kind) => {
  const shape = { size: X.length, kind, ...(kind === 'leaky-relu' ? { slope: 0.25 } : {}) };
  const [x, dy, y, dx] = await Promise.all(['x', 'dy', 'y', 'dx'].map((name) => gpu.allocate(X.length * 4, name)));
  gpu.write(x!, new Float32Array(X));
  gpu.write(dy!, new Float32Array(X.length).fill(1));
  const recorder = new Recorder(gpu);
  recorder.add(activation, 'forward', shape, { x: x!, y: y! });
  recorder.add(activation, 'gradient', shape, { x: x!, dy: dy!, dx: dx! });
  const recording = await recorder.finish('kinks');
  recording.replay();
  // The relu family must pass a NaN on in y; what its gradient does there is free.
  const got = { y: [...(await gpu.read(y!))], dx: [...(await gpu.read(dx!))] };
  for (const [i, value] of X.entries()) {
    const { y: wantY, dx: wantDx } = expected[kind];
    if (Number.isNaN(value)) expect(got.y[i], `f(${value})`).toBeNaN();
    else {
      expect(got.y[i]! + 0, `f(${value})`).toBeCloseTo(wantY[i]!, 5);
      expect(got.dx[i], `f'(${value})`).toBeCloseTo(wantDx[i]!, 5);
    }
  }
  await recording.destroy();
});

it.each(['relu', 'relu6'] as const)('%s cuts off what is infinitely negative, in its gradient too', async (kind) => {
  const [x, dy, y, dx] = await Promise.all(['x', 'dy', 'y', 'dx'].map((name) => gpu.allocate(16, name)));
  gpu.write(x!, new Float32Array([-Infinity, -1, -1, 2]));
  gpu.write(dy!, new Float32Array([1, -Infinity, Infinity, 1]));
  const recorder = new Recorder(gpu);
  recorder.add(activation, 'forward', { size: 4, kind }, { x: x!, y: y! });
  recorder.add(activation, 'gradient', { size: 4, kind }, { x: x!, dy: dy!, dx: dx! });
  const recording = await recorder.finish('infinite');
  recording.replay();
  expect([...(await gpu.read(y!))]).toEqual([0, 0, 0, 2]);
  expect([...(await gpu.read(dx!))]).toEqual([0, 0, 0, 1]);
  await recording.destroy();
});
