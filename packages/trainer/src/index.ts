// @n2n/trainer: data sets, model files, plans and training.
export * from './data/index.js';
export * from './files/index.js';
export { keyedRandom, type RandomStream } from './random.js';
export * from './plan/index.js';
export * from './transform/index.js';
export * from './train/index.js';
