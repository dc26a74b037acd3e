// Every default budget of the command line in one place: how long things train and how much data judges them.

/** `n2n train`. */
export const TRAIN = {
  epochs: 10,
  batch: 64,
  learningRate: 0.05,
  /** Share of the training spent raising the learning rate. */
  warmup: 0.1,
} as const;

/** `n2n compress`; METHOD of the paper: 100 updates of 5 rollouts a stage, 5 epochs a candidate. */
export const COMPRESS = {
  updates: 100,
  rollouts: 5,
  /** Trained a stage; 0: only the updates end it. */
  candidates: 0,
  lenientUpdates: 15,
  /** The paper's even draw: 100 updates are enough to learn better. */
  prior: 0,
  /** Not the paper's moving average: unbiased, and needs no history. */
  baseline: 'leave-one-out',
  entropyBonus: 0,
  removalPolicy: 'bidirectional',
  shrinkagePolicy: 'autoregressive',
  shrinkageActions: 'layer',
  /** A candidate's training. */
  epochs: 5,
  batch: 64,
  learningRate: 5e-4,
  weightDecay: 5e-4,
  schedule: 'constant',
  /** The paper's students start from random weights. */
  init: 'inherit',
  cohort: 'auto',
  /** MiB that the students of a cohort take together at most. */
  memory: 1024,
  /** 1: every candidate is trained to the end. */
  halving: 1,
  /** What a rung measures on: enough to tell the third that goes on from the rest. */
  rungImages: 500,
  /** Training images that judge candidates; 0 is all of them. */
  subset: 0,
  /** Held out of training, at most; a tenth of the training images where that is less. */
  validation: 5000,
  /** Augmented views an image when augmentation is on. */
  views: 4,
  /** Students trained fully; the best on validation is kept. */
  top: 1,
  finalEpochs: 30,
  finalLearningRate: 2e-3,
  finalWeightDecay: 1e-4,
  lambda: 0.01,
} as const;

/** `n2n quickstart`: about five minutes on two cores without a GPU. */
export const QUICKSTART = {
  /** 246,394 parameters. */
  teacher: 'plain-5',
  teacherEpochs: 1,
  teacherBatch: 64,
  teacherLearningRate: 0.05,
  /** Without a --constraint the student must have this many times fewer parameters than the teacher. */
  compression: 20.5,
  updates: 20,
  candidates: 12,
  /** Twelve candidates are too few to spend any on students that are too large. */
  lenientUpdates: 0,
  rollouts: 4,
  prior: 1,
  epochs: 2,
  batch: 32,
  learningRate: 1e-2,
  schedule: 'cosine',
  cohort: 'auto',
  subset: 4000,
  validation: 2000,
  top: 1,
  finalEpochs: 3,
  finalLearningRate: 5e-3,
} as const;

/** Share of a small data set's training images that becomes validation. */
export const VALIDATION_FRACTION = 0.1;

/** `n2n bench`. */
export const BENCH = {
  /** Timed repetitions of each case. */
  repetitions: 9,
  warmUp: 2,
  /** Least wall time of one repetition. */
  minimumMs: 60,
  /** Robust relative spread of the repetitions above which a case is called noisy. */
  noisePercent: 10,
  timeLimitSeconds: 600,
  /** Runnable processes a core, before the start, from which on the machine is called busy. */
  busyLoad: 0.5,
  /** `bench peers`: rounds of all engines, least time of one measurement, and the limits of patience. */
  peerRounds: 5,
  peerMinimumMs: 200,
  answerLimitSeconds: 600,
  peerTimeLimitSeconds: 3600,
  /** `bench search`. */
  searchHalving: 3,
  searchTimeLimitSeconds: 3600,
  /** `bench compare`: percent by which a median must change to count. */
  thresholdPercent: 5,
  /** The chance of calling anything changed when nothing is. */
  significance: 0.01,
} as const;

/** `n2n tune`. */
export const TUNE = {
  timeLimitSeconds: 60,
  /** Share of it for the comparison with lavapipe's 512-bit mode. */
  wideShare: 0.2,
  /** How many times faster that mode must be to be worth a setting of the environment. */
  wideGain: 1.1,
} as const;
