// n2n compress TEACHER --data D: searches for a small student of a trained network and trains it.
import { basename, resolve } from 'node:path';
import { isDatasetName } from '@n2n/trainer';
import type { Gpu } from '@n2n/kernels';
import { defineCommand } from '../command.js';
import { printConfiguration } from '../output/configuration.js';
import type { Configuration } from '../run/record.js';
import { freeRunPath, refuseExisting } from '../run/run.js';
import { preset } from '../settings/presets.js';
import type { Resolved } from '../settings/setting.js';
import { adapter, classes, data, images, mean, printConfig, run, search, seeds, std } from '../settings/settings.js';
import { openData } from '../sources/data.js';
import { modelFor, openSource } from '../sources/model.js';
import { carryOut, report } from '../workflow/compress.js';
import type { Result } from '../workflow/result.js';
import { runSeeds, seedFolder } from '../workflow/seeds.js';
import { teacherFile } from '../workflow/onnx.js';
import { checkConfiguration, createRun, defaultValidation, defaultViews } from '../workflow/start.js';
import { policiesFrom, type Transfer } from '../workflow/transfer.js';

const compressSettings = { seeds, data, classes, ...images, run, mean, std, preset, printConfig, ...search, adapter };

export const compressCommand = defineCommand({
  name: 'compress',
  about: 'searches for a much smaller student of a trained network, trains it and writes a run directory',
  arguments: [
    { name: '<teacher>', key: 'teacher', about: 'a .safetensors model, as n2n train writes it, or an .onnx model of another tool' },
  ],
  settings: compressSettings,
  async run(context, values, [teacherPath = '']) {
    const folder = values.run ?? (await freeRunPath(basename(teacherPath).replace(/\.(safetensors|onnx)$/i, '')));
    await refuseExisting(folder);
    for (let seed = 0; values.seeds > 1 && seed < values.seeds; seed++) await refuseExisting(seedFolder(folder, values.seed + seed));
    const source = await openSource(context.output, teacherPath);
    const dataset = await openData(values.data, values);
    const teacher = modelFor(context.output, teacherPath, source, values, dataset);
    const transfer = values.policyFrom === undefined ? undefined : await policiesFrom(values.policyFrom);
    const configuration = configurationOf(values, transfer, resolve(teacherPath), dataset.train.count);
    checkConfiguration(configuration, dataset, transfer);
    if (values.printConfig) {
      printConfiguration(context, configuration);
      return;
    }
    const gpu = await context.openGpu(values.adapter);
    context.checkPrecision(gpu, values.precision);
    const content = await teacherFile(context, gpu, teacherPath, teacher, dataset, configuration, values);
    const begin = async (path: string, options: Configuration, device: Gpu): Promise<Result> => {
      const created = await createRun(path, 'compress', options, dataset, device, { teacher: content, transfer });
      context.output.note(`run directory ${created.folder}`);
      return carryOut(context, created, dataset, device, true);
    };
    if (values.seeds === 1) {
      report(context, await begin(folder, configuration, gpu));
      return;
    }
    // A run that loses its device opens another: the next seed begins with one of its own.
    await runSeeds(context, folder, configuration, values.seeds, async (path, options) =>
      begin(path, options, await context.openGpu(values.adapter)),
    );
  },
});

function configurationOf(
  values: Resolved<typeof compressSettings>,
  transfer: Transfer | undefined,
  teacherPath: string,
  images: number,
): Configuration {
  const {
    run: _,
    mean: _mean,
    std: _std,
    preset: _preset,
    printConfig: _printConfig,
    seeds: _seeds,
    data: name = '',
    validation,
    views,
    constraint,
    stages,
    ...rest
  } = values;
  return {
    ...rest,
    policyFrom: transfer?.source ?? null,
    data: isDatasetName(name) ? name : resolve(name),
    teacher: { kind: 'file', path: teacherPath },
    stages: [...stages],
    constraint: [...constraint],
    validation: validation ?? defaultValidation(images),
    views: views ?? defaultViews(values),
  };
}
