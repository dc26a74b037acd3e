// A finished run's result, as read from its directory.
import { readFile } from 'node:fs/promises';
import { InputError } from '../errors.js';
import type { Run } from '../run/run.js';
import { resultSchema, type Result } from './result.js';

/** Throws InputError when result.json is no result. */
export async function readResult(run: Run): Promise<Result> {
  const path = run.path('result.json');
  const parsed = resultSchema.safeParse(parseJson(path, await readFile(path, 'utf8')));
  if (!parsed.success) throw new InputError(`${path} is damaged; remove it to have the end of the run done again`);
  return parsed.data;
}

function parseJson(path: string, text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new InputError(
      `${path} is damaged (${error instanceof Error ? error.message : String(error)}); remove it to have the end of the run done again`,
    );
  }
}
