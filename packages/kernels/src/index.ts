// @n2n/kernels: the device, its buffers, and the op set in WGSL.
export * from './bench/cases.js';
export * from './bench/measure.js';
export * from './bench/ops.js';
export * from './bench/profile.js';
export * from './bench/statistics.js';
export * from './gpu/allocations.js';
export * from './gpu/device.js';
export * from './gpu/errors.js';
export { bindingVersion } from './gpu/instance.js';
export * from './gpu/recording.js';
export * from './gpu/timing.js';
export * from './gpu/warm.js';
export * from './ops/index.js';
export * from './ops/op.js';
export * from './tuner/cases.js';
export * from './tuner/tune.js';
