// Compiles the op set ahead: what a later plan needs is then in the pipeline cache, however new its shapes are.
import { allOps } from '../ops/index.js';
import { chooseVariant } from '../ops/op.js';
import type { Gpu } from './device.js';

/**
 * Compiles the pipelines of every pass of every op, for each sample, benchmark and large shape in the variant that a plan would use
 * on this adapter: none that is only for others. A kernel's tile sizes are few and chosen by the shape.
 */
export async function compileOpSet(gpu: Gpu): Promise<void> {
  for (const op of allOps) {
    for (const shape of [...op.samples, ...Object.values(op.benchmarks ?? {}), ...(op.large ?? [])]) {
      const dispatches = Object.keys(op.passes).flatMap((pass) => chooseVariant(op, pass, shape, gpu.traits).dispatches(shape, gpu.traits));
      await Promise.all(dispatches.map((dispatch) => gpu.pipelines.get(dispatch)));
    }
  }
  gpu.check();
}
