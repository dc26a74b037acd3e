// n2n compress TEACHER --data D: searches for a small student of a trained network and trains it.
import { readFile } from 'node:fs/promises';
import { basename, resolve } from 'node:path';
import { isDatasetName, loadModel } from '@n2n/trainer';
import { COMPRESS, VALIDATION_FRACTION } from '../budgets.js';
import { defineCommand } from '../command.js';
import type { Configuration } from '../run/record.js';
import { freeRunPath, refuseExisting } from '../run/run.js';
import { preset } from '../settings/presets.js';
import type { Resolved } from '../settings/setting.js';
import { adapter, classes, data, printConfig, run, search } from '../settings/settings.js';
import { openData } from '../sources/data.js';
import { checkFits } from '../sources/network.js';
import { carryOut } from '../workflow/compress.js';
import { checkConfiguration, createRun, defaultViews } from '../workflow/start.js';
import { policiesFrom, type Transfer } from '../workflow/transfer.js';

const compressSettings = { data, classes, run, preset, printConfig, ...search, adapter };

export const compressCommand = defineCommand({
  name: 'compress',
  about: 'searches for a much smaller student of a trained network, trains it and writes a run directory',
  arguments: [{ name: '<teacher>', about: 'a .safetensors model, as n2n train writes it' }],
  settings: compressSettings,
  async run(context, values, [teacherPath = '']) {
    const folder = values.run ?? (await freeRunPath(basename(teacherPath, '.safetensors')));
    await refuseExisting(folder);
    const teacher = await loadModel(teacherPath);
    const content = await readFile(teacherPath);
    const dataset = await openData(values.data, values.classes);
    checkFits(teacher.spec, dataset);
    const transfer = values.policyFrom === undefined ? undefined : await policiesFrom(values.policyFrom);
    const configuration = configurationOf(values, transfer, resolve(teacherPath), dataset.train.count);
    checkConfiguration(configuration, dataset, transfer);
    if (values.printConfig) {
      context.output.result(configuration, () => `${JSON.stringify(configuration, undefined, 2)}\n`);
      return;
    }
    const gpu = await context.openGpu(values.adapter);
    const created = await createRun(folder, 'compress', configuration, dataset, gpu, { teacher: content, transfer });
    context.output.note(`run directory ${created.folder}`);
    await carryOut(context, created, dataset, gpu, true);
  },
});

function configurationOf(
  values: Resolved<typeof compressSettings>,
  transfer: Transfer | undefined,
  teacherPath: string,
  images: number,
): Configuration {
  const { run: _, preset: _preset, printConfig: _printConfig, data: name = '', validation, views, constraint, stages, ...rest } = values;
  return {
    ...rest,
    policyFrom: transfer?.source ?? null,
    data: isDatasetName(name) ? name : resolve(name),
    teacher: { kind: 'file', path: teacherPath },
    stages: [...stages],
    constraint: [...constraint],
    validation: validation ?? Math.min(COMPRESS.validation, Math.max(1, Math.round(VALIDATION_FRACTION * images))),
    views: views ?? defaultViews(values),
  };
}
