// The op set: one line an op.
import { activation } from './activation/index.js';
import { batchNorm } from './batchNorm/index.js';
import { batchNormPool } from './batchNormPool/index.js';
import { maxPool } from './maxPool/index.js';
import { averagePool } from './averagePool/index.js';
import { globalAveragePool } from './globalAveragePool/index.js';
import { dropout } from './dropout/index.js';
import { add } from './add/index.js';
import { concat } from './concat/index.js';
import { multiply } from './multiply/index.js';
import { padChannels } from './padChannels/index.js';
import { sigmoid } from './sigmoid/index.js';
import { conv2d } from './conv2d/index.js';
import { conv2dNorm } from './conv2dNorm/index.js';
import { linear } from './linear/index.js';
import { softmaxCrossEntropy } from './softmaxCrossEntropy/index.js';
import { logitMse } from './logitMse/index.js';
import { softenedKl } from './softenedKl/index.js';
import { sgd } from './sgd/index.js';
import { adam } from './adam/index.js';
import { lossScale } from './lossScale/index.js';
import { clock } from './clock/index.js';
import { rows } from './rows/index.js';
import { gather } from './gather/index.js';
import { metrics } from './metrics/index.js';
import type { Op } from './op.js';

/** Every op, for tests and benchmarks that run over all of them. The shape type differs from op to op. */
export const allOps: readonly Op<unknown>[] = [
  add,
  conv2d,
  conv2dNorm,
  linear,
  softmaxCrossEntropy,
  logitMse,
  softenedKl,
  activation,
  batchNorm,
  batchNormPool,
  sgd,
  adam,
  lossScale,
  clock,
  rows,
  gather,
  metrics,
  maxPool,
  averagePool,
  globalAveragePool,
  dropout,
  concat,
  multiply,
  padChannels,
  sigmoid,
];

export { add };
export * from './conv2d/index.js';
export { conv2dNorm, fusesNorm, type Conv2dNormShape } from './conv2dNorm/index.js';
export * from './linear/index.js';
export * from './softmaxCrossEntropy/index.js';
export * from './logitMse/index.js';
export * from './softenedKl/index.js';
export * from './sgd/index.js';
export * from './adam/index.js';
export * from './lossScale/index.js';
export * from './clock/index.js';
export * from './rows/index.js';
export * from './gather/index.js';
export * from './metrics/index.js';
export { VOID_LABEL } from './loss.js';
export { PLAIN_VIEW, VOID_IMAGE } from './order.js';
export * from './activation/index.js';
export { batchNorm, type BatchNormShape } from './batchNorm/index.js';
export { batchNormPool, type BatchNormPoolShape } from './batchNormPool/index.js';
export * from './maxPool/index.js';
export * from './averagePool/index.js';
export * from './globalAveragePool/index.js';
export * from './dropout/index.js';
export * from './concat/index.js';
export * from './multiply/index.js';
export { padChannels } from './padChannels/index.js';
export * from './sigmoid/index.js';
