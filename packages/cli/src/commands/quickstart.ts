// n2n quickstart: trains a small MNIST teacher and compresses it; the whole of n2n in a few minutes. What `npm start` runs.
import { QUICKSTART } from '../budgets.js';
import { defineCommand } from '../command.js';
import { printConfiguration } from '../output/configuration.js';
import type { Configuration } from '../run/record.js';
import { freeRunPath, refuseExisting } from '../run/run.js';
import { text } from '../settings/kinds.js';
import { preset } from '../settings/presets.js';
import { withDefault, type Resolved } from '../settings/setting.js';
import { adapter, classes, data, epochs, learningRate, printConfig, run, search } from '../settings/settings.js';
import { openData } from '../sources/data.js';
import { openNetwork } from '../sources/network.js';
import { carryOut, report } from '../workflow/compress.js';
import { checkConfiguration, createRun, defaultViews } from '../workflow/start.js';
import { policiesFrom, type Transfer } from '../workflow/transfer.js';
import { isDatasetName } from '@n2n/trainer';
import { parameterCount } from '@n2n/trainer/network';
import { resolve } from 'node:path';

const quickstartSettings = {
  data: withDefault(data, 'mnist'),
  classes,
  run,
  preset,
  printConfig,
  teacher: text({ flags: '--teacher <arch>', about: 'zoo name of the teacher' }, QUICKSTART.teacher),
  teacherEpochs: {
    ...withDefault(epochs, QUICKSTART.teacherEpochs),
    flags: '--teacher-epochs <n>',
    about: "epochs of the teacher's training",
  },
  teacherLearningRate: {
    ...withDefault(learningRate, QUICKSTART.teacherLearningRate),
    flags: '--teacher-learning-rate <x>',
    about: "the teacher's peak learning rate",
  },
  ...search,
  batch: withDefault(search.batch, QUICKSTART.batch),
  updates: withDefault(search.updates, QUICKSTART.updates),
  rollouts: withDefault(search.rollouts, QUICKSTART.rollouts),
  epochs: withDefault(search.epochs, QUICKSTART.epochs),
  learningRate: withDefault(search.learningRate, QUICKSTART.learningRate),
  schedule: withDefault(search.schedule, QUICKSTART.schedule),
  cohort: withDefault(search.cohort, QUICKSTART.cohort),
  candidates: withDefault(search.candidates, QUICKSTART.candidates),
  lenientUpdates: withDefault(search.lenientUpdates, QUICKSTART.lenientUpdates),
  top: withDefault(search.top, QUICKSTART.top),
  prior: withDefault(search.prior, QUICKSTART.prior),
  subset: withDefault(search.subset, QUICKSTART.subset),
  validation: withDefault<number | undefined>(search.validation, QUICKSTART.validation),
  finalEpochs: withDefault(search.finalEpochs, QUICKSTART.finalEpochs),
  finalLearningRate: withDefault(search.finalLearningRate, QUICKSTART.finalLearningRate),
  adapter,
};

export const quickstartCommand = defineCommand({
  name: 'quickstart',
  about: 'trains a small MNIST teacher, compresses it and writes a run directory',
  settings: quickstartSettings,
  async run(context, values) {
    const folder = values.run ?? (await freeRunPath('quickstart'));
    await refuseExisting(folder);
    const dataset = await openData(values.data, values);
    const teacher = await openNetwork(values.teacher, dataset); // an unknown name is refused before the run directory is made
    const transfer = values.policyFrom === undefined ? undefined : await policiesFrom(values.policyFrom);
    const configuration = configurationOf(values, transfer, parameterCount(teacher.spec));
    checkConfiguration(configuration, dataset, transfer);
    if (values.printConfig) {
      printConfiguration(context, configuration);
      return;
    }
    const gpu = await context.openGpu(values.adapter);
    context.checkPrecision(gpu, values.precision);
    const created = await createRun(folder, 'quickstart', configuration, dataset, gpu, { transfer });
    context.output.note(`run directory ${created.folder}`);
    report(context, await carryOut(context, created, dataset, gpu, true));
  },
});

function configurationOf(
  values: Resolved<typeof quickstartSettings>,
  transfer: Transfer | undefined,
  teacherParams: number,
): Configuration {
  const {
    run: _,
    preset: _preset,
    printConfig: _printConfig,
    data: name = 'mnist',
    teacher,
    teacherEpochs,
    teacherLearningRate,
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
    teacher: { kind: 'recipe', arch: teacher, epochs: teacherEpochs, batch: QUICKSTART.teacherBatch, learningRate: teacherLearningRate },
    stages: [...stages],
    constraint: constraint.length > 0 ? [...constraint] : [`params<=${Math.floor(teacherParams / QUICKSTART.compression)}`],
    validation: validation ?? QUICKSTART.validation,
    views: views ?? defaultViews(values),
  };
}
