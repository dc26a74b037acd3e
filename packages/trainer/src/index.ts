// @n2n/trainer: data sets, model files, plans and training.
export * from './random.js';
