// softenedKl: distillation by softened probabilities, T^2 KL(softmax(teacher / T) || softmax(logits / T)) (Hinton et al. 2015,
// section 2: the factor T^2 keeps the gradient's size independent of T).
import { ShapeError, type Op } from '../op.js';
import { checkLoss, lossPasses, type LossShape } from '../loss.js';
import { klDivergence, klDivergenceGradient } from './reference.js';

export interface SoftenedKlShape extends LossShape {
  /** T: above 0; 1 is plain KL, 4 is usual. */
  readonly temperature: number;
}

const ordinary: SoftenedKlShape = { batch: 64, classes: 10, temperature: 4, weight: 1, accumulate: false };

export const softenedKl: Op<SoftenedKlShape> = {
  name: 'softenedKl',
  passes: lossPasses<SoftenedKlShape>({
    forward: new URL('./forward.wgsl', import.meta.url),
    gradient: new URL('./gradient.wgsl', import.meta.url),
    teacher: true,
    parameter: ({ temperature }) => temperature,
    flops: [14, 14], // twice maximum, subtract, scale, exp, add; then the products
    tolerance: 1e-5, // log p - log q cancels where student and teacher agree
    loss: klDivergence,
    lossGradient: klDivergenceGradient,
  }),
  check(shape) {
    checkLoss('softenedKl', shape);
    const { temperature } = shape;
    if (!(temperature > 0 && temperature < Infinity))
      throw new ShapeError('softenedKl', `temperature is ${temperature}; it must be a finite number above 0`);
  },
  samples: [
    ordinary,
    { ...ordinary, temperature: 1, weight: 0.7, accumulate: true },
    { batch: 1, classes: 2, temperature: 2, weight: 1, accumulate: true },
    { batch: 7, classes: 3, temperature: 0.5, weight: 1, accumulate: false },
    { batch: 13, classes: 4, temperature: 3, weight: 0, accumulate: false },
    { batch: 33, classes: 101, temperature: 4, weight: 1, accumulate: false },
  ],
  benchmarks: { '500x1000': { ...ordinary, batch: 500, classes: 1000 } },
  errors: [
    { shape: { ...ordinary, temperature: 0 }, message: /temperature is 0/ },
    { shape: { ...ordinary, classes: 1 }, message: /classes is 1; .* at least 2/ },
    { shape: { ...ordinary, batch: -1 }, message: /batch is -1/ },
  ],
};
