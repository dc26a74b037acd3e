// x * sigmoid(x), also called swish.
import { z } from 'zod';
import { elementwise } from './elementwise.js';

export const silu = elementwise('silu', z.strictObject({}), [], () => [
  { op: 'Sigmoid', inputs: [{ input: 0 }], auxiliary: true },
  { op: 'Mul', inputs: [{ input: 0 }, { step: 0 }] },
]);
