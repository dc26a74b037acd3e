// Run directories when two processes work on one at the same time. What the other one does happens where this one asks for its
// lock: the hook below stands for it.
import { mkdir, readdir, writeFile } from 'node:fs/promises';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { RunInUseError } from '../errors.js';
import { temporaryFolder } from '../testing/cli.js';
import { configurationSha256, RUN_FORMAT, type Configuration, type RunRecord } from './record.js';
import type * as LockModule from './lock.js';
import { Run } from './run.js';

const other = vi.hoisted(() => ({ acts: undefined as (() => Promise<void>) | undefined }));

vi.mock('./lock.js', async (original) => {
  const lock = await original<typeof LockModule>();
  const letOtherAct = async (): Promise<void> => {
    const { acts } = other;
    other.acts = undefined;
    await acts?.();
  };
  return {
    ...lock,
    lockContent: async () => {
      await letOtherAct();
      return lock.lockContent();
    },
    acquireLock: async (folder: string) => {
      await letOtherAct();
      return lock.acquireLock(folder);
    },
  };
});

const configuration: Configuration = {
  data: 'mnist',
  classes: 10,
  teacher: { kind: 'recipe', arch: 'lenet5', epochs: 1, batch: 64, learningRate: 0.1 },
  seed: 0,
  stages: ['removal'],
  updates: 1,
  rollouts: 2,
  roundTo: 1,
  constraint: [],
  epochs: 1,
  batch: 64,
  learningRate: 0.01,
  weightDecay: 0,
  schedule: 'constant',
  init: 'random',
  cohort: 1,
  halving: 1,
  top: 1,
  subset: 0,
  validation: 10,
  views: 0,
  cropPadding: 0,
  flip: false,
  finalEpochs: 1,
  finalLearningRate: 0.01,
  finalWeightDecay: 0,
  lambda: 0,
  prior: 0,
  baseline: 'leave-one-out',
  entropyBonus: 0,
  removalPolicy: 'bidirectional',
  shrinkagePolicy: 'autoregressive',
  shrinkageActions: 'layer',
  policyFrom: null,
  adapter: 'any',
};
const record: RunRecord = {
  format: RUN_FORMAT,
  command: 'quickstart',
  createdAt: '2025-01-01T00:00:00.000Z',
  versions: { n2n: '0.1.0', node: '20.0.0' },
  adapter: { vendor: 'a', architecture: 'b', device: 'c', description: 'd', software: true },
  data: { name: 'mnist', fingerprint: '0' },
  teacherSha256: null,
  configuration,
  configurationSha256: configurationSha256(configuration),
};

let folder: Awaited<ReturnType<typeof temporaryFolder>>;
beforeEach(async () => {
  folder = await temporaryFolder();
});
afterEach(() => folder.remove());

it('leaves the runs of others alone when it cannot begin in the folder that it made', async () => {
  const path = folder.path('some', 'runs', 'one');
  other.acts = async () => {
    await Run.create(path, record);
    await mkdir(folder.path('some', 'runs', 'two'));
  };
  await expect(Run.create(path, record)).rejects.toThrow(RunInUseError);
  expect((await readdir(folder.path('some', 'runs'))).sort()).toEqual(['one', 'two']);
  expect((await readdir(path)).sort()).toEqual(['best', 'lock', 'run.json', 'students']);
});

it('removes the folders that it made when it cannot begin', async () => {
  other.acts = () => Promise.reject(new Error('the disk is full'));
  await expect(Run.create(folder.path('some', 'runs', 'one'), record)).rejects.toThrow('the disk is full');
  expect(await readdir(folder.path())).toEqual([]);
});

it('opens with the record that it finds under the lock', async () => {
  const path = folder.path('one');
  await (await Run.create(path, record)).release();
  other.acts = () => writeFile(folder.path('one', 'run.json'), JSON.stringify({ ...record, teacherSha256: 'f'.repeat(64) }));
  const run = await Run.open(path);
  expect(run.record.teacherSha256).toBe('f'.repeat(64));
  await run.release();
  expect(await readdir(path)).not.toContain('lock');
});
