// result.json and the table that ends a run.
import {
  describeMiss,
  limitsFor,
  metrics,
  paretoFront,
  parseConstraint,
  verdicts,
  type FinishedStudent,
  type Measures,
  type Verdict,
} from '@n2n/agent';
import { z } from 'zod';
import { bytes, count, duration, magnitude, milliseconds, percent, skipped, times } from '../output/format.js';
import { table } from '../output/table.js';

const networkSchema = z.object({
  name: z.string(),
  hash: z.string(),
  params: z.number(),
  macs: z.number(),
  /** Fraction of the test images, which were read once. */
  accuracy: z.number(),
  loss: z.number(),
  /** Fraction of the validation images. */
  validationAccuracy: z.number(),
  /** Of one image at a time on this adapter, the lowest of several rounds' medians. */
  latencyMs: z.number(),
  /** Of as many images at once as the teacher is evaluated with, likewise; null unless a constraint asks for it. */
  batchLatencyMs: z.number().nullable(),
  /** Bytes of the tensors as float32; peak of the activations at batch 1. */
  tensorBytes: z.number(),
  activationBytes: z.number(),
  /** Of one image, by the model that docs/constraints.md states. */
  energyMicrojoules: z.number(),
  fileBytes: z.number(),
  files: z.array(z.object({ format: z.string(), path: z.string(), bytes: z.number() })),
});

/** What a search is held against, trained and measured like its student. */
const controlSchema = networkSchema.extend({
  control: z.enum(['random', 'uniform', 'l1']),
  /** Candidates trained to find it. */
  candidates: z.number(),
  /** Mean reward R_c R_a of the last quarter of them; null without any. */
  meanReward: z.number().nullable(),
});

export const resultSchema = z.object({
  run: z.string(),
  seed: z.number(),
  data: z.string(),
  /** Of all training. Runs from before there was a choice have neither of these. */
  precision: z.enum(['f32', 'mixed']).default('f32'),
  /** Steps of the student's final training that were skipped, as their gradients overflowed; null in f32. */
  skippedSteps: z.number().nullable().default(null),
  teacher: networkSchema,
  student: networkSchema,
  /** Parameters of the teacher over parameters of the student. */
  compression: z.number(),
  /** Accuracy of the teacher less that of the student, in points of a hundred. */
  accuracyDropPoints: z.number(),
  /** Students trained in the search. */
  candidates: z.number(),
  counts: z.object({ sampled: z.number(), trained: z.number(), repeated: z.number(), degenerate: z.number(), ruledOut: z.number() }),
  constraints: z.array(
    z.object({
      text: z.string(),
      met: z.boolean(),
      /** In the metric's unit; of a multiple of the teacher's figure, with the teacher as measured at the end of the run. */
      limit: z.number(),
      /** The student's, of its file; accuracy is that on the validation images, as in the search. */
      figure: z.number().nullable(),
      /** How far beyond the limit, as a fraction of it. */
      missedBy: z.number().nullable(),
      metric: z.enum(metrics),
    }),
  ),
  /** Candidates that no other one beats in parameters, speed and validation accuracy at once, from small to large. */
  pareto: z.object({
    /** What stands for speed: latencies when they were measured, else multiply-adds. */
    speed: z.enum(['latencyMs', 'macs']),
    students: z.array(
      z.object({
        hash: z.string(),
        params: z.number(),
        macs: z.number(),
        latencyMs: z.number().nullable(),
        /** Fraction of the validation images, after a candidate's training. */
        accuracy: z.number(),
      }),
    ),
  }),
  /** Of the last quarter of the candidates trained: mean reward R_c R_a. */
  meanReward: z.number(),
  /** By n2n baseline. */
  controls: z.array(controlSchema),
  /** Of this process; a resumed run does not know how long the one before took. */
  elapsedSeconds: z.number(),
  pipelinesCompiled: z.number(),
  /** Null when this process trained no candidate, because a resumed search was over already. */
  pipelinesCompiledAtFirstCandidate: z.number().nullable(),
  pipelinesCompiledAtLastCandidate: z.number().nullable(),
  adapter: z.object({ vendor: z.string(), architecture: z.string(), device: z.string(), description: z.string(), software: z.boolean() }),
});

export type Result = z.infer<typeof resultSchema>;
export type ControlResult = z.infer<typeof controlSchema>;
export type NetworkResult = z.infer<typeof networkSchema>;

/** Mean of the last quarter, rounded up; null of nothing. */
export function lastQuarter(values: readonly number[]): number | null {
  const last = values.slice(-Math.ceil(values.length / 4));
  return values.length === 0 ? null : last.reduce((sum, value) => sum + value, 0) / last.length;
}

/** The figures that constraints are about; accuracy on the validation images. */
function measuresOf(network: NetworkResult): Measures {
  const { params, macs, tensorBytes, activationBytes, energyMicrojoules, validationAccuracy, latencyMs, batchLatencyMs } = network;
  return { params, macs, bytes: tensorBytes, activationBytes, energyMicrojoules, accuracy: validationAccuracy, latencyMs, batchLatencyMs };
}

