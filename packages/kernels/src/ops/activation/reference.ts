// The float64 twins of the activations, one function and one derivative a kind.
import type { Tensors } from '../op.js';
import type { ActivationKind, ActivationShape } from './index.js';

const sigmoid = (x: number): number => 1 / (1 + Math.exp(-x));

type Scalar = (x: number, slope: number) => number;

const functions: Record<ActivationKind, Scalar> = {
  relu: (x) => (x <= 0 ? 0 : x),
  relu6: (x) => (x <= 0 ? 0 : x >= 6 ? 6 : x),
  'leaky-relu': (x, slope) => (x <= 0 ? slope * x : x),
  silu: (x) => x * sigmoid(x),
  'hard-swish': (x) => (x * Math.min(Math.max(x + 3, 0), 6)) / 6,
};

const derivatives: Record<ActivationKind, Scalar> = {
  relu: (x) => (x <= 0 ? 0 : 1),
  relu6: (x) => (x <= 0 || x >= 6 ? 0 : 1),
  'leaky-relu': (x, slope) => (x <= 0 ? slope : 1),
  silu: (x) => sigmoid(x) * (1 + x * (1 - sigmoid(x))),
  'hard-swish': (x) => (x <= -3 ? 0 : x >= 3 ? 1 : x / 3 + 0.5),
};

/** x -> y */
export function forwardReference({ size, kind, slope = 0 }: ActivationShape, { x, y }: Tensors): void {
  for (let i = 0; i < size; i++) y![i] = functions[kind](x![i]!, slope);
}

/** x, dy -> dx */
export function gradientReference({ size, kind, slope = 0 }: ActivationShape, { x, dy, dx }: Tensors): void {
  for (let i = 0; i < size; i++) dx![i] = dy![i]! * derivatives[kind](x![i]!, slope);
}
