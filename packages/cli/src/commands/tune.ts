// n2n tune: times the kernel variants of matrix products and convolutions on this adapter and keeps the fastest of each class of
// shapes in the user's cache directory, from where every later command takes them.
import { performance } from 'node:perf_hooks';
import { choicesOf, tune, tuneCases, type Tuned, type TunedCase } from '@n2n/kernels';
import { TUNE } from '../budgets.js';
import { defineCommand } from '../command.js';
import type { Context } from '../context.js';
import { UsageError } from '../errors.js';
import { adapterName, adapterRecord, type AdapterRecord } from '../output/adapter.js';
import { duration, times } from '../output/format.js';
import { table } from '../output/table.js';
import { integer, toggle } from '../settings/kinds.js';
import { adapter, filter } from '../settings/settings.js';
import { writeTuning, type Tuning } from '../tuning/store.js';
import { hasWideMode, measureWide, WIDE_VALUE, WIDE_VARIABLE } from '../tuning/wide.js';

export const tuneCommand = defineCommand({
  name: 'tune',
  about: 'finds the fastest kernels for this adapter and keeps the choice, which later commands follow',
  settings: {
    filter: { ...filter, about: 'only the classes of shapes whose name contains this' },
    all: toggle({ flags: '--all', about: 'also time kernels that are not meant for this kind of adapter' }, false),
    timeLimit: integer(
      { flags: '--time-limit <seconds>', about: 'no further class after this time; a later tuning begins with what is left; 0 for none' },
      0,
      TUNE.timeLimitSeconds,
    ),
    wide: toggle({ flags: '--wide', about: "on Mesa's software adapter: also compare with vectors of 512 bits (--no-wide: do not)" }, true),
    save: toggle({ flags: '--save', about: 'keep the choice (--no-save: only measure)' }, true),
    adapter,
  },
  async run(context, values) {
    const started = performance.now();
    if (!tuneCases(false).some(({ name }) => name.includes(values.filter))) {
      throw new UsageError(
        `--filter got "${values.filter}", which is in no class's name; there are ${tuneCases(false)
          .map(({ name }) => name)
          .join(', ')}`,
      );
    }
    const gpu = await context.openGpu(values.adapter, {});
    const path = context.tuningPath(gpu.adapter);
    if (values.save && path === undefined) {
      throw new UsageError('there is no directory to keep a tuning in; set XDG_CACHE_HOME or HOME to an absolute path, or give --no-save');
    }
    const earlier = context.tuning?.cases ?? [];
    const wide = values.wide && hasWideMode(context, gpu);
    const seconds = wide ? values.timeLimit * (1 - TUNE.wideShare) : values.timeLimit;
    const progress = context.output.progress('tuning', 'classes');
    const tuned = await tune(gpu, {
      filter: values.filter,
      all: values.all,
      timeLimitMs: seconds === 0 ? Infinity : seconds * 1000,
      last: new Set(earlier.map(({ name }) => name)),
      onProgress: ({ done, total, name }) => progress.update(done, total, name),
      signal: context.signal,
    });
    context.output.endProgress();
    const found = wide ? await compareWide(context, tuned.cases, values) : null;
    const cases = merged(earlier, tuned.cases);
    const tuning = { choices: choicesOf(cases), cases, wide: found ?? context.tuning?.wide ?? null };
    if (values.save && path !== undefined) await writeTuning(path, adapterRecord(gpu.adapter), tuning);
    const document = {
      adapter: adapterRecord(gpu.adapter),
      file: values.save ? path : null,
      elapsedSeconds: (performance.now() - started) / 1000,
      choices: tuning.choices,
      wide: found,
      results: tuned.cases,
      left: tuned.left,
    };
    context.output.result(document, () => readable(document));
  },
});

/** The whole of what is known: cases measured now take the place of earlier ones. */
const merged = (earlier: Tuning['cases'], now: readonly TunedCase[]): Tuning['cases'] => {
  const measured = new Set(now.map(({ name }) => name));
  return [...earlier.filter(({ name }) => !measured.has(name)), ...now.map((one) => ({ ...one, variants: [...one.variants] }))];
};

async function compareWide(
  context: Context,
  cases: readonly TunedCase[],
  { filter: part, all, timeLimit, adapter: wanted }: { filter: string; all: boolean; timeLimit: number; adapter: string },
): Promise<Tuning['wide']> {
  context.output.note('comparing with vectors of 512 bits');
  const flags = ['--adapter', wanted, ...(part === '' ? [] : ['--filter', part]), ...(all ? ['--all'] : [])];
  const wide = await measureWide(context, cases, flags, timeLimit === 0 ? 0 : Math.max(1, Math.round(timeLimit * TUNE.wideShare)));
  if (wide !== null && wide.speed >= TUNE.wideGain) {
    context.output.note(
      `vectors of 512 bits are ${times(wide.speed)} as fast here: set ${WIDE_VARIABLE}=${WIDE_VALUE} and run n2n tune again with it`,
    );
  }
  return wide;
}

interface Report extends Pick<Tuned, 'left'> {
  readonly adapter: AdapterRecord;
  readonly file: string | null | undefined;
  readonly elapsedSeconds: number;
  readonly wide: Tuning['wide'];
  readonly results: readonly TunedCase[];
}

function readable(report: Report): string {
  const { results, left, wide, file } = report;
  const rate = (gflops: number): string => (gflops >= 100 ? gflops.toFixed(0) : gflops.toPrecision(3));
  const rows = results.map(({ name, builtIn, chosen, variants }) => [
    name,
    chosen === builtIn ? chosen : `${chosen} (not ${builtIn})`,
    variants
      .toSorted((a, b) => (b.gflops ?? 0) - (a.gflops ?? 0))
      .map(({ variant, gflops, refused }) => `${variant} ${gflops === null ? '-' : rate(gflops)}${refused === null ? '' : ` (${refused})`}`)
      .join(', '),
  ]);
  const changed = results.filter(({ builtIn, chosen }) => chosen !== builtIn).length;
  const reasons = [...new Set(left.map(({ reason }) => reason))];
  return [
    `${adapterName(report.adapter)}\n`,
    table([{ title: 'class' }, { title: 'chosen' }, { title: 'GFLOP/s' }], rows),
    `${results.length} classes in ${duration(report.elapsedSeconds)}; ${changed} with another kernel than built in`,
    ...reasons.map((reason) => `${left.filter((one) => one.reason === reason).length} not measured: ${reason}`),
    ...(wide === null ? [] : [`with vectors of 512 bits: ${times(wide.speed)} as fast, over ${wide.cases} classes`]),
    ...(file === null || file === undefined ? [] : [`kept in ${file}`]),
  ]
    .map((line) => `${line}\n`)
    .join('');
}
