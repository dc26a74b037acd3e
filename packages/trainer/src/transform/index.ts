// Networks changed without changing what they compute.
export { foldBatchNorm } from './fold.js';
export type { Network } from './network.js';
