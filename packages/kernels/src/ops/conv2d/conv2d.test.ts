// conv2d's references against each other (the gradients are adjoints of the forward map) and against PyTorch's values.
import { readFileSync } from 'node:fs';
import { afterAll, describe, expect, it } from 'vitest';
import { openDevice, type Slice } from '../../gpu/device.js';
import { Recorder } from '../../gpu/recording.js';
import { compare, passInputs, runReference } from '../../testing/conformance.js';
import { chooseVariant, padded, type DeviceTraits, type Dispatch, type Tensors } from '../op.js';
import { conv2d, outputSize, type Conv2dShape } from './index.js';
import { samples } from './samples.js';

const gpu = await openDevice();
afterAll(() => gpu.close());

const dot = (a: Float64Array, b: Float64Array): number => a.reduce((sum, value, i) => sum + value * b[i]!, 0);

describe('conv2d gradients are adjoints', () => {
  it.each(samples.map((shape) => [JSON.stringify(shape), { ...shape, bias: false }] as const))('%s', (_, shape) => {
    const tensors: Tensors = { ...passInputs(conv2d, 'forward', shape), ...passInputs(conv2d, 'input-gradient', shape) };
    for (const pass of ['forward', 'input-gradient', 'weight-gradient']) runReference(conv2d.passes[pass]!, shape, tensors);
    const { x, weight, y, dy, dx, dweight } = tensors;
    const product = dot(y!, dy!);
    expect(dot(x!, dx!)).toBeCloseTo(product, 9);
    expect(dot(weight!, dweight!)).toBeCloseTo(product, 9);
  });
});

interface Golden {
  readonly batch: number;
  readonly channels: number;
  readonly height: number;
  readonly width: number;
  readonly filters: number;
  readonly kernel: readonly [number, number];
  readonly stride: readonly [number, number];
  readonly padding: readonly [number, number];
  readonly groups: number;
  readonly y: readonly number[];
  readonly dx: readonly number[];
  readonly dweight: readonly number[];
  readonly dbias: readonly number[];
}

/** The inputs of pytorch.py: ((i m) mod 23 - 11) / 8. */
const values = (count: number, multiplier: number): number[] => Array.from({ length: count }, (_, i) => (((i * multiplier) % 23) - 11) / 8);

/** [A, B, H, W] to [A', H, W, B'], the first and second dimension filled up with zeros. */
function channelsLast(
  data: readonly number[],
  [a, b, h, w]: readonly [number, number, number, number],
  rows: number,
  depth: number,
): Float64Array {
  const result = new Float64Array(rows * h * w * depth);
  for (let i = 0; i < a; i++) {
    for (let j = 0; j < b; j++) for (let p = 0; p < h * w; p++) result[(i * h * w + p) * depth + j] = data[(i * b + j) * h * w + p]!;
  }
  return result;
}

const goldens = JSON.parse(readFileSync(new URL('./pytorch.json', import.meta.url), 'utf8')) as Golden[];

describe('conv2d equals PyTorch', () => {
  it.each(goldens.map((golden) => [`${golden.channels} -> ${golden.filters}, groups ${golden.groups}`, golden] as const))(
    '%s',
    (_, golden) => {
      const { batch, channels, height, width, filters, kernel, groups } = golden;
      const [top, left] = golden.padding;
      const shape: Conv2dShape = { ...golden, padding: [top, left, top, left], bias: true };
      const [outHeight, outWidth] = outputSize(shape);
      const inputs = [batch, channels, height, width] as const;
      const outputs = [batch, filters, outHeight, outWidth] as const;
      const window = [filters, channels / groups, ...kernel] as const;
      const depth = groups === 1 ? padded(channels) : channels / groups;
      const asInput = (data: readonly number[]): Float64Array => channelsLast(data, inputs, batch, padded(channels));
      const asOutput = (data: readonly number[]): Float64Array => channelsLast(data, outputs, batch, padded(filters));
      const asWeight = (data: readonly number[]): Float64Array => channelsLast(data, window, padded(filters), depth);
      const asBias = (data: readonly number[]): Float64Array => channelsLast(data, [1, filters, 1, 1], 1, padded(filters));
      const tensors: Tensors = {
        x: asInput(values(batch * channels * height * width, 7)),
        weight: asWeight(values((filters * channels * kernel[0] * kernel[1]) / groups, 5)),
        bias: asBias(values(filters, 3)),
        dy: asOutput(values(batch * filters * outHeight * outWidth, 9)),
      };
      for (const pass of Object.values(conv2d.passes)) runReference(pass, shape, tensors);
      const expected: Tensors = {
        y: asOutput(golden.y),
        dx: asInput(golden.dx),
        dweight: asWeight(golden.dweight),
        dbias: asBias(golden.dbias),
      };
      for (const [name, want] of Object.entries(expected)) {
        expect(tensors[name], name).toHaveLength(want.length);
        want.forEach((value, i) => expect(tensors[name]![i], `${name}[${i}]`).toBeCloseTo(value, 9));
      }
    },
  );
});

