// What `n2n bench search` compares: ways to judge the same students, each with the same images, first weights and batches.
import { CandidatePeer, type SharedTraining, type StudentWork } from '@n2n/benchmarks';
import { padded, type Gpu } from '@n2n/kernels';
import {
  CandidateTrainer,
  epochOrder,
  evaluationBatch,
  type Parameters,
  readTable,
  scheduleRows,
  startingWeights,
  stepsPerEpoch,
  teacherTable,
  type Adam,
  type CandidateOutcome,
  type CandidateSettings,
  type DeviceImages,
  type Model,
  type Split,
  type TeacherTable,
} from '@n2n/trainer';
import type { Candidate } from '@n2n/agent';
import { performance } from 'node:perf_hooks';
import { candidatesDone, scoreOf } from './search.js';

/** In the order of the tables: `n2n` is what a search does. */
export const searchEngineNames = ['n2n', 'n2n-halving', 'one-at-a-time-cached', 'one-at-a-time', 'torch-2'] as const;
export type SearchEngineName = (typeof searchEngineNames)[number];

/** What all engines work with. */
export interface SearchWork {
  readonly gpu: Gpu;
  readonly images: DeviceImages;
  readonly split: Split;
  readonly model: Model;
  /** Of the teacher, on the validation images. */
  readonly accuracy: number;
  readonly train: Uint32Array;
  readonly validation: Uint32Array;
  /** Without halving. */
  readonly settings: CandidateSettings & { readonly optimiser: Adam };
  readonly halving: number;
  readonly teacher: Parameters;
  readonly table: TeacherTable;
  readonly signal: AbortSignal;
}

export interface Judged {
  readonly seconds: number;
  /** Of n2n's own engines; with the weights of the students trained to the end. */
  readonly outcomes: readonly CandidateOutcome[];
}

export interface SearchEngine {
  /** Trains a student for CHECK_STEPS; its mean validation loss tells whether engines do the same work. Warms up, too. */
  check(student: Candidate): Promise<number>;
  /** Trains and measures the students; `onDone` gets how many are done, in parts too. */
  judge(students: readonly Candidate[], onDone: (done: number) => void): Promise<Judged>;
  close(): Promise<void>;
}

export const CHECK_STEPS = 3;

export interface PeerLimits {
  readonly python: string;
  readonly answerLimitMs: number;
}

/** Throws EngineError where the engine cannot run here. */
export async function openSearchEngine(name: SearchEngineName, work: SearchWork, limits: PeerLimits): Promise<SearchEngine> {
  const { settings, halving, table, teacher } = work;
  switch (name) {
    case 'n2n':
      return openOwn(work, settings, table);
    case 'n2n-halving':
      return openOwn(work, { ...settings, halving }, table);
    case 'one-at-a-time-cached':
      return openOwn(work, { ...settings, cohort: 1 }, table);
    case 'one-at-a-time':
      return openOwn(work, { ...settings, cohort: 1 }, teacher);
    case 'torch-2':
      return openTorch(work, limits);
    default:
      return name satisfies never;
  }
}

async function openOwn(work: SearchWork, settings: CandidateSettings, teacher: TeacherTable | Parameters): Promise<SearchEngine> {
  const { gpu, images, train, validation, signal } = work;
  const open = async (part: Uint32Array, changed: CandidateSettings): Promise<CandidateTrainer> =>
    CandidateTrainer.create(gpu, images, { train: part, validation }, changed, teacher);
  const trainer = await open(train, settings);
  return {
    async check(student) {
      const short = await open(checkPart(work), { ...settings, epochs: 1 });
      try {
        const [outcome] = await short.judge([student], { signal });
        return outcome!.loss;
      } finally {
        await short.destroy();
      }
    },
    async judge(students, onDone) {
      const started = performance.now();
      const outcomes = await trainer.judge(students, {
        keepWeights: true,
        score: scoreOf(work),
        signal,
        onProgress: (first, size, progress) => onDone(candidatesDone(first, size, progress)),
      });
      return { outcomes, seconds: (performance.now() - started) / 1000 };
    },
    close: () => trainer.destroy(),
  };
}

const checkPart = ({ train, settings }: SearchWork): Uint32Array => train.subarray(0, CHECK_STEPS * settings.batch);

