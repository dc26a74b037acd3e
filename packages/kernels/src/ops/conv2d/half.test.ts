// The `half` variants: who gets them, that nothing but their operands is rounded, and what becomes of numbers beyond f16.
import { afterAll, describe, expect, it } from 'vitest';
import { openDevice } from '../../gpu/device.js';
import { Recorder } from '../../gpu/recording.js';
import { passInputs, runCase } from '../../testing/conformance.js';
import { linear } from '../linear/index.js';
import { chooseVariant, type DeviceTraits, type Tensors } from '../op.js';
import { conv2d, type Conv2dShape } from './index.js';

const gpu = await openDevice();
afterAll(() => gpu.close());

const software: DeviceTraits = { subgroupSize: 8, f16: true, kind: 'cpu', maxWorkgroups: 65_535 };
const passes = ['forward', 'input-gradient', 'weight-gradient'] as const;
const dense = conv2d.samples.filter(({ groups }) => groups === 1);

describe('conv2d half', () => {
  it.each(passes)('%s is taken in mixed precision and by name only, matrix units before it', (passName) => {
    const chosen = (device: DeviceTraits, shape: Conv2dShape): string =>
      chooseVariant(conv2d, passName, shape, device, { precision: 'mixed', choices: {} }).name;
    for (const kind of ['cpu', 'gpu'] as const) {
      for (const shape of dense) {
        const device = { ...software, kind };
        expect(chooseVariant(conv2d, passName, shape, device).name).not.toBe('half');
        expect(chooseVariant(conv2d, passName, shape, device, { wanted: 'half' }).name).toBe('half');
        expect(chosen(device, shape)).toBe('half');
        expect(chosen({ ...device, subgroupSize: 32, matrixUnits: true }, shape)).toBe('matrix');
      }
      for (const shape of linear.samples) {
        expect(chooseVariant(linear, passName, shape, { ...software, kind }, { precision: 'mixed' }).name).toBe('half');
      }
    }
    const grouped = conv2d.samples.find(({ groups }) => groups > 1)!;
    expect(chosen(software, grouped)).toBe(chooseVariant(conv2d, passName, grouped, software).name);
  });

  it.each(passes)('%s is refused without shader-f16, naming op and shape', (passName) => {
    const without = { ...software, f16: false };
    expect(() => chooseVariant(conv2d, passName, dense[0]!, without, { wanted: 'half' })).toThrow(
      new RegExp(`conv2d: no usable variant \\(half\\) of pass "${passName}" for \\{"batch":${dense[0]!.batch},`),
    );
  });

  const base = dense[0]!;
  const shapes: Conv2dShape[] = [
    { ...base, bias: true },
    { ...base, channels: 5, filters: 7, stride: [2, 2] },
    { ...base, batch: 3, channels: 104, filters: 98, kernel: [1, 1], padding: [0, 0, 0, 0] },
  ];
  const cases = passes.flatMap((passName) => shapes.map((shape) => [passName, JSON.stringify(shape), shape] as const));

  it.skipIf(!gpu.traits.f16).each(cases)('%s rounds normal operands %s', async (passName, _, shape) => {
    for (const { error } of await runCase(gpu, { op: conv2d, passName, shape, variant: 'half' })) expect(error).toBeGreaterThan(1e-6);
  });

  it.skipIf(!gpu.traits.f16).each(cases)('%s gives the bits of tiled where f16 holds the operands: %s', async (passName, _, shape) => {
    const inputs = passInputs(conv2d, passName, shape);
    for (const tensor of Object.values(inputs)) tensor.forEach((value, i) => (tensor[i] = Math.round(value * 64) / 64));
    const [half, tiled] = [await run(passName, shape, inputs, 'half'), await run(passName, shape, inputs, 'tiled')];
    expect(tiled.some((value) => value !== 0)).toBe(true);
    expect(half).toEqual(tiled);
  });

  it.skipIf(!gpu.traits.f16).each(passes)('%s lets a number beyond f16 show as no finite number', async (passName) => {
    const inputs = passInputs(conv2d, passName, base);
    const [first] = Object.values(inputs);
    first![base.channels] = 70_000; // the largest of f16 is 65504
    const results = await run(passName, base, inputs, 'half');
    expect(results.some((value) => !Number.isFinite(value))).toBe(true);
  });
});

/** The output of a variant, given the inputs by name. */
async function run(passName: string, shape: Conv2dShape, inputs: Tensors, variant: string): Promise<Float32Array> {
  const declarations = conv2d.passes[passName]!.tensors.filter((tensor) => tensor.optional?.(shape) !== true);
  const slices = Object.fromEntries(
    await Promise.all(declarations.map(async ({ name, words }) => [name, await gpu.allocate(words(shape) * 4, name)] as const)),
  );
  for (const [name, data] of Object.entries(inputs)) gpu.write(slices[name]!, new Float32Array(data));
  const recorder = new Recorder(gpu);
  recorder.add(conv2d, passName, shape, slices, { variant });
  (await recorder.finish(variant)).replay();
  return gpu.read(slices[declarations.at(-1)!.name]!);
}
