// What --print-config prints: every value that a run would start with, and where it came from.
import type { Context } from '../context.js';
import { table } from './table.js';

/** `origins` by key where it is not that of the setting of the same name. */
export function printConfiguration(
  context: Context,
  configuration: Readonly<Record<string, unknown>>,
  origins: Readonly<Record<string, string>> = {},
): void {
  const originOf = (key: string): string => origins[key] ?? context.origins.get(key) ?? 'default';
  const from = Object.fromEntries(Object.keys(configuration).map((key) => [key, originOf(key)]));
  context.output.result({ ...configuration, origins: from }, () => {
    const rows = Object.entries(configuration).map(([key, value]) => [
      key,
      typeof value === 'string' ? value : (JSON.stringify(value) ?? ''),
      originOf(key),
    ]);
    return `${table([{ title: 'setting' }, { title: 'value' }, { title: 'from' }], rows)}\n`;
  });
}
