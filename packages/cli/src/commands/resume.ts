// n2n resume RUN: goes on with an interrupted run, to the same bits as if it had never stopped.
import { readFile } from 'node:fs/promises';
import { defineCommand } from '../command.js';
import type { Context } from '../context.js';
import { InputError } from '../errors.js';
import { adapterRecord } from '../output/adapter.js';
import { Run } from '../run/run.js';
import { checkSameAdapter, checkSameConfiguration, checkSameData } from '../run/same.js';
import { openData } from '../sources/data.js';
import { carryOut, throwIfMissed } from '../workflow/compress.js';
import { readableResult, resultSchema } from '../workflow/result.js';

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
      const dataset = await openData(configuration.data, configuration.classes);
      checkSameData(run.folder, run.record, dataset);
      const gpu = await context.openGpu(configuration.adapter);
      checkSameAdapter(run.folder, run.record, adapterRecord(gpu.adapter));
      await carryOut(context, run, dataset, gpu, false);
    } finally {
      await run.release();
    }
  },
});

async function reportFinished(context: Context, run: Run): Promise<void> {
  const path = run.path('result.json');
  const parsed = resultSchema.safeParse(parseJson(path, await readFile(path, 'utf8')));
  if (!parsed.success) throw new InputError(`${path} is damaged; remove it to have the end of the run done again`);
  context.output.note('the run is finished; this is its result');
  context.output.result(parsed.data, () => readableResult(parsed.data));
  throwIfMissed(parsed.data);
}

function parseJson(path: string, text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new InputError(
      `${path} is damaged (${error instanceof Error ? error.message : String(error)}); remove it to have the end of the run done again`,
    );
  }
}
