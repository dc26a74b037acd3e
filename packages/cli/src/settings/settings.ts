// The flags that several commands share; each command takes what it needs, with defaults of its own.
import { baselineKinds, policyKinds, shrinkageActions } from '@n2n/agent';
import { COMPRESS, TRAIN } from '../budgets.js';
import { z } from 'zod';
import type { Setting } from './setting.js';
import {
  choice,
  choices,
  decimal,
  integer,
  integerOr,
  numbers,
  optionalDecimal,
  optionalInteger,
  optionalText,
  text,
  texts,
  toggle,
} from './kinds.js';

/** Every command has these. */
export const common = {
  json: { ...toggle({ flags: '--json', about: 'one JSON document on stdout in place of text' }, false), environment: false as const },
  quiet: toggle({ flags: '--quiet', about: 'no notes and no progress on stderr' }, false),
  config: optionalText({
    flags: '--config <file>',
    about: 'YAML or JSON file with defaults for flags, such as "epochs: 3"; variables (N2N_EPOCHS) and flags win over it',
  }),
  deviceMemory: optionalInteger(
    {
      flags: '--device-memory <MiB>',
      about: 'device memory that images may take; larger sets are streamed, with the same results (default: what the device gives)',
    },
    0,
  ),
};

export const adapter = text(
  { flags: '--adapter <name>', about: 'any, cpu (software), gpu, or a part of the name of the adapter to use' },
  'any',
);

/** N2N_DATA is the folder in which data sets are looked for by name, so --data has no variable. */
export const data = {
  ...optionalText({
    flags: '--data <name|path>',
    about: 'mnist, fashion-mnist, cifar10, cifar100, svhn, or a data set of your own (README.md, Data)',
  }),
  environment: false as const,
};
export const classes = integer({ flags: '--classes <n>', about: 'classes of IDX and .npz files, which do not say' }, 1, 10, 256);

/** What the images of an image folder or TAR become. */
const imageSize: Setting<readonly [height: number, width: number]> = {
  flags: '--image-size <n|HxW>',
  about: 'size that the images of an image folder or TAR are resized to (default: 32)',
  needs: 'a side from 1 to 1024 such as 64, or height x width such as 48x64',
  schema: z
    .string()
    .regex(/^\d{1,4}(x\d{1,4})?$/)
    .transform((value): [number, number] => {
      const [height = 0, width = height] = value.split('x').map(Number);
      return [height, width];
    })
    .refine((sides) => sides.every((side) => side >= 1 && side <= 1024)),
  fallback: [32, 32],
};
const imageColor = choice({ flags: '--image-color <name>', about: 'what they become: rgb or grey' }, ['rgb', 'grey'], 'rgb');
const testShare = decimal(
  { flags: '--test-share <x>', about: 'part of each class that is the test set where the folder has none' },
  { least: 0.01, most: 0.9 },
  0.2,
);
const splitSeed = integer({ flags: '--split-seed <n>', about: 'keys which images those are' }, 0, 1);
export const images = { imageSize, imageColor, testShare, splitSeed };

