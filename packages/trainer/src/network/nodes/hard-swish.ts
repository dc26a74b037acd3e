// x * min(max(x + 3, 0), 6) / 6: MobileNetV3's activation (arXiv 1905.02244).
import { z } from 'zod';
import { elementwise, unary } from './elementwise.js';

export const hardSwish = elementwise('hard-swish', z.strictObject({}), [], () => unary('HardSwish'));
