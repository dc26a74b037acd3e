// Building blocks of attribute schemas. Each custom check carries the words that an error puts after "needs".
import { z } from 'zod';
import { DIMENSION_LIMIT } from '../shape.js';

/** Height and width. */
export type Pair = readonly [number, number];
/** Top, left, bottom, right. */
export type Sides = readonly [number, number, number, number];

function isInteger(value: unknown, minimum: number): value is number {
  return Number.isSafeInteger(value) && (value as number) >= minimum && (value as number) <= DIMENSION_LIMIT;
}

function isIntegers(value: unknown, minimum: number, lengths: readonly number[]): value is readonly number[] {
  return Array.isArray(value) && lengths.includes(value.length) && value.every((item) => isInteger(item, minimum));
}

/** An integer from `minimum` to DIMENSION_LIMIT. */
export function integer(minimum: number): z.ZodType<number> {
  return z.custom<number>((value) => isInteger(value, minimum), `an integer from ${minimum} to ${DIMENSION_LIMIT}`);
}

/** A number in [minimum, maximum), or (minimum, maximum] and so on as `contains` says. */
export function real(contains: (value: number) => boolean, words: string): z.ZodType<number> {
  return z.custom<number>((value) => typeof value === 'number' && Number.isFinite(value) && contains(value), words);
}

export function flag(): z.ZodType<boolean> {
  return z.boolean('true or false');
}

/** [height, width] of at least 1; a single number stands for both. */
export function pair(): z.ZodType<Pair> {
  return z
    .custom<number | readonly number[]>(
      (value) => isInteger(value, 1) || isIntegers(value, 1, [2]),
      `an integer from 1 to ${DIMENSION_LIMIT}, or [height, width] of such`,
    )
    .transform((value): Pair => (typeof value === 'number' ? [value, value] : [value[0] ?? 1, value[1] ?? 1]));
}

/** [top, left, bottom, right] of at least 0; one number stands for all four, [vertical, horizontal] for two each. */
export function sides(): z.ZodType<Sides> {
  return z
    .custom<number | readonly number[]>(
      (value) => isInteger(value, 0) || isIntegers(value, 0, [2, 4]),
      `an integer from 0 to ${DIMENSION_LIMIT}, [vertical, horizontal] or [top, left, bottom, right] of such`,
    )
    .transform((value): Sides => {
      if (typeof value === 'number') return [value, value, value, value];
      const [top = 0, left = 0, bottom = top, right = left] = value;
      return [top, left, bottom, right];
    });
}
