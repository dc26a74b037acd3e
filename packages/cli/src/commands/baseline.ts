// n2n baseline random|uniform|l1 RUN: what a run's student is worth, held against simpler ways to find one.
import { mkdir } from 'node:fs/promises';
import { defineCommand } from '../command.js';
import { UsageError } from '../errors.js';
import { Run } from '../run/run.js';
import { checkSameConfiguration } from '../run/same.js';
import { runControl, type Control } from '../workflow/baseline.js';
import { readResult } from '../workflow/finished.js';
import { reopen } from '../workflow/reopen.js';
import { readableControls } from '../workflow/result.js';

const CONTROLS: readonly Control[] = ['random', 'uniform', 'l1'];

export const baselineCommand = defineCommand({
  name: 'baseline',
  about: "holds a finished run's student against a simpler way to find one, at equal budget",
  arguments: [
    {
      name: '<control>',
      about: 'random (search), uniform (width scaling) or l1 (channel pruning), the latter two at equal parameters',
    },
    { name: '<run>', about: 'the directory of a finished run' },
  ],
  settings: {},
  async run(context, _, [name = '', folder = '']) {
    const control = CONTROLS.find((known) => known === name);
    if (control === undefined) throw new UsageError(`baseline got "${name}"; it needs one of ${CONTROLS.join(', ')}`);
    const run = await Run.open(folder);
    try {
      checkSameConfiguration(run.folder, run.record);
      if (!(await run.has('result.json')))
        throw new UsageError(`the run ${run.folder} is not finished; go on with it by n2n resume ${run.folder}`);
      const before = await readResult(run);
      const { dataset, gpu } = await reopen(context, run);
      await mkdir(run.path('baselines'), { recursive: true });
      const found = await runControl(context, gpu, run, dataset, before, control);
      const controls = [...before.controls.filter((other) => other.control !== control), found];
      const result = { ...before, controls };
      await run.writeJson('result.json', result);
      context.output.result(found, () => readableControls(result));
    } finally {
      await run.release();
    }
  },
});
