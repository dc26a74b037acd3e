// Ties, infinities and NaN, which random data never holds: what PyTorch's scan order makes of them.
import { afterAll, expect, it } from 'vitest';
import { openDevice } from '../../gpu/device.js';
import { Recorder } from '../../gpu/recording.js';
import { maxPool, type MaxPoolShape } from './index.js';

const gpu = await openDevice();
afterAll(() => gpu.close());

const shape: MaxPoolShape = { batch: 1, height: 3, width: 3, channels: 4, kernel: [3, 3], stride: [1, 1], padding: [1, 1, 1, 1] };

it('maxPool gives a tie to the first in scan order, lets a NaN win, and never the padding', async () => {
  // Channel 0: all zero, as after a relu. 1: all -inf. 2: a NaN at the centre. 3: two equal maxima, at (0, 2) and (2, 0).
  const x = new Float32Array(9 * 4);
  for (let p = 0; p < 9; p++) x.set([0, -Infinity, p === 4 ? NaN : p, p === 2 || p === 6 ? 5 : -1], p * 4);
  const allocated = await Promise.all(['x', 'y', 'indices', 'dy', 'dx'].map((name) => gpu.allocate(36 * 4, name)));
  const [xs, ys, indices, dy, dx] = allocated as [(typeof allocated)[0], ...typeof allocated];
  gpu.write(xs, x);
  gpu.write(dy!, new Float32Array(36).fill(1));
  const recorder = new Recorder(gpu);
  recorder.add(maxPool, 'forward', shape, { x: xs, y: ys!, indices: indices! });
  recorder.add(maxPool, 'gradient', shape, { dy: dy!, indices: indices!, dx: dx! });
  const recording = await recorder.finish('ties');
  recording.replay();
  const at = (data: ArrayLike<number>, p: number): number[] => Array.from({ length: 4 }, (_, c) => data[p * 4 + c]!);
  const y = await gpu.read(ys!);
  const index = new Uint32Array(await gpu.readBytes(indices!));
  // The corner window (-1, -1) .. (1, 1) starts inside the image at position 4 = 1 * 3 + 1.
  expect(at(y, 0)).toEqual([0, -Infinity, NaN, -1]);
  expect(at(index, 0)).toEqual([4, 4, 8, 4]);
  expect(at(y, 4)).toEqual([0, -Infinity, NaN, 5]);
  expect(at(index, 4)).toEqual([0, 0, 4, 2]);
  // Channel 0: windows share corners and edges of the image; the nine gradients land on the first pixel of each window.
  const gradient = await gpu.read(dx!);
  expect(Array.from({ length: 9 }, (_, p) => gradient[p * 4])).toEqual([4, 2, 0, 2, 1, 0, 0, 0, 0]);
  expect(Array.from({ length: 9 }, (_, p) => gradient[p * 4 + 2])).toEqual([0, 0, 0, 0, 9, 0, 0, 0, 0]);
  await recording.destroy();
});
