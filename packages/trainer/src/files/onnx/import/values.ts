// What the values of an ONNX graph are to n2n: outputs of nodes, constants, or sizes that a graph computes for its reshapes.
import type { Pair, Shape, Sides } from '../../../network/index.js';
import type { OnnxTensor } from '../schema.js';

/** The output of a node of the spec, and how ONNX presents it. */
export interface Feature {
  readonly kind: 'feature';
  /** Node id, or INPUT_ID. */
  readonly id: string;
  readonly shape: Shape;
  /**
   * ONNX's dimensions after the batch: [C, H, W] of a map, or [H, W, C] when `channelsLast`; of a vector [F], with ones around
   * it where ONNX keeps it as a map of 1x1.
   */
  readonly dims: readonly number[];
  readonly channelsLast: boolean;
  /** A vector flattened from a map that was channels-last: its features come in another order than the spec's. */
  readonly flattenedLast?: { readonly channels: number; readonly positions: number };
  /** Zeros around the map that the next window takes over: top, left, bottom, right. */
  readonly pad?: Sides;
  /** After the softmax that ends the graph and that n2n leaves out: nothing may compute with it. */
  readonly final: boolean;
  /** Of every stride-th pixel of another map: that map. What follows may take its pixels there. */
  readonly subsampled?: { readonly id: string; readonly source: Feature; readonly stride: Pair };
}

export interface Constant {
  readonly kind: 'constant';
  readonly tensor: OnnxTensor;
}

/** A list of integers, or one (`scalar`), that may hold the size of the batch; a table of them, row by row, where it has `columns`. */
export interface Sizes {
  readonly kind: 'sizes';
  readonly sizes: readonly Size[];
  readonly columns?: number;
  readonly scalar: boolean;
}
export type Size = number | 'batch';

export type Value = Feature | Constant | Sizes;

/** The axis of ONNX's dimensions, batch included, that holds the channels. */
export function channelAxis({ shape, dims, channelsLast }: Feature): number {
  if (shape.kind === 'map') return channelsLast ? dims.length : 1;
  const at = dims.findIndex((size) => size !== 1);
  return at < 0 ? 1 : at + 1;
}
