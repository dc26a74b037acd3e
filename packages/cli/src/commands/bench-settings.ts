// The flags of the bench commands, and what they have in common.
import type { BenchProgress, MeasureOptions, NamedCase } from '@n2n/kernels';
import { chooseCases } from '@n2n/kernels';
import { BENCH } from '../budgets.js';
import type { Context } from '../context.js';
import { UsageError } from '../errors.js';
import { decimal, integer } from '../settings/kinds.js';
import type { Resolved } from '../settings/setting.js';
import { adapter, filter } from '../settings/settings.js';

export const measuring = {
  filter,
  repetitions: integer({ flags: '--repetitions <n>', about: 'timed repetitions of each case, in turns' }, 1, BENCH.repetitions, 10_000),
  warmUp: integer({ flags: '--warm-up <n>', about: 'untimed runs of each case before them' }, 0, BENCH.warmUp, 10_000),
  minimumMs: decimal(
    { flags: '--minimum-ms <x>', about: 'least time of one repetition; short cases are run several times in it' },
    { least: 0, most: 60_000 },
    BENCH.minimumMs,
  ),
  noiseLimit: decimal(
    { flags: '--noise-limit <x>', about: 'percent by which repetitions may vary before a warning' },
    { least: 0, most: 1000 },
    BENCH.noisePercent,
  ),
  timeLimit: integer(
    { flags: '--time-limit <seconds>', about: 'no new round of repetitions after this time, once there are three; 0 for none' },
    0,
    BENCH.timeLimitSeconds,
  ),
  adapter,
};

type Measuring = Resolved<typeof measuring>;

export function measureOptions(context: Context, values: Measuring): MeasureOptions & { readonly filter: string } {
  return {
    filter: values.filter,
    repetitions: values.repetitions,
    warmup: values.warmUp,
    minimumMs: values.minimumMs,
    timeLimitMs: values.timeLimit === 0 ? Infinity : values.timeLimit * 1000,
    signal: context.signal,
    onProgress: reporter(context),
  };
}

/** Refuses a filter that chooses nothing. Before the device is opened nothing is known of it: then `software` is false. */
export function checkFilter(part: string, cases: readonly NamedCase[], software = false): void {
  try {
    chooseCases(cases, part, software);
  } catch {
    const heavy = cases.filter(({ name }) => name.includes(part));
    throw new UsageError(
      heavy.length === 0
        ? `--filter got "${part}", which is in no case's name; there are ${cases.map(({ name }) => name).join(', ')}`
        : `--filter got "${part}", which leaves cases too large for a software adapter; name one in full: ${heavy.map(({ name }) => name).join(', ')}`,
    );
  }
}

function reporter(context: Context): (progress: BenchProgress) => void {
  const preparing = context.output.progress('preparing', 'cases');
  let measured: typeof preparing | undefined;
  return ({ phase, done, total, name }) => {
    if (phase === 'prepare') {
      preparing.update(done, total, name);
      return;
    }
    measured ??= context.output.progress('measuring', 'repetitions');
    measured.update(done, total, name);
  };
}

/** Says what makes the figures doubtful: noisy cases, a busy machine. */
export function warnOfNoise(
  context: Context,
  results: readonly { readonly name: string; readonly noise: number }[],
  limitPercent: number,
  { load, machine }: { readonly load: readonly number[]; readonly machine: { readonly cores: number } },
): void {
  const noisy = results.filter(({ noise }) => 100 * noise > limitPercent);
  if (noisy.length > 0) {
    const worst = noisy.toSorted((a, b) => b.noise - a.noise).slice(0, 3);
    const list = worst.map(({ name, noise }) => `${name} by ${(100 * noise).toFixed(0)} %`).join(', ');
    const more = noisy.length > worst.length ? ' and others' : '';
    context.output.note(`warning: ${noisy.length} of ${results.length} cases vary by more than ${limitPercent} %: ${list}${more}`);
  }
  const busy = (load[0] ?? 0) / machine.cores;
  if (busy > BENCH.busyLoad) {
    context.output.note(`warning: the machine was busy before the start (load ${load[0]} on ${machine.cores} cores)`);
  }
}
