// n2n bench search: how many students an hour a search judges, beside one at a time and beside PyTorch.
import { EngineError, provenance } from '@n2n/benchmarks';
import { parseConstraint, sampleStudents, type Candidate } from '@n2n/agent';
import { compileOpSet, type Gpu } from '@n2n/kernels';
import {
  DeviceImages,
  freeTable,
  initialWeights,
  keyedRandom,
  paperAdam,
  Parameters,
  stepsPerEpoch,
  type Model,
  type Split,
} from '@n2n/trainer';
import { parameterCount, zooSpec } from '@n2n/trainer/network';
import { BENCH, COMPRESS, QUICKSTART } from '../budgets.js';
import { defineCommand } from '../command.js';
import type { Context } from '../context.js';
import { UsageError } from '../errors.js';
import { adapterRecord } from '../output/adapter.js';
import { integer, text } from '../settings/kinds.js';
import { withDefault, type Resolved } from '../settings/setting.js';
import { adapter, batch, epochs, search, seed, validation } from '../settings/settings.js';
import { evaluateOn } from '../workflow/network.js';
import { candidateSettings } from '../workflow/search.js';
import {
  CHECK_STEPS,
  openSearchEngine,
  searchEngineNames,
  timedTable,
  type SearchEngine,
  type SearchEngineName,
  type SearchWork,
} from '../workflow/search-engines.js';
import { ratiosOf, runRounds } from '../workflow/search-rounds.js';
import { choose, divide } from '../workflow/split.js';
import { searchReport, type SearchMeasurement } from './bench-search-report.js';

const settings = {
  students: integer({ flags: '--students <n>', about: 'students drawn at random from the space of the search' }, 1, 32, 10_000),
  teacher: text({ flags: '--teacher <arch>', about: 'zoo name of the teacher; its weights are random' }, QUICKSTART.teacher),
  engines: text(
    { flags: '--engines <list>', about: 'only the ways whose name contains one of these, separated by commas; n2n always' },
    '',
  ),
  repetitions: integer({ flags: '--repetitions <n>', about: "rounds over all students; of a group's times the least counts" }, 1, 1, 1000),
  timeLimit: integer(
    { flags: '--time-limit <seconds>', about: 'no new group of students after this time; 0 for none' },
    0,
    BENCH.searchTimeLimitSeconds,
  ),
  answerLimit: integer(
    { flags: '--answer-limit <seconds>', about: 'PyTorch is given up when it needs longer for one student' },
    1,
    BENCH.answerLimitSeconds,
  ),
  python: text({ flags: '--python <command>', about: 'the Python that may have PyTorch' }, 'python3'),
  seed,
  cohort: withDefault(search.cohort, QUICKSTART.cohort),
  memory: search.memory,
  halving: integer(
    { flags: '--halving <n>', about: 'of n2n-halving: the best 1/n of a cohort go on at each rung' },
    2,
    BENCH.searchHalving,
    256,
  ),
  rungImages: search.rungImages,
  epochs: withDefault(epochs, QUICKSTART.epochs),
  batch: withDefault(batch, QUICKSTART.batch),
  subset: integer({ flags: '--subset <n>', about: 'training images of a student' }, 1, QUICKSTART.subset),
  validation: withDefault(validation, QUICKSTART.validation),
  adapter,
};
type Values = Resolved<typeof settings>;

/** MNIST's shapes. */
const SHAPE = { channels: 1, height: 28, width: 28, classes: 10 };
const PREPROCESSING = { mean: [0.5], std: [0.29] };
/** Largest difference of the validation loss after the check's steps, as a fraction of n2n's, that passes as the same work. */
const CHECK_TOLERANCE = 0.01;

export const benchSearchCommand = defineCommand({
  name: 'bench search',
  about: 'students judged an hour: cohorts, halving, one at a time, and PyTorch with two threads',
  settings,
  async run(context, values) {
    const names = chosenEngines(values.engines);
    checkSubset(values);
    const model = randomTeacher(values);
    const students = drawStudents(model, values);
    const run = await provenance();
    const gpu = await context.openGpu(values.adapter);
    await compileOpSet(gpu);
    const measured = await withWork(context, gpu, values, model, (ready) => measure(context, values, names, ready, students));
    const { results, unavailable, ...rest } = measured;
    const document = {
      adapter: adapterRecord(gpu.adapter),
      run,
      teacher: { name: model.spec.name, params: parameterCount(model.spec) },
      students: students.map(({ hash, spec }) => ({ hash, params: parameterCount(spec) })),
      training: {
        epochs: values.epochs,
        steps: values.epochs * stepsPerEpoch(values.subset, values.batch),
        batch: values.batch,
        subset: values.subset,
        validation: values.validation,
        cohort: values.cohort,
        halving: values.halving,
        rungImages: values.rungImages,
      },
      results: results.map(({ engine, ...result }) => ({ engine, name: `search/${model.spec.name}`, ...result })),
      ratios: ratiosOf(results),
      ...rest,
      unavailable,
    };
    context.output.result(document, () => searchReport(document));
    const done = results[0]?.candidates ?? 0;
    if (done < students.length) context.output.note(`--time-limit ${values.timeLimit} left out ${students.length - done} students`);
    if (measured.identicalBits === false) {
      throw new Error('students trained side by side differ from the same students trained alone; they must have the same bits');
    }
  },
});

function chosenEngines(list: string): SearchEngineName[] {
  const parts = list.split(',').filter((part) => part !== '');
  const unknown = parts.find((part) => !searchEngineNames.some((name) => name.includes(part)));
  if (unknown !== undefined) {
    throw new UsageError(`--engines got "${unknown}", which is in no name; there are ${searchEngineNames.join(', ')}`);
  }
  return searchEngineNames.filter((name) => name === 'n2n' || parts.length === 0 || parts.some((part) => name.includes(part)));
}

