// Every kernel on a device with the limits that WebGPU grants everywhere, also those that the reference adapter cannot run for want
// of a feature or of lanes: Dawn validates shaders and pipelines without a driver. It computes nothing.
import { afterAll, expect, it } from 'vitest';
import { create, globals } from 'webgpu';
import { allOps } from '../ops/index.js';
import type { DeviceTraits, Dispatch, Op } from '../ops/op.js';
import { loadWgsl } from './pipelines.js';

Object.assign(globalThis, globals);
// Held by the global object: the instance must outlive the device, and nothing here refers to it any more.
const instance = Object.assign(globalThis, {
  driverlessInstance: create(['backend=null', 'enable-dawn-features=allow_unsafe_apis']),
}).driverlessInstance;
const adapter = await instance.requestAdapter();
const features = ['shader-f16', 'subgroups', 'chromium-experimental-subgroup-matrix'] as GPUFeatureName[];
const device = await adapter!.requestDevice({ requiredFeatures: features });
afterAll(() => device.destroy());

const discrete: DeviceTraits = { subgroupSize: 32, f16: true, matrixUnits: true, kind: 'gpu', maxWorkgroups: 65_535 };
const software: DeviceTraits = { subgroupSize: 8, f16: true, kind: 'cpu', maxWorkgroups: 65_535 };

/** Launches of all variants of an op for one of these adapters. */
function dispatches<S>(op: Op<S>): Dispatch[] {
  const variants = Object.values(op.passes).flatMap((pass) => pass.variants);
  return [discrete, software].flatMap((traits) =>
    variants.flatMap((variant) =>
      op.samples.filter((shape) => variant.usable(shape, traits)).flatMap((shape) => variant.dispatches(shape, traits)),
    ),
  );
}

/** What makes a pipeline of its own: `conv2d/forward.taps.wgsl {"SUBGROUP":32,"ROWS":4,"TAPS":3,"STRIDE":1}`. */
const nameOf = ({ wgsl, entryPoint, constants = {}, aliases = {} }: Dispatch): string =>
  [
    wgsl.pathname.split('/').slice(-2).join('/'),
    ...(entryPoint === undefined ? [] : [entryPoint]),
    ...[constants, aliases].filter((values) => Object.keys(values).length > 0).map((values) => JSON.stringify(values)),
  ].join(' ');

/** This device has half the workgroup memory that the kernels need. What they index there is not known before they run. */
const fitted = (code: string): string =>
  code.replaceAll(/array<f16, (5120|4352)>/g, 'array<f16, 2176>').replaceAll('array<f32, 2048>', 'array<f32, 1024>');

const pipelines = new Map(allOps.flatMap(dispatches).map((dispatch) => [nameOf(dispatch), dispatch]));

it('finds variants that the reference adapter lacks', () => {
  const found = [...pipelines.keys()].join('\n');
  for (const name of ['matrix.wgsl', 'subgroup.wgsl {"SUBGROUP":32', 'window.wgsl {"SUBGROUP":32', 'taps.wgsl {"SUBGROUP":32']) {
    expect(found).toContain(`conv2d/forward.${name}`);
  }
});

it.each([...pipelines])('%s is valid', async (_, dispatch) => {
  device.pushErrorScope('validation');
  const module = device.createShaderModule({ code: fitted(loadWgsl(dispatch)) });
  const [{ messages }] = await Promise.all([module.getCompilationInfo(), device.popErrorScope()]);
  expect(messages.map(({ lineNum, message }) => `line ${lineNum}: ${message}`)).toEqual([]);
  await device.createComputePipelineAsync({ layout: 'auto', compute: { module, entryPoint: dispatch.entryPoint ?? 'main' } });
});
