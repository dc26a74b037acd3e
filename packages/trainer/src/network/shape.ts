// Small arithmetic on shapes, shared by the node types and the functions over a spec.
import type { Shape } from './spec.js';

/** Largest channel count, feature count, height or width of any shape, and largest kernel, stride and padding. */
export const DIMENSION_LIMIT = 2 ** 20;

/** Largest element count of one sample's activation and of one parameter tensor: an index fits a signed 32-bit integer. */
export const ELEMENT_LIMIT = 2 ** 31 - 1;

/** Channels of a map, features of a vector: what a batch-norm has one scale for. */
export function channelsOf(shape: Shape): number {
  return shape.kind === 'map' ? shape.channels : shape.features;
}

/** Elements of one sample. */
export function elementsOf(shape: Shape): number {
  return shape.kind === 'map' ? shape.channels * shape.height * shape.width : shape.features;
}

export function sameShape(a: Shape, b: Shape): boolean {
  return a.kind === b.kind && channelsOf(a) === channelsOf(b) && sameSize(a, b);
}

/** Equal height and width; two vectors always have, a map and a vector never. */
export function sameSize(a: Shape, b: Shape): boolean {
  if (a.kind === 'vector' || b.kind === 'vector') return a.kind === b.kind;
  return a.height === b.height && a.width === b.width;
}

/** `a map of 64x14x14` (channels x height x width) or `a vector of 10`. */
export function describeShape(shape: Shape): string {
  return shape.kind === 'map' ? `a map of ${shape.channels}x${shape.height}x${shape.width}` : `a vector of ${shape.features}`;
}
