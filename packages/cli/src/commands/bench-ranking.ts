// n2n bench ranking TEACHER --data D: whether the short training of a search ranks students as their full training does.
import { sampleStudents, parseConstraint, regret, spearman, unconstrainedReward, type Candidate } from '@n2n/agent';
import { compileOpSet, type Gpu } from '@n2n/kernels';
import { loadModel, type CandidateOutcome, type CandidateSettings, type Dataset, type Model } from '@n2n/trainer';
import { parameterCount } from '@n2n/trainer/network';
import { performance } from 'node:perf_hooks';
import { QUICKSTART } from '../budgets.js';
import { defineCommand } from '../command.js';
import type { Context } from '../context.js';
import { adapterName, adapterRecord } from '../output/adapter.js';
import { count, duration, percent } from '../output/format.js';
import { table } from '../output/table.js';
import { integer } from '../settings/kinds.js';
import { withDefault, type Resolved } from '../settings/setting.js';
import { adapter, classes, data, images, search } from '../settings/settings.js';
import { openData } from '../sources/data.js';
import { checkFits } from '../sources/network.js';
import { withMaterial, type Material } from '../workflow/material.js';
import { withImages } from '../workflow/network.js';
import { candidatesDone, candidateSettings, judgeCandidates } from '../workflow/search.js';
import { choose } from '../workflow/split.js';
import { defaultValidation, defaultViews } from '../workflow/start.js';
import { finalTraining } from '../workflow/student.js';

const {
  updates: _updates,
  baseline: _baseline,
  entropyBonus: _entropyBonus,
  removalPolicy: _removalPolicy,
  shrinkagePolicy: _shrinkagePolicy,
  policyFrom: _policyFrom,
  ...training
} = search;
const settings = {
  data,
  classes,
  ...images,
  students: integer({ flags: '--students <n>', about: 'students drawn at random from the space of the search' }, 2, 30, 10_000),
  fullSubset: integer({ flags: '--full-subset <n>', about: 'training images of the full training; 0 for all' }, 0, 0),
  ...training,
  batch: withDefault(search.batch, QUICKSTART.batch),
  epochs: withDefault(search.epochs, QUICKSTART.epochs),
  learningRate: withDefault(search.learningRate, QUICKSTART.learningRate),
  schedule: withDefault(search.schedule, QUICKSTART.schedule),
  prior: withDefault(search.prior, QUICKSTART.prior),
  subset: withDefault(search.subset, QUICKSTART.subset),
  finalEpochs: withDefault(search.finalEpochs, QUICKSTART.finalEpochs),
  finalLearningRate: withDefault(search.finalLearningRate, QUICKSTART.finalLearningRate),
  adapter,
};
type Values = Resolved<typeof settings>;

interface Judged {
  readonly outcomes: readonly CandidateOutcome[];
  readonly seconds: number;
}

export const benchRankingCommand = defineCommand({
  name: 'bench ranking',
  about: 'whether the short training of a search ranks students as their full training does',
  arguments: [{ name: '<teacher>', about: 'a .safetensors model, as n2n train writes it' }],
  settings,
  async run(context, values, [teacherPath = '']) {
    const model = await loadModel(teacherPath);
    const dataset = await openData(values.data, values);
    checkFits(model.spec, dataset);
    const constraints = values.constraint.map(parseConstraint);
    const { seed, stages, roundTo, prior, shrinkageActions } = values;
    const students = sampleStudents(model.spec, {
      count: values.students,
      seed,
      stages,
      roundTo,
      prior,
      shrinkageActions,
      constraints,
    });
    const gpu = await context.openGpu(values.adapter);
    await compileOpSet(gpu, values.precision);
    const { cheap, full, accuracy } = await judgeTwice(context, gpu, values, dataset, model, students);
    const teacher = { params: parameterCount(model.spec), accuracy };
    const results = students.map(({ hash, spec }, i) => {
      const params = parameterCount(spec);
      const of = (outcome: CandidateOutcome) => ({
        accuracy: outcome.accuracy,
        reward: unconstrainedReward({ params, accuracy: outcome.accuracy }, teacher),
      });
      return { name: hash, params, cheap: of(cheap.outcomes[i]!), full: of(full.outcomes[i]!) };
    });
    const compare = (measure: 'accuracy' | 'reward'): { spearman: number; regret: number } => {
      const [a, b] = [results.map((result) => result.cheap[measure]), results.map((result) => result.full[measure])];
      return { spearman: spearman(a, b), regret: regret(a, b) };
    };
    const document = {
      adapter: adapterRecord(gpu.adapter),
      teacher: { name: model.spec.name, ...teacher },
      results,
      accuracy: compare('accuracy'),
      reward: compare('reward'),
      seconds: { cheap: cheap.seconds, full: full.seconds },
    };
    context.output.result(document, () => readable(document));
  },
});

