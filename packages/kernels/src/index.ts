// @n2n/kernels: the device, its buffers, and the op set in WGSL.
export * from './gpu/device.js';
export * from './gpu/errors.js';
export * from './gpu/recording.js';
export * from './ops/index.js';
export * from './ops/op.js';
