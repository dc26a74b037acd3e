// 1 / (1 + exp(-x)): the gate of squeeze-and-excite blocks (arXiv 1709.01507).
import { z } from 'zod';
import { elementwise, unary } from './elementwise.js';

export const sigmoid = elementwise('sigmoid', z.strictObject({}), [], () => unary('Sigmoid'));