function checkSubset({ subset, batch: images }: Values): void {
  if (subset >= CHECK_STEPS * images) return;
  throw new UsageError(`--subset got ${subset}; it needs at least ${CHECK_STEPS * images}, ${CHECK_STEPS} batches of ${images}`);
}

function randomTeacher(values: Values): Model {
  const { classes, ...input } = SHAPE;
  const spec = zooSpec(values.teacher, { ...input, classes });
  return { spec, weights: initialWeights(spec, values.seed), preprocessing: PREPROCESSING };
}

/** As the quickstart's first candidates: its prior, its limit on parameters. */
function drawStudents(model: Model, { students, seed: keyed }: Values): Candidate[] {
  const constraints = [parseConstraint(`params<=${Math.floor(parameterCount(model.spec) / QUICKSTART.compression)}`)];
  const { shrinkageActions } = COMPRESS;
  const stages = search.stages.fallback;
  return sampleStudents(model.spec, {
    count: students,
    seed: keyed,
    stages,
    roundTo: 1,
    prior: QUICKSTART.prior,
    shrinkageActions,
    constraints,
  });
}

/** Throughput does not depend on what the images show. */
function randomImages(total: number, keyed: number): Split {
  const draw = keyedRandom(keyed, 'benchmark-images');
  const bytes = total * SHAPE.channels * SHAPE.height * SHAPE.width;
  const words = Uint32Array.from({ length: Math.ceil(bytes / 4) }, () => draw.next());
  const labels = Uint8Array.from({ length: total }, (_, i) => i % SHAPE.classes);
  return { count: total, images: new Uint8Array(words.buffer, 0, bytes), labels };
}

/** Puts everything on the device for as long as `use` runs. */
async function withWork<T>(
  context: Context,
  gpu: Gpu,
  values: Values,
  model: Model,
  use: (ready: { readonly work: SearchWork; readonly logitsSeconds: number }) => Promise<T>,
): Promise<T> {
  const split = randomImages(values.subset + values.validation, values.seed);
  const options = { validation: values.validation, classes: SHAPE.classes, seed: values.seed };
  const { train: all, validation: held } = divide(split, options);
  const train = choose(all, split, values.subset, options);
  const configuration = {
    ...values,
    learningRate: QUICKSTART.learningRate,
    weightDecay: COMPRESS.weightDecay,
    schedule: QUICKSTART.schedule,
    warmup: undefined,
    init: COMPRESS.init,
    views: 0,
    halving: 1,
  };
  const training = candidateSettings(configuration, { model, augmentation: undefined });
  const { learningRate, weightDecay } = configuration;
  const images = await DeviceImages.create(gpu, split, SHAPE, context.imageBytes);
  const teacher = await Parameters.create(gpu, model.spec, model.weights);
  const { signal } = context;
  const { accuracy } = await evaluateOn(gpu, teacher, images, model.preprocessing, held, { signal });
  const shared = { gpu, images, split, model, accuracy, train, validation: held, teacher, signal };
  const { table: logits, seconds } = await timedTable(shared);
  try {
    const settingsOfAll = { ...training, optimiser: { ...paperAdam, learningRate, weightDecay } };
    const work = { ...shared, settings: settingsOfAll, halving: values.halving, table: logits };
    return await use({ work, logitsSeconds: seconds });
  } finally {
    await freeTable(gpu, logits);
    await teacher.destroy();
    await images.destroy();
  }
}

async function measure(
  context: Context,
  values: Values,
  names: readonly SearchEngineName[],
  { work, logitsSeconds }: { readonly work: SearchWork; readonly logitsSeconds: number },
  students: readonly Candidate[],
): Promise<SearchMeasurement> {
  const engines = new Map<SearchEngineName, SearchEngine>();
  const unavailable: { engine: SearchEngineName; reason: string }[] = [];
  try {
    let expected: number | undefined;
    for (const name of names) {
      try {
        const engine = await openSearchEngine(name, work, { python: values.python, answerLimitMs: values.answerLimit * 1000 });
        engines.set(name, engine);
        const loss = await engine.check(students[0]!);
        expected ??= loss;
        checkSameWork(loss, expected);
      } catch (error) {
        if (!(error instanceof EngineError)) throw error;
        await engines.get(name)?.close();
        engines.delete(name);
        unavailable.push({ engine: name, reason: error.message });
      }
    }
    const progress = context.output.progress('judging', 'students');
    const { failed, ...rounds } = await runRounds(engines, students, {
      groupSize: values.cohort === 'auto' ? students.length : values.cohort,
      repetitions: values.repetitions,
      timeLimitMs: values.timeLimit === 0 ? Infinity : values.timeLimit * 1000,
      onProgress: (done, total, detail) => progress.update(done, total, detail),
    });
    return { ...rounds, logitsSeconds, unavailable: [...unavailable, ...failed] };
  } finally {
    for (const engine of engines.values()) await engine.close();
  }
}

/** Throws EngineError when the loss after a few steps is another than n2n's. */
function checkSameWork(loss: number, expected: number): void {
  const difference = Math.abs(loss - expected) / Math.abs(expected);
  if (difference <= CHECK_TOLERANCE) return;
  throw new EngineError(
    `after ${CHECK_STEPS} steps its validation loss is ${loss.toPrecision(5)} where n2n's is ${expected.toPrecision(5)}: not the same work`,
    false,
  );
}
