// The ops that follow an order on the device, together: steps in one submit, the end of the order, and what a view means.
import { afterAll, describe, expect, it } from 'vitest';
import { openDevice } from '../gpu/device.js';
import { Recorder } from '../gpu/recording.js';
import { clock } from './clock/index.js';
import { gather, type GatherShape } from './gather/index.js';
import { cropOf, gatherReference } from './gather/reference.js';
import { PLAIN_VIEW, VOID_IMAGE } from './order.js';
import { rows } from './rows/index.js';

const gpu = await openDevice();
afterAll(() => gpu.close());

const shape: GatherShape = {
  batch: 2,
  steps: 3,
  first: 0,
  count: 4,
  height: 6,
  width: 6,
  channels: 1,
  cropPadding: 2,
  flip: true,
  cutout: 3,
  ring: 0,
  seed: 5,
  mean: [0],
  std: [1],
};
const IMAGE_WORDS = 9;
const bytes = Uint8Array.from({ length: shape.count * IMAGE_WORDS * 4 }, (_, i) => 1 + ((i * 37) % 255));

/** The batch at each of `ticks` steps: pixels a row, and labels. */
async function batches(order: readonly (readonly [number, number])[], ticks: number): Promise<{ x: number[][]; labels: number[] }[]> {
  const { batch, steps, count } = shape;
  const slices = {
    images: await gpu.allocate(bytes.length, 'images'),
    order: await gpu.allocate(batch * steps * 8, 'order'),
    clock: await gpu.allocate(16, 'clock'),
    table: await gpu.allocate(count * 4, 'table'),
    y: await gpu.allocate(batch * 4, 'labels'),
    x: await gpu.allocate(batch * 36 * 16, 'x'),
  };
  gpu.write(slices.images, bytes);
  gpu.write(slices.order, Uint32Array.from(order.flat()));
  gpu.write(slices.table, Uint32Array.of(10, 11, 12, 13));
  const recorder = new Recorder(gpu);
  recorder.add(gather, 'forward', shape, slices);
  recorder.add(rows, 'gather', { batch, steps, first: 0, count, words: 1, views: 1, voidWord: 99 }, slices);
  recorder.add(clock, 'tick', {}, slices);
  const recording = await recorder.finish('feed');
  const results = [];
  for (let tick = 0; tick < ticks; tick++) {
    gpu.write(slices.clock, new Uint32Array(4));
    recording.replay(tick + 1); // one submit: the batch left is that of step `tick`
    const x = await gpu.read(slices.x);
    results.push({
      x: Array.from({ length: batch }, (_, i) => Array.from({ length: 36 }, (_pixel, p) => Math.round(x[(i * 36 + p) * 4]! * 255))),
      labels: [...new Uint32Array(await gpu.readBytes(slices.y))].slice(0, batch),
    });
  }
  await recording.destroy();
  await gpu.free(...Object.values(slices));
  return results;
}

const image = (index: number): number[] => [...bytes.subarray(index * 36, (index + 1) * 36)];

describe('order', () => {
  it('steps on with the clock inside one submit, and is void past its end', async () => {
    const plain = (index: number): readonly [number, number] => [index, PLAIN_VIEW];
    const [first, second, third, past] = await batches([plain(3), plain(1), plain(0), plain(2), plain(2), [VOID_IMAGE, 0]], 4);
    expect(first).toEqual({ x: [image(3), image(1)], labels: [13, 11] });
    expect(second).toEqual({ x: [image(0), image(2)], labels: [10, 12] });
    expect(third).toEqual({ x: [image(2), image(2).fill(0)], labels: [12, 99] });
    expect(past).toEqual({ x: [image(0).fill(0), image(0).fill(0)], labels: [99, 99] });
  });

  it('gives a view of an image the same crop at every visit, and another view another one', async () => {
    const [first, second] = await batches(
      [
        [3, 0],
        [3, 1],
        [1, 0],
        [3, 0],
        [0, 0],
        [0, 0],
      ],
      2,
    );
    expect(second!.x[1]).toEqual(first!.x[0]);
    expect(first!.x[1]).not.toEqual(first!.x[0]);
    expect(first!.x[0]).not.toEqual(image(3));
  });

  it('draws every offset and both directions about equally often', () => {
    const counts = new Map<string, number>();
    const draws = 50 * 400;
    for (let index = 0; index < draws; index++) {
      const { dx, dy, mirrored } = cropOf(shape, index % 400, Math.floor(index / 400));
      const key = `${dx} ${dy} ${mirrored}`;
      counts.set(key, (counts.get(key) ?? 0) + 1);
    }
    expect(counts.size).toBe(50);
    // 400 expected in each of 50 cells; chi-squared with 49 degrees of freedom exceeds 86 once in a thousand.
    expect([...counts.values()].reduce((sum, n) => sum + (n - 400) ** 2 / 400, 0)).toBeLessThan(86);
  });

  it('cuts a square out around any pixel, the part inside the image set to 0 after normalisation', () => {
    const side = 3;
    const bright: GatherShape = { ...shape, batch: 1, steps: 1, count: 1, cropPadding: 0, cutout: side, mean: [0.25], std: [0.5] };
    const centres = new Map<string, number>();
    const draws = 36 * 400;
    for (let view = 0; view < draws; view++) {
      const tensors = {
        images: new Float64Array(IMAGE_WORDS).fill(0xffffffff),
        order: Float64Array.of(0, view),
        clock: new Float64Array(4),
      };
      const x = new Float64Array(36 * 4);
      if (view < 200) {
        gatherReference(bright, { ...tensors, x });
        const zeros = Array.from({ length: 36 }, (_, p) => p).filter((p) => x[4 * p] === 0);
        const others = Array.from({ length: 36 }, (_, p) => x[4 * p]).filter((value) => value !== 0);
        expect(others.every((value) => value === 1.5)).toBe(true);
        const rows = new Set(zeros.map((p) => Math.floor(p / 6)));
        const columns = new Set(zeros.map((p) => p % 6));
        // A whole rectangle, of the full side or less one where the centre is at a border.
        expect(zeros).toHaveLength(rows.size * columns.size);
        for (const size of [rows.size, columns.size]) expect(size === side || size === side - 1).toBe(true);
      }
      const { cutX, cutY } = cropOf(bright, 0, view);
      const key = `${cutX + 1} ${cutY + 1}`;
      centres.set(key, (centres.get(key) ?? 0) + 1);
    }
    expect(centres.size).toBe(36);
    // Chi-squared with 35 degrees of freedom exceeds 67 once in a thousand.
    expect([...centres.values()].reduce((sum, n) => sum + (n - 400) ** 2 / 400, 0)).toBeLessThan(67);
  });
});
