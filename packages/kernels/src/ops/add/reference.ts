// The float64 twin of add. The sum of two float32 values is rounded once on the device, hence the fround.
import type { Tensors } from '../op.js';

export function addReference({ size }: { readonly size: number }, { a, b, y }: Tensors): void {
  for (let i = 0; i < size; i++) y![i] = Math.fround(a![i]! + b![i]!);
}
