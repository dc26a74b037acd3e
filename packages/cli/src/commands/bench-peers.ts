// n2n bench peers: the same work through other engines on this machine, and how n2n compares. The engines are installed by
// `npm run bench:peers`, for this command only.
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { engineNames, peerCases, peersFolder, provenance, runPeerBench, type PeerReport } from '@n2n/benchmarks';
import { BENCH } from '../budgets.js';
import { defineCommand } from '../command.js';
import { UsageError } from '../errors.js';
import { adapterName, adapterRecord } from '../output/adapter.js';
import { decimal, integer, text, toggle } from '../settings/kinds.js';
import { adapter, filter } from '../settings/settings.js';
import { peerTables } from './bench-report.js';
import { resultsFolder, saveResults } from './bench-results.js';
import { checkFilter } from './bench-settings.js';

export const benchPeersCommand = defineCommand({
  name: 'bench peers',
  about: 'the same work through TensorFlow.js, jax-js, onnxruntime and PyTorch, checked and measured in turns',
  settings: {
    filter,
    engines: text({ flags: '--engines <list>', about: 'only the engines whose name contains one of these, separated by commas' }, ''),
    repetitions: integer({ flags: '--repetitions <n>', about: 'rounds; each engine is measured once in each' }, 1, BENCH.peerRounds, 1000),
    minimumMs: decimal(
      { flags: '--minimum-ms <x>', about: 'least time of one measurement' },
      { least: 0, most: 60_000 },
      BENCH.peerMinimumMs,
    ),
    answerLimit: integer(
      { flags: '--answer-limit <seconds>', about: 'an engine that needs longer for one answer is given up' },
      1,
      BENCH.answerLimitSeconds,
    ),
    timeLimit: integer(
      { flags: '--time-limit <seconds>', about: 'no new case after this time; 0 for none' },
      0,
      BENCH.peerTimeLimitSeconds,
    ),
    python: text({ flags: '--python <command>', about: 'the Python that may have PyTorch' }, 'python3'),
    save: toggle({ flags: '--save', about: 'also write benchmarks/results/peers-<adapter>-<date>.json; cases it has are replaced' }, false),
    adapter,
  },
  async run(context, values) {
    checkFilter(values.filter, peerCases);
    const engines = values.engines.split(',').filter((name) => name !== '');
    const unknown = engines.find((part) => !engineNames.some((name) => name.includes(part)));
    if (unknown !== undefined) {
      throw new UsageError(`--engines got "${unknown}", which is in no engine's name; there are ${engineNames.join(', ')}`);
    }
    if (!existsSync(join(peersFolder, 'node_modules'))) {
      throw new UsageError(`the other engines are not installed in ${peersFolder}: run "npm run bench:peers", which installs them`);
    }
    const gpu = await context.openGpu(values.adapter); // what is wrong with the adapter is said here; n2n's own process opens it again
    checkFilter(values.filter, peerCases, gpu.adapter.software);
    context.closeGpu();
    const run = await provenance();
    const progress = context.output.progress('comparing', 'cases');
    const documentOf = (found: PeerReport) => ({ ...found, adapter: adapterRecord(found.adapter), run });
    const save = async (found: PeerReport): Promise<string> => saveResults(documentOf(found), resultsFolder, 'peers-');
    const report = await runPeerBench({
      ...values,
      signal: context.signal,
      engines,
      answerLimitMs: values.answerLimit * 1000,
      timeLimitMs: values.timeLimit === 0 ? Infinity : values.timeLimit * 1000,
      ...(values.save && { onCase: async (found: PeerReport) => void (await save(found)) }),
      onProgress: ({ done, total, detail }) => progress.update(done, total, detail),
    });
    const document = documentOf(report);
    if (values.save && report.results.length > 0) context.output.note(`results written to ${await save(report)}`);
    context.output.result(document, () => `${adapterName(document.adapter)}\n\n${peerTables(report)}`);
    for (const { engine, note } of report.engines) if (note !== undefined) context.output.note(`${engine}: ${note}`);
    if (report.skipped.length > 0) {
      context.output.note(
        `left out by --time-limit ${values.timeLimit}: ${report.skipped.join(', ')}; go on with --filter, and --save to keep one file`,
      );
    }
  },
});
