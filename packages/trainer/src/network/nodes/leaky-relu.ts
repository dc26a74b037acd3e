// x for x > 0, else slope * x.
import { z } from 'zod';
import { real } from './attributes.js';
import { elementwise, unary } from './elementwise.js';

const attributes = z.strictObject({ slope: real(() => true, 'a finite number').default(0.01) });

export const leakyRelu = elementwise('leaky-relu', attributes, Object.keys(attributes.shape), ({ slope }) =>
  unary('LeakyRelu', { alpha: { float: slope } }),
);
