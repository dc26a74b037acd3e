// n2n bench ops, step, all: how fast the kernels and whole steps are on this adapter.
import { profileSteps, provenance, runStepBench, stepCases } from '@n2n/benchmarks';
import { hasTimestamps, headlineCases, isChosen, opBenchCases, runOpBench, type Measurement } from '@n2n/kernels';
import { defineCommand } from '../command.js';
import type { Context } from '../context.js';
import { UsageError } from '../errors.js';
import { adapterName, adapterRecord } from '../output/adapter.js';
import { toggle } from '../settings/kinds.js';
import { precision } from '../settings/settings.js';
import { profileTables, resultTable } from './bench-report.js';
import { resultsFolder, saveResults, type BenchDocument } from './bench-results.js';
import { checkFilter, measureOptions, measuring, warnOfNoise } from './bench-settings.js';

export const benchOpsCommand = defineCommand({
  name: 'bench ops',
  about: 'speed of every kernel, of the cases other engines were measured with, and of the machine',
  settings: measuring,
  async run(context, values) {
    checkFilter(values.filter, opBenchCases());
    const run = await provenance();
    const gpu = await context.openGpu(values.adapter);
    checkFilter(values.filter, opBenchCases(), gpu.adapter.software);
    const results = await runOpBench(gpu, measureOptions(context, values));
    report(context, { adapter: adapterRecord(gpu.adapter), run, results });
    warnOfNoise(context, results, values.noiseLimit, run);
  },
});

export const benchStepCommand = defineCommand({
  name: 'bench step',
  about: 'speed of whole training and evaluation steps',
  settings: {
    ...measuring,
    precision,
    profile: toggle(
      { flags: '--profile', about: "device time of each of a step's passes, ops and kernels, beside the machine's limits" },
      false,
    ),
  },
  async run(context, values) {
    checkFilter(values.filter, stepCases);
    const run = await provenance();
    const gpu = await context.openGpu(values.adapter);
    checkFilter(values.filter, stepCases, gpu.adapter.software);
    const found = adapterRecord(gpu.adapter);
    if (values.profile && !hasTimestamps(gpu)) {
      throw new UsageError(`--profile needs timestamp queries, which ${adapterName(found)} does not offer; measure without it`);
    }
    context.checkPrecision(gpu, values.precision);
    const results = await runStepBench(gpu, { ...measureOptions(context, values), precision: values.precision });
    if (!values.profile) report(context, { adapter: found, run, results });
    else {
      const progress = context.output.progress('profiling', 'replays');
      const profiles = await profileSteps(gpu, {
        filter: values.filter,
        precision: values.precision,
        repetitions: values.repetitions,
        signal: context.signal,
        onProgress: ({ done, total, name }) => progress.update(done, total, name),
      });
      const profiled = results.map((result) => ({ ...result, ...profiles.find(({ name }) => name === result.name) }));
      context.output.result({ adapter: found, run, results: profiled }, () =>
        [`${adapterName(found)}\n`, resultTable(results), ...profiles.map(profileTables)].join('\n'),
      );
    }
    warnOfNoise(context, results, values.noiseLimit, run);
  },
});

export const benchAllCommand = defineCommand({
  name: 'bench all',
  about: 'the kernels that other engines are compared with, whole steps and their overhead, beside the roof of the same run',
  settings: {
    ...measuring,
    save: toggle(
      { flags: '--save', about: 'also write benchmarks/results/<adapter>-<date>.json; cases it already has are replaced' },
      false,
    ),
  },
  async run(context, values) {
    const ops = headlineCases();
    checkFilter(values.filter, [...ops, ...stepCases]);
    const run = await provenance();
    const gpu = await context.openGpu(values.adapter);
    checkFilter(values.filter, [...ops, ...stepCases], gpu.adapter.software);
    const found = adapterRecord(gpu.adapter);
    const chosenSteps = stepCases.some((one) => isChosen(one, values.filter, gpu.adapter.software));
    const kernels = await runOpBench(gpu, { ...measureOptions(context, values), headline: true });
    const steps = chosenSteps ? await runStepBench(gpu, measureOptions(context, values)) : [];
    const document = { adapter: found, run, results: [...kernels, ...steps] };
    if (values.save) context.output.note(`results written to ${await saveResults(document, resultsFolder)}`);
    report(context, document);
    warnOfNoise(context, document.results, values.noiseLimit, run);
  },
});

function report(context: Context, document: BenchDocument<Measurement>): void {
  context.output.result(document, () => `${adapterName(document.adapter)}\n\n${resultTable(document.results)}`);
}
