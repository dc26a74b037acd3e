// n2n bench ops, n2n bench step: how fast the kernels and whole steps are on this adapter.
import { runStepBench, stepCases } from '@n2n/benchmarks';
import { opBenchCases, runOpBench, type BenchProgress, type Measurement } from '@n2n/kernels';
import { BENCH } from '../budgets.js';
import { defineCommand } from '../command.js';
import type { Context } from '../context.js';
import { UsageError } from '../errors.js';
import { adapterName, adapterRecord, type AdapterRecord } from '../output/adapter.js';
import { milliseconds } from '../output/format.js';
import { table } from '../output/table.js';
import { integer } from '../settings/kinds.js';
import { adapter, filter } from '../settings/settings.js';

const repetitions = integer(
  { flags: '--repetitions <n>', about: 'timed repetitions of each case, in turns' },
  1,
  BENCH.repetitions,
  10_000,
);
const settings = { filter, repetitions, adapter };

export const benchOpsCommand = defineCommand({
  name: 'bench ops',
  about: 'speed of every kernel, of the cases other engines were measured with, and of the machine',
  settings,
  async run(context, values) {
    checkFilter(values.filter, opBenchCases());
    const gpu = await context.openGpu(values.adapter);
    const { filter: part, repetitions: count } = values;
    const results = await runOpBench(gpu, { filter: part, repetitions: count, signal: context.signal, onProgress: reporter(context) });
    report(context, adapterRecord(gpu.adapter), results);
  },
});

export const benchStepCommand = defineCommand({
  name: 'bench step',
  about: 'speed of whole training and evaluation steps',
  settings,
  async run(context, values) {
    checkFilter(values.filter, stepCases);
    const gpu = await context.openGpu(values.adapter);
    const { filter: part, repetitions: count } = values;
    const results = await runStepBench(gpu, { filter: part, repetitions: count, signal: context.signal, onProgress: reporter(context) });
    report(context, adapterRecord(gpu.adapter), results);
  },
});

function checkFilter(part: string, cases: readonly { readonly name: string }[]): void {
  if (cases.some(({ name }) => name.includes(part))) return;
  throw new UsageError(`--filter got "${part}", which is in no case's name; there are ${cases.map(({ name }) => name).join(', ')}`);
}

function reporter(context: Context): (progress: BenchProgress) => void {
  const preparing = context.output.progress('preparing', 'cases');
  let measuring: typeof preparing | undefined;
  return ({ phase, done, total, name }) => {
    if (phase === 'prepare') {
      preparing.update(done, total, name);
      return;
    }
    measuring ??= context.output.progress('measuring', 'repetitions');
    measuring.update(done, total, name);
  };
}

function report(context: Context, found: AdapterRecord, results: readonly Measurement[]): void {
  context.output.result({ adapter: found, results }, () => `${adapterName(found)}\n\n${resultTable(results)}`);
}

function resultTable(results: readonly Measurement[]): string {
  const digits = (value: number | undefined): string => (value === undefined ? '' : value >= 100 ? value.toFixed(0) : value.toPrecision(3));
  const rows = results.map(({ name, medianMs, p10Ms, p90Ms, gflops, gbps, samplesPerSecond }) => [
    name,
    milliseconds(medianMs),
    milliseconds(p10Ms),
    milliseconds(p90Ms),
    digits(gflops),
    digits(gbps),
    digits(samplesPerSecond),
  ]);
  const right = ['median', 'p10', 'p90', 'GFLOP/s', 'GB/s', 'samples/s'].map((title) => ({ title, align: 'right' as const }));
  return table([{ title: 'case' }, ...right], rows);
}
