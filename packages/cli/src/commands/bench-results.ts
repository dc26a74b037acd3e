// Result files of the benchmarks: what `--json` prints, and where --save puts it.
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Provenance } from '@n2n/benchmarks';
import { z } from 'zod';
import { InputError } from '../errors.js';
import type { AdapterRecord } from '../output/adapter.js';

/** Every document of `n2n bench`; results have more than their names. */
export interface BenchDocument<R extends { readonly name: string }> {
  readonly adapter: AdapterRecord;
  readonly run: Provenance;
  readonly results: readonly R[];
}

/** Where --save writes: in the checkout. */
export const resultsFolder = fileURLToPath(new URL('../../../../benchmarks/results/', import.meta.url));

const schema = z.looseObject({
  adapter: z.looseObject({ device: z.string(), description: z.string() }),
  run: z.looseObject({ commit: z.looseObject({ hash: z.string() }).nullable() }).optional(),
  results: z
    .array(
      z.looseObject({
        name: z.string(),
        engine: z.string().optional(),
        samplesMs: z
          .array(z.number().positive(), { error: 'needs samplesMs, the time of each repetition: measure again with this version' })
          .min(1),
      }),
    )
    .min(1),
});

export type StoredDocument = z.infer<typeof schema>;

/** Reads a result file. Throws InputError with the file and what is wrong with it. */
export async function readResults(path: string): Promise<StoredDocument> {
  let content: unknown;
  try {
    content = JSON.parse(await readFile(path, 'utf8'));
  } catch (error) {
    throw new InputError(`${path}: ${error instanceof Error ? error.message : String(error)}; it needs a file that n2n bench --json wrote`);
  }
  const parsed = schema.safeParse(content);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  throw new InputError(`${path}: "${issue?.path.join('.')}": ${issue?.message}; it needs a file that n2n bench --json wrote`);
}

/**
 * Writes `<folder>/<prefix><adapter>-<date>.json` and returns its path. A file of the same name, adapter and commit is gone on with: results
 * of the same case are replaced (of all engines: their ratios belong to one run), the others stay, so that a run can be made piece by piece with --filter.
 */
export async function saveResults<R extends { readonly name: string }>(
  document: BenchDocument<R>,
  folder: string,
  prefix = '',
): Promise<string> {
  await mkdir(folder, { recursive: true });
  const { device, description } = document.adapter;
  const slug = (text: string): string =>
    text
      .toLowerCase()
      .replaceAll(/[^a-z0-9]+/g, '-')
      .replaceAll(/^-|-$/g, '');
  const base = `${prefix}${slug(device || description || 'adapter')}-${document.run.date.slice(0, 10)}`;
  for (let number = 1; ; number++) {
    const path = join(folder, `${base}${number === 1 ? '' : `-${number}`}.json`);
    const earlier = await readResults(path).catch(() => undefined);
    const same = earlier?.adapter.description === description && earlier.run?.commit?.hash === document.run.commit?.hash;
    if (earlier !== undefined && !same) continue;
    const measured = new Set(document.results.map(({ name }) => name));
    const kept = (earlier?.results ?? []).filter(({ name }) => !measured.has(name));
    await writeFile(path, `${JSON.stringify({ ...document, results: [...kept, ...document.results] }, undefined, 2)}\n`);
    return path;
  }
}
