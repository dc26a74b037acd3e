// Kinds of values that settings have, each from the text of a flag.
import { z } from 'zod';
import type { Setting } from './setting.js';

interface Wording {
  readonly flags: string;
  readonly about: string;
}

const MOST = Number.MAX_SAFE_INTEGER;

/** A number in plain notation; what Number() takes beyond that ("", "0x10", " 1 ") is refused. */
const numberText = z
  .string()
  .regex(/^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i)
  .transform(Number);

export function integer(wording: Wording, least: number, fallback: number, most = MOST): Setting<number> {
  const needs = most === MOST ? `an integer of at least ${least}` : `an integer from ${least} to ${most}`;
  return { ...wording, needs, schema: numberText.pipe(z.int().min(least).max(most)), fallback };
}

/** An integer, or a word that stands for one which follows from something else. */
export function integerOr<const W extends string>(
  wording: Wording,
  word: W,
  range: { least: number; most: number },
  fallback: number | W,
): Setting<number | W> {
  const { needs, schema } = integer(wording, range.least, range.least, range.most);
  return { ...wording, needs: `${needs}, or ${word}`, schema: z.union([z.literal(word), schema]), fallback };
}

export function optionalInteger(wording: Wording, least: number): Setting<number | undefined> {
  return { ...integer(wording, least, least), fallback: undefined };
}

/** `least` is allowed, unless `above` says that it is not. */
export function decimal(wording: Wording, range: { least: number; most: number; above?: boolean }, fallback: number): Setting<number> {
  const { least, most, above = false } = range;
  const lower = above ? `above ${least}` : `of at least ${least}`;
  const schema = numberText.pipe(z.number().refine((value) => (above ? value > least : value >= least) && value <= most));
  return { ...wording, needs: `a number ${lower}${most === Infinity ? '' : ` and at most ${most}`}`, schema, fallback };
}

/** Without a default. */
export function optionalDecimal(wording: Wording, range: { least: number; most: number }): Setting<number | undefined> {
  return { ...decimal(wording, range, range.least), fallback: undefined };
}

export function choice<const T extends string>(wording: Wording, values: readonly T[], fallback: T): Setting<T> {
  return { ...wording, needs: `one of ${values.join(', ')}`, schema: z.enum(values), fallback };
}

/** Comma-separated members of `values`, at least one, none twice. */
export function choices<const T extends string>(wording: Wording, values: readonly T[], fallback: readonly T[]): Setting<readonly T[]> {
  const schema = z
    .string()
    .transform((text) => text.split(','))
    .pipe(z.array(z.enum(values)).refine((list) => new Set(list).size === list.length));
  return { ...wording, needs: `one or more of ${values.join(', ')}, separated by commas, none twice`, schema, fallback };
}

/** Comma-separated numbers, such as one a channel. */
export function numbers(wording: Wording, needs: string, accepts: (value: number) => boolean): Setting<readonly number[] | undefined> {
  const schema = z
    .string()
    .transform((text) => text.split(','))
    .pipe(z.array(numberText.refine((value) => Number.isFinite(value) && accepts(value))));
  return { ...wording, needs, schema, fallback: undefined };
}

export function text(wording: Wording, fallback: string): Setting<string> {
  return { ...wording, needs: 'a text that is not empty', schema: z.string().min(1), fallback };
}

export function optionalText(wording: Wording): Setting<string | undefined> {
  return { ...text(wording, ''), fallback: undefined };
}

export function texts(wording: Wording): Setting<readonly string[]> {
  return { ...wording, needs: 'a text that is not empty', schema: z.array(z.string().min(1)), fallback: [], repeatable: true };
}

/** On with the flag, off with `--no-...`. */
export function toggle(wording: Wording, fallback: boolean): Setting<boolean> {
  const schema = z.enum(['true', 'false', '1', '0']).transform((value) => value === 'true' || value === '1');
  return { ...wording, needs: 'true or false', schema, fallback };
}