/** The constraints held against the finished student, both networks as they were measured at the end. */
export function judgeConstraints(texts: readonly string[], teacher: NetworkResult, student: NetworkResult): Verdict[] {
  return verdicts(limitsFor(texts.map(parseConstraint), measuresOf(teacher)), measuresOf(student));
}

/** The trade-offs among a search's candidates. */
export function paretoOf(finished: readonly FinishedStudent[]): Result['pareto'] {
  const { speed, students } = paretoFront(finished);
  return {
    speed,
    students: students.map(({ hash, measures: { params, macs, latencyMs, accuracy } }) => ({
      hash,
      params,
      macs,
      latencyMs: latencyMs ?? null,
      accuracy,
    })),
  };
}

/** Rows of the trade-offs that people are shown: the ends, and what lies evenly between. */
const SHOWN = 5;

function readablePareto({ speed, students }: Result['pareto']): string {
  if (students.length < 2) return '';
  const rowCount = Math.min(SHOWN, students.length);
  const shown = Array.from({ length: rowCount }, (_, i) => students[Math.round((i * (students.length - 1)) / (rowCount - 1))]!);
  const rows = shown.map(({ hash, params, macs, latencyMs, accuracy }) => [
    hash.slice(0, 12),
    count(params),
    speed === 'macs' || latencyMs === null ? magnitude(macs) : milliseconds(latencyMs),
    percent(accuracy),
  ]);
  const columns = [
    { title: 'trade-offs' },
    { title: 'parameters', align: 'right' },
    { title: speed === 'macs' ? 'MACs' : 'latency', align: 'right' },
    { title: 'validation', align: 'right' },
  ] as const;
  const more =
    students.length > shown.length ? `${shown.length} of the ${students.length} that no other candidate beats in all three\n` : '';
  return `\n${table(columns, rows)}${more}\n`;
}

/** The teacher beside the student, and what to try next. */
export function readableResult(result: Result): string {
  const { teacher, student } = result;
  const row = (what: string, show: (network: NetworkResult) => string, compare: string): string[] => [
    what,
    show(teacher),
    show(student),
    compare,
  ];
  const gain = (of: (network: NetworkResult) => number): string => times(of(teacher) / of(student));
  const drop = result.accuracyDropPoints;
  const rows = [
    row(
      'parameters',
      ({ params }) => count(params),
      gain(({ params }) => params),
    ),
    row(
      'MACs an image',
      ({ macs }) => magnitude(macs),
      gain(({ macs }) => macs),
    ),
    row('test accuracy', ({ accuracy }) => percent(accuracy), `${drop > 0 ? '-' : '+'}${Math.abs(drop).toFixed(2)} points`),
    row(
      'file size',
      ({ fileBytes }) => bytes(fileBytes),
      gain(({ fileBytes }) => fileBytes),
    ),
    row(
      'latency, batch 1',
      ({ latencyMs }) => milliseconds(latencyMs),
      gain(({ latencyMs }) => latencyMs),
    ),
  ];
  const columns = [
    { title: '' },
    { title: 'teacher', align: 'right' },
    { title: 'student', align: 'right' },
    { title: '', align: 'right' },
  ] as const;
  const missed = result.constraints.filter(({ met }) => !met).map(describeMiss);
  const [file] = student.files;
  const onnx = student.files.find(({ format }) => format === 'onnx');
  return (
    `${table(columns, rows)}\n${readablePareto(result.pareto)}` +
    `${count(result.candidates)} candidates trained in ${duration(result.elapsedSeconds)}, all of it in ${result.run}\n` +
    skipped(result.skippedSteps) +
    (onnx === undefined ? '' : `for other tools: ${onnx.path}\n`) +
    (missed.length === 0 ? '' : `not reached: ${missed.join(', ')}\n`) +
    (result.controls.length === 0 ? '' : `\n${readableControls(result)}`) +
    `\nnext:\n  n2n inspect ${file?.path}\n  n2n eval ${file?.path} --data ${result.data}\n` +
    `  n2n compress ${teacher.files[0]?.path} --data ${result.data} --constraint "params<=${Math.round(student.params / 2)}"\n`
  );
}

const CONTROL_NAMES: Readonly<Record<ControlResult['control'], string>> = {
  random: 'random search',
  uniform: 'uniform width scaling',
  l1: 'L1 channel pruning',
};

/** The student beside the controls that were run. */
export function readableControls({ student, meanReward, candidates, controls }: Result): string {
  const row = (name: string, network: NetworkResult, reward: number | null, trained: number): string[] => [
    name,
    count(network.params),
    percent(network.validationAccuracy),
    percent(network.accuracy),
    reward === null ? '' : reward.toFixed(4),
    count(trained),
  ];
  const rows = [
    row('this search', student, meanReward, candidates),
    ...controls.map((control) => row(CONTROL_NAMES[control.control], control, control.meanReward, control.candidates)),
  ];
  const right = ['parameters', 'validation', 'test', 'mean reward', 'candidates'].map((title) => ({ title, align: 'right' as const }));
  return `${table([{ title: 'student of' }, ...right], rows)}mean reward: R_c R_a over the last quarter of the candidates\n`;
}
