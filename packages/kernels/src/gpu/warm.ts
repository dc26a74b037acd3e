// Compiles the op set ahead: what a later plan needs is then in the pipeline cache, however new its shapes are.
import { allOps } from '../ops/index.js';
import { chooseVariant, type Choices, type DeviceTraits, type Dispatch, type Op, type Precision } from '../ops/op.js';
import type { Gpu } from './device.js';

/**
 * Compiles the pipelines of every pass of every op, for each sample, benchmark and large shape in the variant that a plan would use
 * on this adapter: none that is only for others. A kernel's tile sizes are few and chosen by the shape. In mixed precision those of
 * f32, in which networks are evaluated, and those that training takes; throws AdapterError where the adapter does not have it.
 */
export async function compileOpSet(gpu: Gpu, precision: Precision = 'f32'): Promise<void> {
  gpu.requirePrecision(precision);
  for (const op of allOps) {
    await Promise.all(warmDispatches(op, gpu.traits, gpu.choices, precision).map((dispatch) => gpu.pipelines.get(dispatch)));
  }
  gpu.check();
}

/**
 * Launches that reach every pipeline a plan may take from the op. A variant that a tuner chose for one class of shapes is there for all
 * shapes that it can run: the class may have none among the samples, and one tile size may be needed first by a later shape.
 */
export function warmDispatches(op: Op<unknown>, device: DeviceTraits, choices: Choices, precision: Precision = 'f32'): Dispatch[] {
  const shapes = [...op.samples, ...Object.values(op.benchmarks ?? {}), ...(op.large ?? []), ...(op.tuning?.shapes ?? [])];
  return Object.entries(op.passes).flatMap(([passName, { variants }]) => {
    const chosen = new Set(Object.keys(choices).flatMap((key) => (key.startsWith(`${op.name}/${passName}/`) ? [choices[key]] : [])));
    return shapes.flatMap((shape) => {
      const usual = chooseVariant(op, passName, shape, device);
      const rounded = chooseVariant(op, passName, shape, device, { precision });
      const needed = variants.filter((one) => one === usual || one === rounded || (chosen.has(one.name) && one.usable(shape, device)));
      return needed.flatMap((one) => one.dispatches(shape, device));
    });
  });
}
