// Networks changed without changing what they compute.
export { foldBatchNorm } from './fold.js';
export { bareConvolutions, insertBatchNorm, type ChannelStatistics } from './normalise.js';
export type { Network } from './network.js';
