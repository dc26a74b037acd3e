// The kernels that broadcast over a subgroup, with 16 lanes in place of 8: Mesa's software adapter has as many with vectors of 512
// bits, on processors that have them.
import { afterAll, describe, expect, it } from 'vitest';
import { openDevice } from '../../gpu/device.js';
import { conformanceCases, runCase } from '../../testing/conformance.js';
import { chooseVariant, type DeviceTraits } from '../op.js';
import { conv2d } from './index.js';

process.env['LP_NATIVE_VECTOR_WIDTH'] = '512';
const gpu = await openDevice();
afterAll(() => gpu.close());

const VARIANTS = ['subgroup', 'window', 'taps', 'winograd'];
const wide: DeviceTraits = { subgroupSize: 16, f16: false, kind: 'cpu', maxWorkgroups: 65_535 };
const cases = conformanceCases(conv2d).filter(({ passName, variant, shape }) => {
  const found = conv2d.passes[passName]!.variants.find(({ name }) => name === variant)!;
  return VARIANTS.includes(variant) && found.usable(shape, wide);
});
const names = [...new Set(cases.map(({ passName, variant }) => `${passName} ${variant}`))];

/** The ordinary sample and the oddest of a kernel: compiling takes most of the time here. */
function tested(name: string): typeof cases {
  const all = cases.filter(({ passName, variant }) => `${passName} ${variant}` === name);
  return [all[0]!, all.at(-1)!];
}

describe.skipIf(gpu.traits.subgroupSize !== 16)('conv2d in subgroups of 16, where vectors have 512 bits', () => {
  it.each(names)('%s', async (name) => {
    for (const one of tested(name)) {
      const { tolerance } = conv2d.passes[one.passName]!;
      for (const difference of await runCase(gpu, one)) expect(difference.error, JSON.stringify(difference)).toBeLessThanOrEqual(tolerance);
    }
  });
});

it('chooses these kernels with 8 lanes only', () => {
  expect(names).toHaveLength(11);
  for (const { passName, shape } of cases) {
    for (const subgroupSize of [16, 32]) {
      expect(VARIANTS).not.toContain(chooseVariant(conv2d, passName, shape, { ...wide, subgroupSize }).name);
    }
    expect(VARIANTS).toContain(chooseVariant(conv2d, passName, shape, { ...wide, subgroupSize: 8 }).name);
  }
});