/** One pass on the device with a chosen variant; returns its output. */
async function runVariant(passName: string, shape: Conv2dShape, variant: string): Promise<Float32Array> {
  const inputs = passInputs(conv2d, passName, shape);
  const slices: Record<string, Slice> = {};
  for (const { name, words } of conv2d.passes[passName]!.tensors) {
    slices[name] = await gpu.allocate(words(shape) * 4, name);
    if (inputs[name] !== undefined) gpu.write(slices[name], new Float32Array(inputs[name]));
  }
  const recorder = new Recorder(gpu);
  recorder.add(conv2d, passName, shape, slices, { variant });
  const recording = await recorder.finish(variant);
  recording.replay();
  return gpu.read(slices[conv2d.passes[passName]!.tensors.find(({ role }) => role === 'out')!.name]!);
}

describe('conv2d winograd takes large batches in pieces', () => {
  // 15 images of 256 tiles: two pieces, the second shorter. Too large for the references, hence against the direct form.
  const shape: Conv2dShape = {
    batch: 15,
    height: 64,
    width: 64,
    channels: 16,
    filters: 16,
    kernel: [3, 3],
    stride: [1, 1],
    padding: [1, 1, 1, 1],
    groups: 1,
    bias: true,
  };
  it.each(['forward', 'input-gradient', 'weight-gradient'])('%s', async (passName) => {
    const winograd = conv2d.passes[passName]!.variants.find(({ name }) => name === 'winograd')!;
    if (!winograd.usable(shape, gpu.traits)) return;
    const inputWgsl = winograd.dispatches(shape, gpu.traits).filter(({ wgsl }) => wgsl.pathname.endsWith('winograd-input.wgsl'));
    expect(inputWgsl.length).toBe(2);
    const [got, expected] = [await runVariant(passName, shape, 'winograd'), await runVariant(passName, shape, 'subgroup')];
    expect(compare(passName, got, expected).error).toBeLessThan(1e-5);
  });
});

describe('the samples and large shapes reach every pipeline, so that a new architecture compiles nothing', () => {
  const key = ({ wgsl, constants = {} }: Dispatch): string => `${wgsl.href} ${JSON.stringify(constants)}`;
  const traits: DeviceTraits = { subgroupSize: 8, f16: false, kind: 'cpu', maxWorkgroups: 65_535 };
  const pipelines = (passName: string, shape: Conv2dShape): string[] =>
    chooseVariant(conv2d, passName, shape, traits).dispatches(shape, traits).map(key);
  it.each(Object.keys(conv2d.passes))('%s', (passName) => {
    const known = new Set([...conv2d.samples, ...conv2d.large!].flatMap((shape) => pipelines(passName, shape)));
    for (const channels of [1, 2, 3, 8, 16, 30, 64, 130, 512]) {
      for (const filters of [1, 8, 10, 16, 21, 32, 40, 64, 100, 256]) {
        for (const kernel of [1, 2, 3, 4, 5, 7]) {
          for (const stride of [1, 2, 3]) {
            for (const batch of [1, 32, 200]) {
              const square = { kernel: [kernel, kernel], stride: [stride, stride] } as const;
              const shape = { ...conv2d.samples[0]!, ...square, batch, channels, filters, height: 32, width: 32 };
              for (const pipeline of pipelines(passName, shape)) expect(known, JSON.stringify(shape)).toContain(pipeline);
            }
          }
        }
      }
    }
  });
});
