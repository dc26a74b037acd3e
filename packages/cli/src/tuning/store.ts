// The tunings of this user's machines: one JSON file for each adapter, driver and version of n2n, in the cache directory.
import { mkdir, readFile } from 'node:fs/promises';
import { isAbsolute, join } from 'node:path';
import { bindingVersion, unknownChoices, type Choices } from '@n2n/kernels';
import { writeFileAtomic } from '@n2n/trainer';
import { z } from 'zod';
import type { AdapterRecord } from '../output/adapter.js';
import { sha256 } from '../run/record.js';
import { VERSION } from '../version.js';

const FORMAT = 1;

const caseSchema = z.object({
  name: z.string(),
  shape: z.unknown(),
  flops: z.number(),
  builtIn: z.string(),
  chosen: z.string(),
  variants: z.array(
    z.object({
      variant: z.string(),
      bestMs: z.number().nullable(),
      gflops: z.number().nullable(),
      deviation: z.number().nullable(),
      refused: z.string().nullable(),
    }),
  ),
});

const tuningSchema = z.object({
  format: z.literal(FORMAT),
  /** What the times depend on; a tuning for anything else is none. */
  adapter: z.object({
    vendor: z.string(),
    architecture: z.string(),
    device: z.string(),
    description: z.string(),
    software: z.boolean(),
  }),
  versions: z.object({ n2n: z.string(), webgpu: z.string() }),
  measuredAt: z.string(),
  /** In place of the order of preference. */
  choices: z.record(z.string(), z.string()),
  cases: z.array(caseSchema),
  /** The same kernels with LP_NATIVE_VECTOR_WIDTH=512, where that was compared. */
  wide: z.object({ cases: z.int(), speed: z.number() }).nullable(),
});

export type Tuning = z.infer<typeof tuningSchema>;

/** `$XDG_CACHE_HOME/n2n/tune` or `~/.cache/n2n/tune`; undefined where neither variable says. A relative XDG_CACHE_HOME counts as none. */
export function tuningFolder(variables: NodeJS.ProcessEnv): string | undefined {
  const { XDG_CACHE_HOME: cache = '', HOME: home = '' } = variables;
  if (isAbsolute(cache)) return join(cache, 'n2n', 'tune');
  return isAbsolute(home) ? join(home, '.cache', 'n2n', 'tune') : undefined;
}

const versionsNow = (): Tuning['versions'] => ({ n2n: VERSION, webgpu: bindingVersion() });

/** The tuning's file: the adapter's name for people, a hash of adapter, driver and versions for the rest. */
export function tuningPath(folder: string, adapter: AdapterRecord): string {
  const slug = (adapter.device || adapter.description || 'adapter')
    .toLowerCase()
    .replaceAll(/[^a-z0-9]+/g, '-')
    .replaceAll(/^-|-$/g, '');
  return join(folder, `${slug.slice(0, 60)}-${sha256(JSON.stringify([adapter, versionsNow()])).slice(0, 12)}.json`);
}

/** The tuning of an adapter, or undefined. A file that cannot be used is told of by `note`, once, and otherwise counts as none. */
export async function readTuning(path: string, adapter: AdapterRecord, note: (line: string) => void): Promise<Tuning | undefined> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'ENOENT')) note(ignored(path, error));
    return undefined;
  }
  try {
    const tuning = tuningSchema.parse(JSON.parse(text));
    const expected = JSON.stringify([adapter, versionsNow()]);
    if (JSON.stringify([tuning.adapter, tuning.versions]) !== expected) throw new Error('it is of another adapter or version');
    const [unknown] = unknownChoices(tuning.choices);
    if (unknown !== undefined) throw new Error(unknown);
    return tuning;
  } catch (error) {
    note(ignored(path, error));
    return undefined;
  }
}

const ignored = (path: string, error: unknown): string => {
  const issue = error instanceof z.ZodError ? error.issues[0] : undefined;
  const reason =
    issue === undefined ? (error instanceof Error ? error.message : String(error)) : `"${issue.path.join('.')}": ${issue.message}`;
  return `the tuning ${path} is ignored: ${reason}; make it anew with n2n tune`;
};

/** Writes a tuning where `readTuning` finds it; the old one stays whole until the new one is. Throws FileWriteError. */
export async function writeTuning(path: string, adapter: AdapterRecord, found: Pick<Tuning, 'choices' | 'cases' | 'wide'>): Promise<void> {
  await mkdir(join(path, '..'), { recursive: true });
  const { vendor, architecture, device, description, software } = adapter;
  const tuning: Tuning = {
    format: FORMAT,
    adapter: { vendor, architecture, device, description, software },
    versions: versionsNow(),
    measuredAt: new Date().toISOString(),
    ...found,
  };
  await writeFileAtomic(path, `${JSON.stringify(tuning, undefined, 2)}\n`);
}

/** SHA-256 of choices, in the order of their names. */
export const choicesSha256 = (choices: Choices): string =>
  sha256(JSON.stringify(Object.entries(choices).toSorted(([a], [b]) => (a < b ? -1 : 1))));