export const seed = integer({ flags: '--seed <n>', about: 'keys every random draw' }, 0, 1);
export const seeds = integer(
  { flags: '--seeds <n>', about: 'runs with n seeds from --seed on, each in a run directory of its own, and their mean and spread' },
  1,
  1,
  1000,
);
export const epochs = integer({ flags: '--epochs <n>', about: 'passes over the training images' }, 1, TRAIN.epochs, 100_000);
export const batch = integer({ flags: '--batch <n>', about: 'images a step' }, 1, TRAIN.batch, 65_536);
export const validation = integer({ flags: '--validation <n>', about: 'training images held out, the same number of each class' }, 0, 0);
export const learningRate = decimal(
  { flags: '--learning-rate <x>', about: 'peak learning rate' },
  { least: 0, most: 100, above: true },
  TRAIN.learningRate,
);
export const optimiser = choice({ flags: '--optimiser <name>', about: 'sgd (with Nesterov momentum) or adam' }, ['sgd', 'adam'], 'sgd');
export const schedule = choice(
  { flags: '--schedule <name>', about: 'learning rate over time: constant, step (a tenth at 1/2 and 3/4), cosine, one-cycle' },
  ['constant', 'step', 'cosine', 'one-cycle'],
  'one-cycle',
);
export const precision = choice(
  {
    flags: '--precision <name>',
    about: 'of training: f32, or mixed, where products are of 16-bit floats and losses scaled; needs an adapter with shader-f16',
  },
  ['f32', 'mixed'],
  'f32',
);
export const momentum = decimal({ flags: '--momentum <x>', about: "sgd's momentum" }, { least: 0, most: 0.9999 }, 0.9);
export const weightDecay = decimal({ flags: '--weight-decay <x>', about: 'L2 penalty' }, { least: 0, most: 10 }, 5e-4);
export const cropPadding = integer({ flags: '--crop-padding <n>', about: 'augmentation: random crop with a border of n pixels' }, 0, 0, 64);
export const flip = toggle({ flags: '--flip', about: 'augmentation: random horizontal flip' }, false);
export const cutout = integer({ flags: '--cutout <n>', about: 'augmentation: a square of n pixels a side masked, anywhere' }, 0, 0, 1024);
export const out = { ...optionalText({ flags: '--out <file>', about: 'model file to write' }), environment: false as const };
export const printConfig = {
  ...toggle({ flags: '--print-config', about: 'print what the run would be started with and where each value came from, and stop' }, false),
  environment: false as const,
};
export const run = { ...optionalText({ flags: '--run <folder>', about: 'run directory to create' }), environment: false as const };

export const split = choice({ flags: '--split <name>', about: 'test or train' }, ['test', 'train'], 'test');
export const mean = numbers(
  { flags: '--mean <x,..>', about: "mean a channel of pixels in 0..1, in place of the model's own" },
  'numbers separated by commas',
  () => true,
);
export const std = numbers(
  { flags: '--std <x,..>', about: "standard deviation a channel, in place of the model's own" },
  'numbers above 0 separated by commas',
  (value) => value > 0,
);
export const filter = text({ flags: '--filter <text>', about: 'only the cases whose name contains this' }, '');

