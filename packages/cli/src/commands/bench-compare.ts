// n2n bench compare A B: whether B is slower than A. Exit code 7 when a case is. Needs no device.
import { compareResults, type Comparable } from '@n2n/benchmarks';
import { BENCH } from '../budgets.js';
import { defineCommand } from '../command.js';
import { InputError, RegressionError, UsageError } from '../errors.js';
import { decimal } from '../settings/kinds.js';
import { filter } from '../settings/settings.js';
import { comparisonTable } from './bench-report.js';
import { readResults, type StoredDocument } from './bench-results.js';

export const benchCompareCommand = defineCommand({
  name: 'bench compare',
  about: 'tests whether the second of two result files is slower than the first; exit code 7 when it is',
  arguments: [
    { name: '<before>', about: 'what n2n bench ... --json wrote' },
    { name: '<after>', about: 'the same cases, measured later' },
  ],
  settings: {
    filter,
    threshold: decimal(
      { flags: '--threshold <x>', about: 'percent by which a median must change to count' },
      { least: 0, most: 10_000 },
      BENCH.thresholdPercent,
    ),
    significance: decimal(
      { flags: '--significance <x>', about: 'chance of calling any case changed when none is' },
      { least: 0, most: 1, above: true },
      BENCH.significance,
    ),
  },
  async run(context, values, [beforePath = '', afterPath = '']) {
    const [before, after] = [await readResults(beforePath), await readResults(afterPath)];
    const chosen = ({ results }: StoredDocument): Comparable[] => results.filter(({ name }) => name.includes(values.filter));
    const report = compareResults(chosen(before), chosen(after), {
      threshold: values.threshold / 100,
      significance: values.significance,
    });
    if (report.results.length === 0) {
      const what = values.filter === '' ? 'no case' : `no case with "${values.filter}" in its name`;
      throw values.filter === ''
        ? new InputError(`${beforePath} and ${afterPath} have ${what} in common`)
        : new UsageError(`--filter got "${values.filter}", but ${beforePath} and ${afterPath} have ${what} in common`);
    }
    const { results } = report;
    const regressions = results.filter(({ verdict }) => verdict === 'slower').map(({ name }) => name);
    const document = { threshold: values.threshold / 100, significance: values.significance, regressions, ...report };
    context.output.result(document, () => comparisonTable(results));
    const [first, second] = [before.adapter, after.adapter];
    if (first.description !== second.description || first.device !== second.device) {
      context.output.note(`warning: different adapters: ${first.device} (${first.description}), ${second.device} (${second.description})`);
    }
    if (report.tooFew.length > 0) {
      context.output.note(
        `warning: too few repetitions to call anything significant in ${report.tooFew.length} of ${results.length} cases; ` +
          'measure with a larger --repetitions',
      );
    }
    for (const [path, names] of [
      [beforePath, report.onlyBefore],
      [afterPath, report.onlyAfter],
    ] as const) {
      if (names.length > 0) context.output.note(`only in ${path}: ${names.join(', ')}`);
    }
    if (regressions.length === 0) return;
    throw new RegressionError(
      `slower by more than ${values.threshold} %, at significance ${values.significance}: ${regressions.join(', ')}`,
    );
  },
});
