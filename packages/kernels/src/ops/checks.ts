// Checks that the shapes of several ops share.
import { ShapeError } from './op.js';

/** Throws ShapeError, naming the op and the field, unless every value is a positive integer. */
export function requirePositiveIntegers(op: string, values: Readonly<Record<string, number>>): void {
  for (const [name, value] of Object.entries(values)) {
    if (!Number.isInteger(value) || value <= 0) throw new ShapeError(op, `${name} is ${value}; it must be a positive integer`);
  }
}

/** Throws ShapeError unless `size` is a positive multiple of 4: the length in words of an activation with padded channels. */
export function requireVectors(op: string, size: number): void {
  if (!Number.isInteger(size) || size <= 0 || size % 4 !== 0) {
    throw new ShapeError(op, `size is ${size}; it must be a positive multiple of 4`);
  }
}
