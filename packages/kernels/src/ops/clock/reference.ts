// The exact twin of clock: 32-bit wrapping addition.
import type { Tensors } from '../op.js';

export function tickReference(by: number, { clock }: Tensors): void {
  clock![0] = (clock![0]! + by) >>> 0;
  clock![1] = (clock![1]! + by) >>> 0;
}
