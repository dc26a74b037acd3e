// max(x, 0).
import { z } from 'zod';
import { elementwise, unary } from './elementwise.js';

export const relu = elementwise('relu', z.strictObject({}), [], () => unary('Relu'));
