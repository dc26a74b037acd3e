// The classes of matrix products that a tuner tells apart, and the shapes that it times for them.
import type { Tuning } from '../op.js';
import { bucket } from '../conv2d/tuning.js';
import type { LinearShape } from './shape.js';

const BOUNDS = [16, 64, 256, 1024, 4096];

export const linearTuning: Tuning<LinearShape> = {
  passes: ['forward', 'input-gradient', 'weight-gradient'],
  classOf: ({ batch, inputs, outputs }) => `b${bucket(batch, BOUNDS)} i${bucket(inputs, BOUNDS)} o${bucket(outputs, BOUNDS)}`,
  shapes: [
    { batch: 64, inputs: 64, outputs: 10, bias: false },
    { batch: 64, inputs: 512, outputs: 10, bias: false },
    { batch: 64, inputs: 784, outputs: 128, bias: false },
    { batch: 512, inputs: 512, outputs: 512, bias: false },
    { batch: 256, inputs: 4096, outputs: 4096, bias: false },
    { batch: 4096, inputs: 4096, outputs: 4096, bias: false },
  ],
};
