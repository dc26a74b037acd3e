// Variants that the reference adapter cannot run, for want of a feature or of lanes: Dawn validates their shaders and pipelines on
// a device that offers every feature and has no driver. It computes nothing.
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

const traits: DeviceTraits = { subgroupSize: 32, f16: true, matrixUnits: true, kind: 'gpu', maxWorkgroups: 65_535 };

/** Variants that broadcast over a subgroup, which run in subgroups of 8 and 16 there. */
const BROADCASTING = ['subgroup', 'window', 'taps', 'winograd'];

/** The kernels, one dispatch for each file, of an op's variants that need a feature, and of those made for a subgroup size. */
function kernels<S>(op: Op<S>): Dispatch[] {
  const found = Object.values(op.passes).flatMap(({ variants }) =>
    variants
      .filter(({ name, needs }) => needs !== undefined || BROADCASTING.includes(name))
      .flatMap((variant) =>
        op.samples.filter((shape) => variant.usable(shape, traits)).flatMap((shape) => variant.dispatches(shape, traits)),
      ),
  );
  return [...new Map(found.map((dispatch) => [dispatch.wgsl.pathname, dispatch])).values()];
}

/** This device has half the workgroup memory that the kernels need. What they index there is not known before they run. */
const fitted = (code: string): string =>
  code.replaceAll(/array<f16, (5120|4352)>/g, 'array<f16, 2176>').replaceAll('array<f32, 2048>', 'array<f32, 1024>');

const cases = allOps.flatMap((op) =>
  kernels(op).map((dispatch) => [dispatch.wgsl.pathname.split('/').slice(-2).join('/'), dispatch] as const),
);

it('finds such variants', () => {
  const found = cases.map(([name]) => name);
  for (const name of ['matrix', 'subgroup', 'window', 'taps']) expect(found).toContain(`conv2d/forward.${name}.wgsl`);
});

it.each(cases)('%s is valid', async (_, dispatch) => {
  device.pushErrorScope('validation');
  const module = device.createShaderModule({ code: fitted(loadWgsl(dispatch)) });
  const [{ messages }] = await Promise.all([module.getCompilationInfo(), device.popErrorScope()]);
  expect(messages.map(({ lineNum, message }) => `line ${lineNum}: ${message}`)).toEqual([]);
  await device.createComputePipelineAsync({ layout: 'auto', compute: { module, entryPoint: 'main' } });
});
