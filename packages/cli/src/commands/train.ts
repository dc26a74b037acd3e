// n2n train ARCH --data D: trains a network from scratch, or goes on from a model file.
import { access, constants, stat } from 'node:fs/promises';
import { basename, dirname, resolve } from 'node:path';
import { performance } from 'node:perf_hooks';
import { initialWeights, modelFormat, Parameters, saveSource, type Dataset, type Preprocessing, type TrainingResult } from '@n2n/trainer';
import { macs, parameterCount } from '@n2n/trainer/network';
import { defineCommand } from '../command.js';
import type { Context } from '../context.js';
import { InterruptedError, RunInUseError, UsageError } from '../errors.js';
import { adapterRecord } from '../output/adapter.js';
import { printConfiguration } from '../output/configuration.js';
import { count, duration, magnitude, percent, skipped } from '../output/format.js';
import type { Resolved } from '../settings/setting.js';
import * as settings from '../settings/settings.js';
import { openData } from '../sources/data.js';
import { checkFits, openNetwork, type NetworkSource } from '../sources/network.js';
import { augmentationOf, evaluateOn, fit, withImages } from '../workflow/network.js';
import { optimiserOf, scheduleOf } from '../workflow/optimiser.js';
import { allIndices, checkBatch, divide } from '../workflow/split.js';

const {
  data,
  classes,
  images,
  seed,
  epochs,
  batch,
  validation,
  learningRate,
  optimiser,
  schedule,
  precision,
  momentum,
  weightDecay,
  cropPadding,
  flip,
  cutout,
  out,
  printConfig,
  adapter,
} = settings;
const trainSettings = {
  data,
  classes,
  ...images,
  seed,
  epochs,
  batch,
  validation: {
    ...validation,
    about: `${validation.about} (n2n compress holds out some of the same images: give both the same number and seed to keep them unseen)`,
  },
  learningRate,
  optimiser,
  schedule,
  precision,
  momentum,
  weightDecay,
  cropPadding,
  flip,
  cutout,
  out,
  printConfig,
  adapter,
};
type Values = Resolved<typeof trainSettings>;

export const trainCommand = defineCommand({
  name: 'train',
  about: 'trains a network and writes it as a model file',
  arguments: [
    {
      name: '<arch>',
      key: 'arch',
      about: 'a zoo name such as resnet18@0.25, a .json spec, or a .safetensors or .onnx model to go on from',
    },
  ],
  settings: trainSettings,
  async run(context, values, [name = '']) {
    const dataset = await openData(values.data, values);
    const source = await openNetwork(name, dataset);
    checkFits(source.spec, dataset);
    for (const note of source.notes ?? []) context.output.note(note);
    const out = await outputFile(values.out, `${basename(name).replace(/\.(json|safetensors|onnx)$/, '')}-${dataset.name}.safetensors`);
    if (values.printConfig) {
      const { printConfig: _, ...configuration } = values;
      printConfiguration(context, { arch: name, ...configuration, out });
      return;
    }
    await trainAndSave(context, values, dataset, source, out);
  },
});

/** Checked before the training: a result that cannot be saved would be lost. */
async function outputFile(given: string | undefined, fallback: string): Promise<string> {
  const path = resolve(given ?? fallback);
  if (modelFormat(path) === undefined) throw new UsageError(`--out ${given}: has an unknown ending; it needs .safetensors or .onnx`);
  const folder = dirname(path);
  try {
    await access(folder, constants.W_OK | constants.X_OK);
  } catch {
    throw new UsageError(`--out ${given ?? fallback}: the folder ${folder} is missing or may not be written; it needs a writable folder`);
  }
  const status = await stat(path).catch(() => undefined);
  if (status?.isDirectory() === true) throw new UsageError(`--out ${given}: is a folder; it needs a file name`);
  if (status !== undefined && given === undefined) {
    throw new RunInUseError(`${path} exists; name the file with --out (which overwrites), or move it away`);
  }
  return path;
}

