// Which images train, which validate: class-balanced and seeded, so that every command draws the same line.
import { splitValidation, subset, type Split } from '@n2n/trainer';
import { UsageError } from '../errors.js';

export interface ImageIndices {
  /** Everything that is not held out. */
  readonly train: Uint32Array;
  readonly validation: Uint32Array;
}

export interface SplitOptions {
  readonly validation: number;
  readonly classes: number;
  readonly seed: number;
}

export const allIndices = (count: number): Uint32Array => Uint32Array.from({ length: count }, (_, i) => i);

/** Holds `validation` images out; 0 holds out none. Throws SelectionError when there are not that many. */
export function divide(split: Split, { validation, classes, seed }: SplitOptions): ImageIndices {
  if (validation === 0) return { train: allIndices(split.count), validation: new Uint32Array(0) };
  return splitValidation(split, { count: validation, classes, seed });
}

/** `count` of the training images, or all of them for 0. */
export function choose(train: Uint32Array, split: Split, count: number, options: SplitOptions): Uint32Array {
  return count === 0 ? train : subset(train, split.labels, count, options.classes, options.seed);
}

/** A batch has to fit into an epoch at least once. */
export function checkBatch(batch: number, images: number): void {
  if (batch <= images) return;
  throw new UsageError(`--batch got ${batch}, but there are ${images} images to train on; it needs at most that many`);
}
