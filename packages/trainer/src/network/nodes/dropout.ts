// Dropout: in training an element is zero with probability `rate`, else divided by 1 - rate; the identity otherwise.
import { z } from 'zod';
import { real } from './attributes.js';
import { elementwise, unary } from './elementwise.js';

const attributes = z.strictObject({
  rate: real((value) => value >= 0 && value < 1, 'a number from 0, below 1').default(0.5),
});
export type DropoutAttributes = z.infer<typeof attributes>;

export const dropout = elementwise('dropout', attributes, Object.keys(attributes.shape), ({ rate }) =>
  unary('Dropout', {}, [{ float: rate }]),
);
