// run.json: what a run was started with, so that a resumed one can prove that it is the same.
import { createHash } from 'node:crypto';
import { baselineKinds, policyKinds, shrinkageActions } from '@n2n/agent';
import { z } from 'zod';

const teacherRecipe = z.object({
  kind: z.literal('recipe'),
  arch: z.string(),
  epochs: z.int(),
  batch: z.int(),
  learningRate: z.number(),
});
const teacherFile = z.object({ kind: z.literal('file'), path: z.string() });

const policySource = z.object({
  /** The run that the policies are from, as an absolute path. */
  run: z.string(),
  /** SHA-256 of policies.msgpack, the run's own copy. */
  sha256: z.string(),
  stages: z.array(z.string()),
});

/** Everything that decides what the run computes. */
const configurationSchema = z.object({
  /** A name, or the absolute path of a folder. */
  data: z.string(),
  classes: z.int(),
  /** What the images of an image folder become; runs from before there were any, and the quickstart, have none of these. */
  imageSize: z.tuple([z.int(), z.int()]).readonly().optional(),
  imageColor: z.enum(['rgb', 'grey']).optional(),
  testShare: z.number().optional(),
  splitSeed: z.int().optional(),
  /** A model file, or how to train one as part of the run. */
  teacher: z.discriminatedUnion('kind', [teacherFile, teacherRecipe]),
  seed: z.int(),
  stages: z.array(z.enum(['removal', 'shrinkage'])),
  updates: z.int(),
  rollouts: z.int(),
  roundTo: z.int(),
  candidates: z.int(),
  lenientUpdates: z.int(),
  prior: z.number(),
  baseline: z.enum(baselineKinds),
  entropyBonus: z.number(),
  removalPolicy: z.enum(policyKinds),
  shrinkagePolicy: z.enum(policyKinds),
  shrinkageActions: z.enum(shrinkageActions),
  /** What the policies start from; null for fresh weights. */
  policyFrom: policySource.nullable(),
  constraint: z.array(z.string()),
  /** Training of a candidate. */
  epochs: z.int(),
  batch: z.int(),
  learningRate: z.number(),
  weightDecay: z.number(),
  schedule: z.enum(['constant', 'step', 'cosine', 'one-cycle']),
  /** Of all training; f32 in runs from before there was a choice. */
  precision: z.enum(['f32', 'mixed']).optional(),
  /** Where students' weights start, candidates and the best one. */
  init: z.enum(['inherit', 'random']),
  /** Missing, like the two below, in runs begun before there was such a choice. */
  warmup: z.number().optional(),
  cohort: z.union([z.int(), z.literal('auto')]),
  /** MiB. */
  memory: z.int().optional(),
  halving: z.int(),
  rungImages: z.int().optional(),
  /** Images that candidates train on, and those that judge them. */
  subset: z.int(),
  validation: z.int(),
  views: z.int(),
  cropPadding: z.int(),
  flip: z.boolean(),
  /** Missing in runs from before there was one, which is 0. */
  cutout: z.int().optional(),
  /** Training of the best student. */
  top: z.int(),
  finalEpochs: z.int(),
  finalLearningRate: z.number(),
  finalWeightDecay: z.number(),
  lambda: z.number(),
  /** The adapter that was asked for. */
  adapter: z.string(),
});

const adapterSchema = z.object({
  vendor: z.string(),
  architecture: z.string(),
  device: z.string(),
  description: z.string(),
  software: z.boolean(),
});

/** The tuner's choices that the run's kernels follow; without any, the built-in order of preference. */
const kernelsSchema = z.object({
  choices: z.record(z.string(), z.string()),
  /** `choicesSha256` of them. */
  sha256: z.string(),
});

/** Rises with what a record must hold; a run of another format is refused. */
export const RUN_FORMAT = 2;

export const runRecordSchema = z.object({
  format: z.literal(RUN_FORMAT),
  command: z.enum(['compress', 'quickstart']),
  createdAt: z.string(),
  versions: z.object({ n2n: z.string(), node: z.string() }),
  adapter: adapterSchema,
  /** Missing in runs begun before there was a tuner. */
  kernels: kernelsSchema.optional(),
  data: z.object({ name: z.string(), fingerprint: z.string() }),
  /** SHA-256 of teacher.safetensors; null until the run has trained it. */
  teacherSha256: z.string().nullable(),
  configuration: configurationSchema,
  configurationSha256: z.string(),
});

export type Configuration = z.infer<typeof configurationSchema>;
export type PolicySource = z.infer<typeof policySource>;
export type TeacherRecipe = z.infer<typeof teacherRecipe>;
export type RunRecord = z.infer<typeof runRecordSchema>;

export const sha256 = (content: string | Uint8Array): string => createHash('sha256').update(content).digest('hex');

/** Keys in the schema's order, so that the hash does not depend on how the configuration was put together. */
export function configurationSha256(configuration: Configuration): string {
  return sha256(JSON.stringify(configurationSchema.parse(configuration)));
}
