// The `tiled` variants: which adapter gets them, that tests reach all their forms, and that they repeat to the bit.
import { afterAll, describe, expect, it } from 'vitest';
import { openDevice, type Slice } from '../../gpu/device.js';
import { Recorder } from '../../gpu/recording.js';
import { compare, passInputs } from '../../testing/conformance.js';
import { linear } from '../linear/index.js';
import { chooseVariant, type DeviceTraits, type Dispatch } from '../op.js';
import { conv2d, type Conv2dShape } from './index.js';

const gpu = await openDevice();
afterAll(() => gpu.close());

const software: DeviceTraits = { subgroupSize: 8, f16: true, kind: 'cpu', maxWorkgroups: 65_535 };
const discrete: DeviceTraits = { subgroupSize: 32, f16: true, kind: 'gpu', maxWorkgroups: 65_535 };
const passes = ['forward', 'input-gradient', 'weight-gradient'] as const;
const tiled = (passName: string, shape: Conv2dShape, device: DeviceTraits): readonly Dispatch[] =>
  conv2d.passes[passName]!.variants.find(({ name }) => name === 'tiled')!.dispatches(shape, device);
const dense = conv2d.samples.filter(({ groups }) => groups === 1);

/** Every tensor of a pass but the output holds its test data; the output is the last one declared. */
async function prepare(passName: string, shape: Conv2dShape, variant: string): Promise<{ recorder: Recorder; output: Slice }> {
  const inputs = passInputs(conv2d, passName, shape);
  const slices: Record<string, Slice> = {};
  const declarations = conv2d.passes[passName]!.tensors.filter((tensor) => tensor.optional?.(shape) !== true);
  for (const { name, words } of declarations) {
    slices[name] = await gpu.allocate(words(shape) * 4, name);
    if (inputs[name] !== undefined) gpu.write(slices[name], new Float32Array(inputs[name]));
  }
  const recorder = new Recorder(gpu);
  recorder.add(conv2d, passName, shape, slices, { variant });
  return { recorder, output: slices[declarations.at(-1)!.name]! };
}

async function runOnce(passName: string, shape: Conv2dShape, variant: string): Promise<Float32Array> {
  const { recorder, output } = await prepare(passName, shape, variant);
  (await recorder.finish(variant)).replay();
  return gpu.read(output);
}

describe('conv2d tiled', () => {
  it.each(passes)('%s is what a discrete GPU gets, and a software adapter only by name', (passName) => {
    for (const subgroupSize of [0, 8, 32]) {
      for (const shape of dense) expect(chooseVariant(conv2d, passName, shape, { ...discrete, subgroupSize }).name).toBe('tiled');
      for (const shape of linear.samples) expect(chooseVariant(linear, passName, shape, { ...discrete, subgroupSize }).name).toBe('tiled');
    }
    for (const shape of conv2d.samples) expect(chooseVariant(conv2d, passName, shape, software).name).not.toBe('tiled');
    for (const shape of linear.samples) expect(chooseVariant(linear, passName, shape, software).name).not.toBe('tiled');
    expect(chooseVariant(conv2d, passName, dense[0]!, software, { wanted: 'tiled' }).name).toBe('tiled');
  });

  it.each(passes)('%s is tested with both tiles, whole and split', (passName) => {
    const forms = dense.map((shape) => {
      const [product, sum] = tiled(passName, shape, software);
      return `${product!.constants!['ACROSS']} ${sum === undefined ? 'whole' : 'split'}`;
    });
    expect(new Set(forms)).toEqual(new Set(['4 whole', '4 split', '16 whole', '16 split']));
  });

  it.each(passes)('%s compiles ahead all that a discrete GPU will use', (passName) => {
    const key = ({ wgsl, constants = {} }: Dispatch): string => `${wgsl.href} ${JSON.stringify(constants)}`;
    const chosen = (shape: Conv2dShape): string[] => chooseVariant(conv2d, passName, shape, discrete).dispatches(shape, discrete).map(key);
    const known = new Set([...conv2d.samples, ...conv2d.large!].flatMap(chosen));
    for (const channels of [1, 3, 16, 64, 100, 512]) {
      for (const filters of [1, 10, 40, 100, 128, 512]) {
        for (const batch of [1, 64, 1024]) {
          for (const stride of [1, 2]) {
            const shape = { ...dense[0]!, batch, channels, filters, height: 32, width: 32, stride: [stride, stride] } as const;
            for (const pipeline of chosen(shape)) expect(known, JSON.stringify(shape)).toContain(pipeline);
          }
        }
      }
    }
  });

  it.each(passes)('%s keeps within what every adapter grants', (passName) => {
    const scratch = conv2d.passes[passName]!.variants.find(({ name }) => name === 'tiled')!.scratchWords!;
    for (const batch of [1, 4096]) {
      for (const depth of [4, 512]) {
        const shape = { ...dense[0]!, batch, height: 32, width: 32, channels: depth, filters: depth };
        for (const device of [software, discrete]) {
          for (const { workgroups } of tiled(passName, shape, device)) expect(Math.max(...workgroups)).toBeLessThanOrEqual(65_535);
          expect(scratch(shape, device)).toBeLessThanOrEqual(2 ** 25);
        }
      }
    }
  });

  it.each(passes)('%s covers results of several large tiles each way as the plain form does', async (passName) => {
    const pointwise = { kernel: [1, 1], padding: [0, 0, 0, 0] } as const;
    const shape = { ...dense[0]!, ...pointwise, height: 12, width: 13, channels: 200, filters: 230 };
    const [{ constants, workgroups }] = tiled(passName, shape, gpu.traits) as [Dispatch];
    expect(constants!['ACROSS']).toBe(16);
    expect(workgroups[0]).toBeGreaterThanOrEqual(4);
    const [got, expected] = [await runOnce(passName, shape, 'tiled'), await runOnce(passName, shape, 'plain')];
    expect(compare(passName, got, expected).error).toBeLessThan(1e-5);
  });

  it.each(passes)('%s gives the same bits each time', async (passName) => {
    const shape = { ...dense[0]!, batch: 1, height: 9, width: 11, channels: 12, filters: 100 };
    const { recorder, output } = await prepare(passName, shape, 'tiled');
    expect(recorder.scratchBytes).toBeGreaterThan(0); // the sum is split
    const recording = await recorder.finish('tiled');
    const results: Float32Array[] = [];
    for (let run = 0; run < 3; run++) {
      recording.replay();
      results.push(await gpu.read(output));
      gpu.write(output, new Float32Array(output.size / 4));
    }
    expect(results[0]!.some((value) => value !== 0)).toBe(true);
    expect(results[1]).toEqual(results[0]);
    expect(results[2]).toEqual(results[0]);
  });
});
