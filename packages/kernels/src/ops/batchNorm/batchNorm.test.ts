// Which of batch-norm's kernels an adapter gets; conformance tests hold each against its twin.
import { expect, it } from 'vitest';
import { chooseVariant, type DeviceTraits } from '../op.js';
import { batchNorm } from './index.js';

const software: DeviceTraits = { subgroupSize: 8, f16: true, kind: 'cpu', maxWorkgroups: 65_535, storageBuffers: 16 };
const small = { rows: 64, channels: 16, epsilon: 1e-5, momentum: 0.1 };

/** Storage buffers that the one launch binds; 9 is more than WebGPU grants everywhere. */
it.each([
  ['forward', 8],
  ['gradient', 9],
])('a small map takes one launch for its %s pass where a software adapter grants %i storage buffers', (pass, buffers) => {
  const chosen = (changed: Partial<DeviceTraits>): string => chooseVariant(batchNorm, pass, small, { ...software, ...changed }).name;
  expect(chosen({})).toBe('whole');
  expect(chosen({ storageBuffers: buffers })).toBe('whole');
  expect(chosen({ storageBuffers: buffers - 1 })).toBe('coarse');
  expect(chosen({ kind: 'gpu' })).toBe('plain');
});
