// n2n resume RUN: goes on with an interrupted run, to the same bits as if it had never stopped.
import { defineCommand } from '../command.js';
import type { Context } from '../context.js';
import { adapterRecord } from '../output/adapter.js';
import { Run } from '../run/run.js';
import { checkSameAdapter, checkSameConfiguration, checkSameData, sameChoices } from '../run/same.js';
import { openData } from '../sources/data.js';
import { carryOut, report } from '../workflow/compress.js';
import { readResult } from '../workflow/finished.js';

export const resumeCommand = defineCommand({
  name: 'resume',
  about: 'goes on with an interrupted run',
  arguments: [{ name: '<run>', about: 'the run directory' }],
  settings: {},
  async run(context, _, [folder = '']) {
    const run = await Run.open(folder);
    try {
      checkSameConfiguration(run.folder, run.record);
      if (run.record.teacherSha256 !== null) await run.loadTeacher();
      if (await run.has('result.json')) {
        await reportFinished(context, run);
        return;
      }
      const { configuration } = run.record;
      const dataset = await openData(configuration.data, configuration);
      checkSameData(run.folder, run.record, dataset);
      const gpu = await context.openGpu(configuration.adapter, sameChoices(run.folder, run.record));
      checkSameAdapter(run.folder, run.record, adapterRecord(gpu.adapter));
      report(context, await carryOut(context, run, dataset, gpu, false));
    } finally {
      await run.release();
    }
  },
});

async function reportFinished(context: Context, run: Run): Promise<void> {
  const result = await readResult(run);
  context.output.note('the run is finished; this is its result');
  report(context, result);
}
