// Device tensors with the test data of an op's declaration, for what times kernels.
import type { Gpu, Slice } from '../gpu/device.js';
import type { Pass, TensorDeclaration } from '../ops/op.js';
import { testRandom } from '../testing/random.js';

/** Adds the tensors that are not there yet, inputs filled with their test data. */
export async function allocateTensors(
  gpu: Gpu,
  pass: Pass<unknown>,
  shape: unknown,
  name: string,
  tensors: Record<string, Slice>,
): Promise<void> {
  for (const declaration of pass.tensors) {
    if (tensors[declaration.name] !== undefined || declaration.optional?.(shape) === true) continue;
    const slice = await gpu.allocate(declaration.words(shape) * 4, `${name} ${declaration.name}`);
    if (declaration.role !== 'out') gpu.write(slice, inputData(declaration, shape));
    tensors[declaration.name] = slice;
  }
}

function inputData(declaration: TensorDeclaration<unknown>, shape: unknown): Float32Array | Uint32Array {
  const random = testRandom(declaration.name);
  const values = declaration.fill?.(shape, random) ?? Float32Array.from({ length: declaration.words(shape) }, () => random.normal());
  return declaration.type === 'f32' ? Float32Array.from(values) : Uint32Array.from(values);
}
