// min(max(alpha * x + beta, 0), 1); the defaults are PyTorch's, the gate of MobileNetV3's blocks.
import { z } from 'zod';
import { real } from './attributes.js';
import { elementwise, unary } from './elementwise.js';

const attributes = z.strictObject({
  alpha: real(() => true, 'a finite number').default(1 / 6),
  beta: real(() => true, 'a finite number').default(0.5),
});

export const hardSigmoid = elementwise('hard-sigmoid', attributes, Object.keys(attributes.shape), ({ alpha, beta }) =>
  unary('HardSigmoid', { alpha: { float: alpha }, beta: { float: beta } }),
);