/** What became of the weights, as a clause; a failure to save them does not replace the interruption. */
async function saveInterrupted(save: (note: string) => Promise<void>, out: string): Promise<string> {
  try {
    await save('interrupted');
    return `the weights so far are in ${out}: go on with n2n train ${out}`;
  } catch (error) {
    return `the weights so far could not be saved: ${error instanceof Error ? error.message : String(error)}`;
  }
}

async function trainAndSave(context: Context, values: Values, dataset: Dataset, source: NetworkSource, out: string): Promise<void> {
  const started = performance.now();
  const { spec } = source;
  const indices = divide(dataset.train, values).train;
  checkBatch(values.batch, indices.length);
  const gpu = await context.openGpu(values.adapter);
  context.checkPrecision(gpu, values.precision);
  const preprocessing: Preprocessing = source.preprocessing ?? { mean: dataset.mean, std: dataset.std };
  const parameters = await Parameters.create(gpu, spec, source.weights ?? initialWeights(spec, values.seed));
  context.output.note(
    `training ${spec.name} (${count(parameterCount(spec))} parameters) on ${count(indices.length)} images of ${dataset.name}, ${values.epochs} epochs`,
  );
  const progress = context.output.progress('training', 'samples');
  const augmentation = augmentationOf(values);
  const save = async (note: string): Promise<void> =>
    saveSource(
      out,
      {
        spec,
        weights: await parameters.read(),
        preprocessing,
        training: { data: dataset.name, seed: String(values.seed), note },
      },
      { foldBatchNorm: false },
    );
  let training: TrainingResult;
  let epochsDone = 0;
  try {
    training = await withImages(context, gpu, dataset.train, dataset, (images) =>
      fit(
        gpu,
        parameters,
        images,
        {
          objective: { hard: { weight: 1, smoothing: 0 } },
          optimiser: optimiserOf(values),
          schedule: scheduleOf(values.schedule),
          epochs: values.epochs,
          indices,
          seed: values.seed,
          views: augmentation === undefined ? 0 : Infinity,
          precision: values.precision,
          batch: values.batch,
          preprocessing,
          augmentation,
        },
        { signal: context.signal, progress, onEpoch: () => (epochsDone += 1) },
      ),
    );
  } catch (error) {
    if (!(error instanceof InterruptedError)) throw error;
    // Weights of less than an epoch are not worth the file that --out may overwrite.
    const kept = epochsDone === 0 ? `no epoch was finished, so ${out} was not written` : await saveInterrupted(save, out);
    throw new InterruptedError(error.signalName, `${error.message}; ${kept}`);
  }
  const trainingSeconds = (performance.now() - started) / 1000;
  await save(`${values.epochs} epochs`);
  const test = await withImages(context, gpu, dataset.test, dataset, (images) =>
    evaluateOn(gpu, parameters, images, preprocessing, allIndices(dataset.test.count), {
      signal: context.signal,
      progress: context.output.progress('testing', 'samples'),
    }),
  );
  await parameters.destroy();
  const samples = values.epochs * Math.floor(indices.length / values.batch) * values.batch;
  const document = {
    name: spec.name,
    params: parameterCount(spec),
    macs: macs(spec),
    accuracy: test.accuracy,
    loss: test.loss,
    samples: test.samples,
    epochs: training.epochs,
    precision: values.precision,
    lossScale: training.lossScale ?? null,
    samplesPerSecond: samples / trainingSeconds,
    elapsedSeconds: (performance.now() - started) / 1000,
    pipelinesCompiled: gpu.statistics.pipelinesCompiled,
    adapter: adapterRecord(gpu.adapter),
    file: out,
  };
  context.output.result(
    document,
    () =>
      `${spec.name} on ${dataset.name}: test accuracy ${percent(test.accuracy)}, ${count(document.params)} parameters, ` +
      `${magnitude(document.samplesPerSecond)} samples/s, ${duration(document.elapsedSeconds)}\n${skipped(training.lossScale?.skippedSteps ?? null)}saved as ${out}\n`,
  );
}
