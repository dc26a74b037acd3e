// Locks of run directories: one holder at a time, and a dead one does not hold.
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { RunInUseError } from '../errors.js';
import { temporaryFolder } from '../testing/cli.js';
import { acquireLock } from './lock.js';

let folder: Awaited<ReturnType<typeof temporaryFolder>>;
beforeEach(async () => {
  folder = await temporaryFolder();
});
afterEach(() => folder.remove());

const holder = (pid: number, rest: object = {}): Promise<void> =>
  writeFile(folder.path('lock'), JSON.stringify({ pid, host: hostname(), started: null, token: '1', ...rest }));

it('is held until it is released', async () => {
  const lock = await acquireLock(folder.path());
  expect(JSON.parse(await readFile(folder.path('lock'), 'utf8'))).toMatchObject({ pid: process.pid, host: hostname() });
  await expect(acquireLock(folder.path())).rejects.toThrow(RunInUseError);
  await expect(acquireLock(folder.path())).rejects.toThrow(new RegExp(`locked by process ${process.pid};`));
  await lock.release();
  expect(await readdir(folder.path())).toEqual([]);
  await (await acquireLock(folder.path())).release();
});

it('leaves the lock of a later holder alone when it is released twice', async () => {
  const first = await acquireLock(folder.path());
  await first.release();
  await first.release();
  const second = await acquireLock(folder.path());
  await first.release();
  await expect(acquireLock(folder.path())).rejects.toThrow(RunInUseError);
  await second.release();
  expect(await readdir(folder.path())).toEqual([]);
});

it('goes to one of several that ask at once', async () => {
  await holder(spawnSync('true').pid);
  const answers = await Promise.allSettled(Array.from({ length: 8 }, () => acquireLock(folder.path())));
  expect(answers.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
  expect(await readdir(folder.path())).toEqual(['lock']);
});

it('is taken over from a dead process, and from another one with the same number', async () => {
  await holder(spawnSync('true').pid);
  await (await acquireLock(folder.path())).release();
  await holder(process.pid, { started: '1' });
  await acquireLock(folder.path());
  expect(await readFile(folder.path('lock'), 'utf8')).not.toContain('"started":"1"');
});

it('is respected when the holder lives, is on another machine or cannot be told', async () => {
  const child = spawn('sleep', ['30']);
  try {
    await holder(child.pid ?? 0);
    await expect(acquireLock(folder.path())).rejects.toThrow(`locked by process ${child.pid}`);
  } finally {
    child.kill();
    await once(child, 'exit');
  }
  await holder(1, { host: 'elsewhere' });
  await expect(acquireLock(folder.path())).rejects.toThrow('locked by process 1 on elsewhere');
  await writeFile(folder.path('lock'), 'torn');
  await expect(acquireLock(folder.path())).rejects.toThrow('locked by an unreadable lock file');
});