async function judgeTwice(
  context: Context,
  gpu: Gpu,
  values: Values,
  dataset: Dataset,
  model: Model,
  students: readonly Candidate[],
): Promise<{ cheap: Judged; full: Judged; accuracy: number }> {
  const validation = values.validation ?? defaultValidation(dataset.train.count);
  const options = { ...values, validation, views: values.views ?? defaultViews(values) };
  return withImages(context, gpu, dataset.train, dataset, async (images) =>
    withMaterial(
      context,
      gpu,
      options,
      dataset,
      images,
      async () => model,
      async (material) => {
        const settingsOfCheap = candidateSettings(options, material);
        const cheap = await timed(context, gpu, material, settingsOfCheap, students, 'short training');
        const split = { validation, classes: dataset.classes, seed: values.seed };
        const whole = { ...material, train: choose(material.all, dataset.train, values.fullSubset, split) };
        // Every student to its end.
        const settingsOfFull = { ...settingsOfCheap, ...finalTraining(values), halving: 1 };
        const full = await timed(context, gpu, whole, settingsOfFull, students, 'full training');
        return { cheap, full, accuracy: material.accuracy };
      },
    ),
  );
}

async function timed(
  context: Context,
  gpu: Gpu,
  material: Material,
  training_: CandidateSettings,
  students: readonly Candidate[],
  what: string,
): Promise<Judged> {
  const progress = context.output.progress(what, 'students');
  const started = performance.now();
  const outcomes = await judgeCandidates(context, gpu, material, training_, students, {
    onProgress: (first, size, done) => progress.update(candidatesDone(first, size, done), students.length),
  });
  return { outcomes, seconds: (performance.now() - started) / 1000 };
}

interface Ranking {
  readonly adapter: ReturnType<typeof adapterRecord>;
  readonly results: readonly {
    readonly name: string;
    readonly params: number;
    readonly cheap: { readonly accuracy: number };
    readonly full: { readonly accuracy: number };
  }[];
  readonly accuracy: { readonly spearman: number; readonly regret: number };
  readonly reward: { readonly spearman: number; readonly regret: number };
  readonly seconds: { readonly cheap: number; readonly full: number };
}

function readable({ adapter: found, results, accuracy, reward, seconds }: Ranking): string {
  const right = ['parameters', 'short', 'full'].map((title) => ({ title, align: 'right' as const }));
  const rows = results
    .toSorted((a, b) => b.full.accuracy - a.full.accuracy)
    .map(({ name, params, cheap, full }) => [name, count(params), percent(cheap.accuracy), percent(full.accuracy)]);
  return (
    `${adapterName(found)}\n\n${table([{ title: 'student' }, ...right], rows)}\n` +
    `Spearman's rho: accuracy ${accuracy.spearman.toFixed(3)}, reward ${reward.spearman.toFixed(3)}\n` +
    `the student that short training prefers falls short of the best by ${(100 * accuracy.regret).toFixed(2)} points, reward ${reward.regret.toFixed(4)}\n` +
    `short training took ${duration(seconds.cheap)}, full training ${duration(seconds.full)}\n`
  );
}
