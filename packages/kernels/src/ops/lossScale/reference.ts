// The twins of loss scaling. All scales are powers of two, so they are exact.
import type { Tensors } from '../op.js';
import type { LossScaleShape } from './index.js';

export function applyReference({ size }: LossScaleShape, { gradient, scaling }: Tensors): void {
  for (let i = 0; i < size; i++) gradient![i]! *= scaling![0]!;
}

export function checkReference(_: LossScaleShape, { gradients, scaling }: Tensors): void {
  if (gradients!.some((value) => !Number.isFinite(value))) scaling![1] = 0;
}

export function updateReference({ interval, most }: LossScaleShape, { scaling }: Tensors): void {
  const [scale, unscale, good, skipped] = scaling as unknown as [number, number, number, number];
  const next = (value: number, count: number): void => scaling!.set([value, 1 / value, count, skipped + (unscale === 0 ? 1 : 0)]);
  if (unscale === 0) next(Math.max(1, scale / 2), 0);
  else if (good + 1 >= interval) next(Math.max(scale, Math.min(most, 2 * scale)), 0);
  else next(scale, good + 1);
}