/** The search and the final training of `compress`. */
export const search = {
  seed,
  stages: choices(
    { flags: '--stages <list>', about: 'what the search does, in order' },
    ['removal', 'shrinkage'],
    ['removal', 'shrinkage'],
  ),
  updates: integer({ flags: '--updates <n>', about: 'policy updates a stage' }, 1, COMPRESS.updates, 100_000),
  rollouts: integer({ flags: '--rollouts <n>', about: 'candidates sampled an update' }, 2, COMPRESS.rollouts, 1000),
  epochs: integer({ flags: '--epochs <n>', about: "epochs of a candidate's training" }, 1, COMPRESS.epochs, 100_000),
  constraint: texts({
    flags: '--constraint <text>',
    about: 'a limit that the student must keep, such as "params<=50000" or "latency<=0.5x" (of the teacher\'s); may be repeated',
  }),
  batch: { ...batch, fallback: COMPRESS.batch },
  learningRate: { ...learningRate, about: "candidates' learning rate (Adam)", fallback: COMPRESS.learningRate },
  weightDecay: { ...weightDecay, about: "candidates' L2 penalty", fallback: COMPRESS.weightDecay },
  schedule: { ...schedule, about: "candidates' learning rate over time: constant, step, cosine, one-cycle", fallback: COMPRESS.schedule },
  precision,
  warmup: optionalDecimal(
    { flags: '--warmup <x>', about: "share of a candidate's training in which its learning rate rises (default: 0, one-cycle: 0.1)" },
    { least: 0, most: 0.9 },
  ),
  init: choice(
    { flags: '--init <name>', about: "students' first weights: inherit (the teacher's, channels of largest L1 norm) or random" },
    ['inherit', 'random'],
    COMPRESS.init,
  ),
  roundTo: integer({ flags: '--round-to <n>', about: 'widths become multiples of n' }, 1, 1, 1024),
  candidates: integer(
    { flags: '--candidates <n>', about: 'a stage ends once it has trained n candidates; 0: after --updates only' },
    0,
    COMPRESS.candidates,
  ),
  lenientUpdates: integer(
    { flags: '--lenient-updates <n>', about: 'updates of a stage in which a candidate that breaks a constraint still earns something' },
    0,
    COMPRESS.lenientUpdates,
  ),
  prior: decimal(
    { flags: '--prior <x>', about: 'how much fresh policies lean towards leaving layers alone; 0 is an even draw' },
    { least: 0, most: 10 },
    COMPRESS.prior,
  ),
  baseline: choice(
    {
      flags: '--baseline <name>',
      about: "what rewards are held against: the update's other rollouts, a moving average, or a learned critic",
    },
    baselineKinds,
    COMPRESS.baseline,
  ),
  entropyBonus: decimal(
    { flags: '--entropy-bonus <x>', about: 'weight of the mean entropy of a decision (nats) beside the reward' },
    { least: 0, most: 100 },
    COMPRESS.entropyBonus,
  ),
  removalPolicy: choice(
    { flags: '--removal-policy <name>', about: 'network that decides on layers: bidirectional, autoregressive or encoder-decoder LSTM' },
    policyKinds,
    COMPRESS.removalPolicy,
  ),
  shrinkagePolicy: choice(
    { flags: '--shrinkage-policy <name>', about: 'network that decides on sizes' },
    policyKinds,
    COMPRESS.shrinkagePolicy,
  ),
  shrinkageActions: choice(
    { flags: '--shrinkage-actions <name>', about: 'one action a layer and attribute, or one a group of coupled channels' },
    shrinkageActions,
    COMPRESS.shrinkageActions,
  ),
  policyFrom: optionalText({
    flags: '--policy-from <run>',
    about: 'start the policies from what those of another run have learned, in place of fresh weights',
  }),
  subset: integer({ flags: '--subset <n>', about: 'training images that candidates train on; 0 for all' }, 0, COMPRESS.subset),
  validation: optionalInteger(
    { flags: '--validation <n>', about: `training images held out to judge candidates (default: a tenth, at most ${COMPRESS.validation})` },
    1,
  ),
  views: optionalInteger(
    { flags: '--views <n>', about: `augmented views an image (default: ${COMPRESS.views} with augmentation, else 0)` },
    0,
  ),
  cropPadding,
  flip,
  cutout,
  cohort: integerOr(
    { flags: '--cohort <n>', about: 'candidates trained side by side; auto: those of an update, as many as fit into --memory' },
    'auto',
    { least: 1, most: 256 },
    COMPRESS.cohort,
  ),
  memory: integer(
    { flags: '--memory <MiB>', about: 'device memory that an auto cohort may take beside the images' },
    1,
    COMPRESS.memory,
    1_048_576,
  ),
  halving: integer(
    { flags: '--halving <n>', about: 'successive halving inside a cohort: the best 1/n go on at each rung; 1 for none' },
    1,
    COMPRESS.halving,
    256,
  ),
  rungImages: integer(
    { flags: '--rung-images <n>', about: 'validation images that a rung measures on; 0 for all' },
    0,
    COMPRESS.rungImages,
  ),
  top: integer({ flags: '--top <n>', about: 'finalists trained fully, of which the best on validation is kept' }, 1, COMPRESS.top, 256),
  finalEpochs: integer({ flags: '--final-epochs <n>', about: "epochs of the best student's training" }, 1, COMPRESS.finalEpochs, 100_000),
  finalLearningRate: decimal(
    { flags: '--final-learning-rate <x>', about: 'its peak learning rate (Adam, one-cycle)' },
    { least: 0, most: 100, above: true },
    COMPRESS.finalLearningRate,
  ),
  finalWeightDecay: { ...weightDecay, flags: '--final-weight-decay <x>', about: 'its L2 penalty', fallback: COMPRESS.finalWeightDecay },
  lambda: decimal(
    { flags: '--lambda <x>', about: "weight of the teacher's logits in the final loss: L_hard + lambda L_KD" },
    { least: 0, most: 1e6 },
    COMPRESS.lambda,
  ),
};
