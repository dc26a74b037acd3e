// n2n resume RUN: goes on with an interrupted run, to the same bits as if it had never stopped.
import { defineCommand } from '../command.js';
import type { Context } from '../context.js';
import { Run } from '../run/run.js';
import { checkSameConfiguration } from '../run/same.js';
import { carryOut, report } from '../workflow/compress.js';
import { readResult } from '../workflow/finished.js';
import { reopen } from '../workflow/reopen.js';

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
      const { dataset, gpu } = await reopen(context, run);
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
