// min(max(x, 0), 6): MobileNet's activation.
import { z } from 'zod';
import { elementwise, unary } from './elementwise.js';

export const relu6 = elementwise('relu6', z.strictObject({}), [], () => unary('Clip', {}, [{ float: 0 }, { float: 6 }]));
