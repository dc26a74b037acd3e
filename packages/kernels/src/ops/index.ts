// The op set: one line an op.
import { add } from './add/index.js';
import type { Op } from './op.js';

/** Every op, for tests and benchmarks that run over all of them. The shape type differs from op to op. */
export const allOps: readonly Op<unknown>[] = [add];

export { add };