async function openTorch(work: SearchWork, { python, answerLimitMs }: PeerLimits): Promise<SearchEngine> {
  const { settings, train, validation, signal } = work;
  const peer = await CandidatePeer.open(await sharedTraining(work), { python, answerLimitMs, signal });
  const workOf = (student: Candidate, plan: StepPlan): StudentWork => ({
    spec: student.spec,
    weights: startingWeights(student, settings),
    ...plan,
    evaluationBatch: Math.min(evaluationBatch(student.spec), validation.length),
  });
  const whole = stepPlan(settings, train, settings.epochs);
  return {
    async check(student) {
      const { loss } = await peer.judge(workOf(student, stepPlan(settings, checkPart(work), 1)));
      return loss;
    },
    async judge(students, onDone) {
      let seconds = 0;
      for (const [i, student] of students.entries()) {
        seconds += (await peer.judge(workOf(student, whole))).seconds;
        onDone(i + 1);
      }
      return { seconds, outcomes: [] };
    },
    close: () => peer.close(),
  };
}

type StepPlan = Pick<StudentWork, 'order' | 'rates'>;

/** The images and the learning rate of every step of n2n's training. */
function stepPlan(settings: SearchWork['settings'], train: Uint32Array, epochs: number): StepPlan {
  const steps = stepsPerEpoch(train.length, settings.batch);
  const samples = steps * settings.batch;
  const order = new Uint32Array(epochs * samples);
  for (let epoch = 0; epoch < epochs; epoch++) {
    const pairs = epochOrder({ ...settings, indices: train }, epoch, samples);
    for (let i = 0; i < samples; i++) order[epoch * samples + i] = pairs[2 * i]!;
  }
  const rows = scheduleRows(settings.optimiser, settings.schedule, 0, epochs * steps, epochs * steps);
  return { order, rates: rows.filter((_, i) => i % 4 === 0) };
}

/** The images as floats, and the teacher's logits as n2n's engines gather them. */
async function sharedTraining({ gpu, split, images, model, table, settings, validation }: SearchWork): Promise<SharedTraining> {
  const { channels, height, width } = images.geometry;
  const { mean, std } = model.preprocessing;
  const channelOf = (i: number): number => Math.floor(i / (height * width)) % channels;
  const pixels = Float32Array.from(split.images, (pixel, i) => (pixel / 255 - mean[channelOf(i)]!) / std[channelOf(i)]!);
  const stride = padded(table.classes);
  const logits = (await readTable(gpu, table)).filter((_, i) => i % stride < table.classes);
  return { images: pixels, geometry: images.geometry, labels: split.labels, teacherLogits: logits, validation, adam: settings.optimiser };
}

/** The teacher's logits of the training images, and the seconds they took: what a search pays once. */
export async function timedTable(
  work: Pick<SearchWork, 'gpu' | 'teacher' | 'images' | 'train' | 'model' | 'signal'>,
): Promise<{ table: TeacherTable; seconds: number }> {
  const { gpu, teacher, images, train, model, signal } = work;
  const batch = Math.min(evaluationBatch(model.spec), train.length);
  const started = performance.now();
  const table = await teacherTable(gpu, teacher, images, {
    batch,
    indices: train,
    views: 0,
    preprocessing: model.preprocessing,
    signal,
  });
  return { table, seconds: (performance.now() - started) / 1000 };
}

/** Whether two ways of training gave each student the same bits: weights, accuracy and loss. */
export function sameBits(a: readonly CandidateOutcome[], b: readonly CandidateOutcome[]): boolean {
  return a.length === b.length && a.every((outcome, i) => sameOutcome(outcome, b[i]!));
}

function sameOutcome(a: CandidateOutcome, b: CandidateOutcome): boolean {
  if (a.hash !== b.hash || !Object.is(a.accuracy, b.accuracy) || !Object.is(a.loss, b.loss)) return false;
  if (a.weights === undefined || b.weights === undefined) return a.weights === b.weights;
  if (a.weights.size !== b.weights.size) return false;
  return [...a.weights].every(([name, values]) => {
    const others = b.weights!.get(name);
    return others?.length === values.length && values.every((value, i) => Object.is(value, others[i]));
  });
}
