// @n2n/trainer: data sets, model files, plans and training.
export * from './data/index.js';
export { keyedRandom, type RandomStream } from './random.js';
