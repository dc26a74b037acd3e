// One process a run directory: a `lock` file that names the process. A lock whose process is gone is taken over.
import { createHash, randomUUID } from 'node:crypto';
import { link, readFile, rename, rm, unlink, writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { z } from 'zod';
import { RunInUseError } from '../errors.js';

const holderSchema = z.object({
  pid: z.int().min(1),
  host: z.string(),
  /** The process's start, in clock ticks since boot, where the system tells: a number that is used again is another process. */
  started: z.string().nullable(),
  token: z.string(),
});
type Holder = z.infer<typeof holderSchema>;

export interface Lock {
  /** Removes the lock file if it is still this lock's own: released twice, it leaves a later holder's alone. */
  release(): Promise<void>;
}

/** What a lock file of this process holds; no two are equal. */
export async function lockContent(): Promise<string> {
  const holder: Holder = { pid: process.pid, host: hostname(), started: await startOf(process.pid), token: randomUUID() };
  return `${JSON.stringify(holder)}\n`;
}

/** The lock of a folder whose lock file holds `content`, which this process has written. */
export function heldLock(folder: string, content: string): Lock {
  return {
    release: async () => {
      if ((await readIfThere(lockPath(folder))) === content) await rm(lockPath(folder), { force: true });
    },
  };
}

/** Locks the folder. Throws RunInUseError when another living process has it. */
export async function acquireLock(folder: string): Promise<Lock> {
  const own = `${lockPath(folder)}.${randomUUID()}`;
  const content = await lockContent();
  await writeFile(own, content, { flag: 'wx' });
  try {
    await acquireFile(folder, lockPath(folder), own);
  } finally {
    await unlink(own);
  }
  return heldLock(folder, content);
}

const lockPath = (folder: string): string => join(folder, 'lock');

/**
 * Makes `path` a link to `own`, at once as a whole. In place of a dead process's file only after a claim to be its successor:
 * a file named after the dead one's content, acquired in the same way, without which nobody replaces that content.
 */
async function acquireFile(folder: string, path: string, own: string): Promise<void> {
  while (!(await linked(own, path))) {
    const content = await readIfThere(path);
    if (content === undefined) continue; // released in between
    const holder = parseHolder(content);
    if (holder === undefined || (await isAlive(holder))) throw inUse(folder, holder);
    const claim = `${path}.${createHash('sha256').update(content).digest('hex').slice(0, 16)}`;
    await acquireFile(folder, claim, own);
    if ((await readIfThere(path)) === content) {
      await rename(claim, path);
      return;
    }
    await unlink(claim); // somebody else took over before this claim was made
  }
}

async function linked(from: string, to: string): Promise<boolean> {
  try {
    await link(from, to);
    return true;
  } catch (error) {
    if (isCode(error, 'EEXIST')) return false;
    throw error;
  }
}

function inUse(folder: string, holder: Holder | undefined): RunInUseError {
  const who =
    holder === undefined ? 'an unreadable lock file' : `process ${holder.pid}${holder.host === hostname() ? '' : ` on ${holder.host}`}`;
  return new RunInUseError(
    `${folder} is locked by ${who}; wait for it, or remove ${lockPath(folder)} when you know that nothing uses the folder`,
  );
}

function parseHolder(content: string): Holder | undefined {
  try {
    return holderSchema.parse(JSON.parse(content));
  } catch {
    return undefined;
  }
}

/** A process of another machine counts as alive: there is no way to ask. */
async function isAlive({ pid, host, started }: Holder): Promise<boolean> {
  if (host !== hostname()) return true;
  try {
    process.kill(pid, 0);
  } catch (error) {
    return isCode(error, 'EPERM');
  }
  const now = await startOf(pid);
  return started === null || now === null || now === started;
}

/** Field 22 of /proc/<pid>/stat; null where there is no such file. */
async function startOf(pid: number): Promise<string | null> {
  const text = await readIfThere(`/proc/${pid}/stat`);
  // The second field is the command in parentheses and may hold spaces; the rest begins after the last one.
  return text?.slice(text.lastIndexOf(')') + 2).split(' ')[19] ?? null;
}

async function readIfThere(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if (isCode(error, 'ENOENT') || isCode(error, 'ESRCH')) return undefined;
    throw error;
  }
}

const isCode = (error: unknown, code: string): boolean => error instanceof Error && 'code' in error && error.code === code;
