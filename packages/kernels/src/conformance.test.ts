// Every op, pass, variant and sample: the GPU against the float64 twin, each gradient against central differences, and
// each refused shape with its message. The name of a failing test says what to rerun: `vitest -t "conv2d forward subgroup"`.
import { afterAll, describe, expect, it } from 'vitest';
import { openDevice } from './gpu/device.js';
import { allOps } from './ops/index.js';
import type { Op } from './ops/op.js';
import { conformanceCases, gradientError, runCase } from './testing/conformance.js';

const gpu = await openDevice();
afterAll(() => gpu.close());

/** The adapter that tests are written for: every variant runs on it, none may vanish from this suite. */
const isReference = gpu.traits.kind === 'cpu' && gpu.traits.subgroupSize === 8;
const adapter = `${gpu.adapter.description || gpu.adapter.device}, ${gpu.traits.kind} with subgroups of ${gpu.traits.subgroupSize}`;

/** Passes and variants that no sample of the op can run on this adapter, though it has the feature that they need. */
function unusableVariants<S>(op: Op<S>): string[] {
  return Object.entries(op.passes).flatMap(([passName, { variants }]) =>
    variants
      .filter(({ needs }) => needs === undefined || gpu.features.has(needs))
      .filter((variant) => !op.samples.some((shape) => variant.usable(shape, gpu.traits)))
      .map(({ name }) => `${passName} ${name}`),
  );
}

function suite<S>(op: Op<S>): void {
  describe(op.name, () => {
    const unusable = unusableVariants(op);
    const skipped = isReference || unusable.length === 0 ? '' : `; not on this adapter (${adapter}): ${unusable.join(', ')}`;
    it.skipIf(skipped !== '')(`${op.name} runs every variant on some sample${skipped}`, () => expect(unusable).toEqual([]));
    for (const one of conformanceCases(op)) {
      const pass = op.passes[one.passName]!;
      const variant = pass.variants.find(({ name }) => name === one.variant)!;
      if (!variant.usable(one.shape, gpu.traits)) continue;
      it(`${op.name} ${one.passName} ${one.variant} ${JSON.stringify(one.shape)}`, async () => {
        for (const difference of await runCase(gpu, one)) {
          expect(difference.error, JSON.stringify(difference)).toBeLessThanOrEqual(variant.tolerance ?? pass.tolerance);
        }
      });
    }
    for (const [passName, pass] of Object.entries(op.passes)) {
      if (pass.differentiates === undefined) continue;
      it(`${op.name} ${passName} gradient check`, () => {
        for (const shape of op.samples) expect(gradientError(op, passName, shape), JSON.stringify(shape)).toBeLessThan(1e-6);
      });
    }
    it(`${op.name} refuses bad shapes`, () => {
      expect(op.errors.length).toBeGreaterThan(0);
      for (const { shape, message } of op.errors) expect(() => op.check(shape)).toThrow(message);
    });
    it(`${op.name} runs at least one variant of each pass on every sample`, () => {
      for (const [passName, pass] of Object.entries(op.passes)) {
        for (const shape of op.samples) {
          const usable = pass.variants.filter((variant) => variant.usable(shape, gpu.traits));
          expect(usable.length, `${passName} ${JSON.stringify(shape)}`).toBeGreaterThan(0);
        }
      }
    });
  });
}

for (const op of allOps) suite(op);
