// Benchmark results as tables.
import type { Comparison, PeerReport, StepProfile } from '@n2n/benchmarks';
import type { Measurement, ProfileRow, Roof } from '@n2n/kernels';
import { milliseconds, times } from '../output/format.js';
import { table } from '../output/table.js';

const right = (...titles: readonly string[]): { title: string; align: 'right' }[] => titles.map((title) => ({ title, align: 'right' }));

/** Three digits, or whole where there are more; empty for what was not measured. */
const digits = (value: number | undefined): string => (value === undefined ? '' : value >= 100 ? value.toFixed(0) : value.toPrecision(3));
const percents = (fraction: number): string => `${(100 * fraction).toFixed(fraction < 0.0995 ? 1 : 0)} %`;

/** The roof among the results, when both of its cases are there: a limit, so the best of their repetitions. */
function roofOf(results: readonly Measurement[]): Roof | undefined {
  const best = (wanted: string, rate: 'gflops' | 'gbps'): number | undefined => {
    const found = results.find(({ name }) => name === wanted);
    const atMedian = found?.[rate];
    return found === undefined || atMedian === undefined ? undefined : (atMedian * found.medianMs) / Math.min(...found.samplesMs);
  };
  const gflops = best('roof/multiply-add', 'gflops');
  const gbps = best('roof/copy', 'gbps');
  return gflops === undefined || gbps === undefined ? undefined : { gflops, gbps };
}

/** `of roof`: the least time that the operations and bytes take at the roof, over the time taken. */
export function resultTable(results: readonly Measurement[], roof = roofOf(results)): string {
  const rows = results.map(({ name, medianMs, p10Ms, p90Ms, noise, gflops, gbps, samplesPerSecond, encodeMs }) => [
    name,
    milliseconds(medianMs),
    milliseconds(p10Ms),
    milliseconds(p90Ms),
    percents(noise),
    digits(gflops),
    digits(gbps),
    ...(roof === undefined ? [] : [percents(Math.max((gflops ?? 0) / roof.gflops, (gbps ?? 0) / roof.gbps))]),
    digits(samplesPerSecond),
    percents(encodeMs / medianMs),
  ]);
  const roofTitle = roof === undefined ? [] : ['of roof'];
  const titles = right('median', 'p10', 'p90', 'noise', 'GFLOP/s', 'GB/s', ...roofTitle, 'samples/s', 'encode');
  return table([{ title: 'case' }, ...titles], rows);
}

/** Passes below this share of the step are left out of the table; --json has them all. */
const LEAST_SHARE = 0.005;

export function profileTables({ name, profile, roof }: StepProfile): string {
  const rates = (row: ProfileRow): string[] => [
    milliseconds(row.elapsedMs),
    percents(row.share),
    String(row.launches),
    digits(row.gflops),
    digits(row.gbps),
    percents(row.roofShare),
    row.bound,
  ];
  const titles = [...right('time', 'share', 'launches', 'GFLOP/s', 'GB/s', 'of roof'), { title: 'bound by' }];
  const shown = profile.passes.filter(({ share }) => share >= LEAST_SHARE);
  const hidden = profile.passes.length - shown.length;
  const launches = profile.passes.reduce((sum, row) => sum + row.launches, 0);
  return [
    `${name}: ${milliseconds(profile.elapsedMs)} in ${launches} launches; roof ${digits(roof.gflops)} GFLOP/s, ${digits(roof.gbps)} GB/s\n`,
    table(
      [{ title: 'pass' }, { title: 'variant' }, ...titles],
      shown.map((row) => [row.label, row.variant, ...rates(row)]),
    ) + (hidden === 0 ? '' : `(and ${hidden} of less than ${percents(LEAST_SHARE)} each)\n`),
    table(
      [{ title: 'op' }, ...titles],
      profile.ops.map((row) => [row.name, ...rates(row)]),
    ),
    table(
      [{ title: 'kernel' }, ...titles],
      profile.kernels.map((row) => [row.name, ...rates(row)]),
    ),
  ].join('\n');
}

export function comparisonTable(results: readonly Comparison[]): string {
  const signed = (change: number): string => `${change >= 0 ? '+' : ''}${(100 * change).toFixed(1)} %`;
  const rows = results.map(({ name, beforeMs, afterMs, change, p, verdict }) => [
    name,
    milliseconds(beforeMs),
    milliseconds(afterMs),
    signed(change),
    p < 1e-4 ? '< 0.0001' : p.toFixed(4),
    verdict,
  ]);
  return table([{ title: 'case' }, ...right('before', 'after', 'time', 'p'), { title: 'verdict' }], rows);
}

/** One table a case; what is not in it, with the reason. */
export function peerTables({ results, failures, unavailable }: PeerReport): string {
  const names = [...new Set(results.map(({ name }) => name))];
  const tables = names.map((name) => {
    const rows = results
      .filter((result) => result.name === name)
      .map(({ engine, bestMs, medianMs, gflops, samplesPerSecond, ratio, deviation }) => [
        engine,
        milliseconds(bestMs),
        milliseconds(medianMs),
        digits(gflops ?? samplesPerSecond),
        engine === 'n2n' ? '' : times(ratio),
        engine === 'n2n' ? '' : deviation.toExponential(1),
      ]);
    const unit = results.some((result) => result.name === name && result.gflops !== undefined) ? 'GFLOP/s' : 'samples/s';
    return table([{ title: name }, ...right('best', 'median', unit, 'n2n is faster', 'deviation')], rows);
  });
  const broken = failures.filter(({ unsupported }) => !unsupported).map(({ engine, name, reason }) => `${engine}, ${name}: ${reason}\n`);
  const reasons = [...new Set(unavailable.map(({ reason }) => reason))];
  const missing = reasons.map((reason) => {
    const engines = unavailable.filter((one) => one.reason === reason).map(({ engine }) => engine);
    return `${engines.join(', ')}: ${reason}\n`;
  });
  return [
    ...tables,
    ...(broken.length === 0 ? [] : [`Not measured:\n${broken.join('')}`]),
    ...(missing.length === 0 ? [] : [`Cannot run here:\n${missing.join('')}`]),
  ].join('\n');
}
