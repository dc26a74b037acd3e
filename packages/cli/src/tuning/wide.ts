// Mesa's software adapter with vectors of 512 bits in place of 256: a setting of the environment that the driver reads when it
// is loaded, so another process measures it. Subgroups then have 16 lanes and other variants run.
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import type { Gpu, TunedCase } from '@n2n/kernels';
import { z } from 'zod';
import type { Context } from '../context.js';
import type { Tuning } from './store.js';

export const WIDE_VARIABLE = 'LP_NATIVE_VECTOR_WIDTH';
export const WIDE_VALUE = '512';

const MOST_OUTPUT_BYTES = 2 ** 26;
/** What a process may take beyond its time limit: its start, the case under way. */
const GRACE_MS = 60_000;

const documentSchema = z.looseObject({
  results: z.array(
    z.looseObject({
      name: z.string(),
      chosen: z.string(),
      variants: z.array(z.looseObject({ variant: z.string(), gflops: z.number().nullable() })),
    }),
  ),
});

/** What is compared of a case. */
interface Rated {
  readonly name: string;
  readonly chosen: string;
  readonly variants: readonly { readonly variant: string; readonly gflops: number | null }[];
}

/** Whether there is such a mode to compare with: the adapter is Mesa's, and nobody has set the variable already. */
export const hasWideMode = (context: Context, { adapter }: Gpu): boolean =>
  /llvmpipe|lavapipe/i.test(`${adapter.device} ${adapter.description}`) &&
  context.self !== undefined &&
  (context.variables[WIDE_VARIABLE] ?? '') === '';

const rateOf = ({ chosen, variants }: Rated): number | null => variants.find(({ variant }) => variant === chosen)?.gflops ?? null;

/** Geometric mean of the speed of `wide` over that of `cases`, of the chosen variants, in the classes that both have; null without any. */
export function wideSpeed(cases: readonly Rated[], wide: readonly Rated[]): Tuning['wide'] {
  const logs = wide.flatMap((there) => {
    const here = cases.find(({ name }) => name === there.name);
    const [before, after] = [here === undefined ? null : rateOf(here), rateOf(there)];
    return before === null || after === null ? [] : [Math.log(after / before)];
  });
  if (logs.length === 0) return null;
  return { cases: logs.length, speed: Math.exp(logs.reduce((sum, value) => sum + value, 0) / logs.length) };
}

/** Measures the same classes in a process with 512-bit vectors. A process that fails is told of by a note, and null comes back. */
export async function measureWide(
  context: Context,
  cases: readonly TunedCase[],
  flags: readonly string[],
  seconds: number,
): Promise<Tuning['wide']> {
  const [program, ...start] = context.self!;
  const argv = [...start, 'tune', '--json', '--quiet', '--no-save', '--no-wide', '--time-limit', String(seconds), ...flags];
  try {
    const { stdout } = await promisify(execFile)(program, argv, {
      env: { ...context.variables, [WIDE_VARIABLE]: WIDE_VALUE },
      maxBuffer: MOST_OUTPUT_BYTES,
      signal: context.signal,
      ...(seconds > 0 && { timeout: seconds * 1000 + GRACE_MS }),
    });
    return wideSpeed(cases, documentSchema.parse(JSON.parse(stdout)).results);
  } catch (error) {
    context.signal.throwIfAborted();
    const [reason = ''] = (error instanceof Error ? error.message : String(error)).split('\n');
    context.output.note(`512-bit mode could not be measured: ${reason}`);
    return null;
  }
}
