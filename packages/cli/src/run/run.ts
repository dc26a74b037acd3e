// A run directory: created whole or not at all, used by one process at a time (DESIGN section 8 names its files).
import { randomUUID } from 'node:crypto';
import { access, mkdir, readFile, rename, rm, rmdir, writeFile } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { loadModel, writeFileAtomic, type Model } from '@n2n/trainer';
import { InputError, RunInUseError } from '../errors.js';
import { acquireLock, heldLock, lockContent, type Lock } from './lock.js';
import { RUN_FORMAT, runRecordSchema, sha256, type RunRecord } from './record.js';

const FOLDERS = ['students', 'best'];

export class Run {
  private constructor(
    /** Absolute. */
    readonly folder: string,
    private current: RunRecord,
    private readonly lock: Lock,
  ) {}

  get record(): RunRecord {
    return this.current;
  }

  /**
   * Makes the folder with its record, the files that it begins with, and the lock, under another name, and renames it:
   * a folder of this name is always complete. Throws RunInUseError when there is one already.
   */
  static async create(path: string, record: RunRecord, files: Readonly<Record<string, Uint8Array>> = {}): Promise<Run> {
    const folder = resolve(path);
    await refuseExisting(folder);
    const parent = dirname(folder);
    const made = await mkdir(parent, { recursive: true });
    const building = join(parent, `.${basename(folder)}.${randomUUID()}.tmp`);
    try {
      await mkdir(building);
      const lock = await lockContent();
      for (const name of FOLDERS) await mkdir(join(building, name));
      await writeFile(join(building, 'lock'), lock);
      for (const [name, content] of Object.entries(files)) await writeFileAtomic(join(building, name), content);
      await writeFileAtomic(join(building, 'run.json'), recordText(record));
      await rename(building, folder);
      return new Run(folder, record, heldLock(folder, lock));
    } catch (error) {
      await rm(building, { recursive: true, force: true });
      if (made !== undefined) await removeEmpty(parent, made);
      const code = error instanceof Error && 'code' in error ? error.code : undefined;
      if (code === 'ENOTEMPTY' || code === 'EEXIST') throw exists(folder);
      throw error;
    }
  }

  /** Opens and locks an existing run. Throws InputError when it is none, RunInUseError when it is in use. */
  static async open(path: string): Promise<Run> {
    const folder = resolve(path);
    await readRecordText(folder); // what is no run gets no lock file
    const lock = await acquireLock(folder);
    try {
      // Read under the lock: until then another process may have replaced it.
      return new Run(folder, parseRecord(join(folder, 'run.json'), await readRecordText(folder)), lock);
    } catch (error) {
      await lock.release();
      throw error;
    }
  }

  path(...names: string[]): string {
    return join(this.folder, ...names);
  }

  async has(name: string): Promise<boolean> {
    return isThere(this.path(name));
  }

  /** Replaces parts of run.json. */
  async update(change: Partial<Pick<RunRecord, 'teacherSha256'>>): Promise<void> {
    this.current = { ...this.current, ...change };
    await writeFileAtomic(this.path('run.json'), recordText(this.current));
  }

  /** Writes a JSON document, atomically. */
  async writeJson(name: string, document: unknown): Promise<void> {
    await writeFileAtomic(this.path(name), `${JSON.stringify(document, undefined, 2)}\n`);
  }

  /** The teacher's file, which must be the one that the run began with. */
  async loadTeacher(): Promise<Model> {
    const path = this.path('teacher.safetensors');
    const content = await readFile(path).catch(() => undefined);
    const expected = this.current.teacherSha256;
    if (content === undefined) throw new InputError(`${path} is missing; the run needs the teacher that it began with`);
    if (sha256(content) !== expected) {
      throw new InputError(
        `${path} has changed since the run began (SHA-256 ${sha256(content)}, then ${expected}); put the original back or begin a new run`,
      );
    }
    return loadModel(path);
  }

  /** Removes a run that failed before it held any result. */
  async abandon(): Promise<void> {
    await rm(this.folder, { recursive: true, force: true });
  }

  async release(): Promise<void> {
    await this.lock.release();
  }
}

/** The first of `runs/<stem>-1`, `runs/<stem>-2`, ... that does not exist. */
export async function freeRunPath(stem: string): Promise<string> {
  for (let n = 1; ; n++) {
    const path = join('runs', `${stem}-${n}`);
    if (!(await isThere(path))) return path;
  }
}

/** Throws RunInUseError when something of this name exists. */
export async function refuseExisting(path: string): Promise<void> {
  if (await isThere(path)) throw exists(resolve(path));
}

/** Removes `folder` and its parents up to `top`, as far as they are empty: another run may have begun in one of them. */
async function removeEmpty(folder: string, top: string): Promise<void> {
  try {
    await rmdir(folder);
  } catch (error) {
    // Not empty, or not to be removed: then it stays, and so do its parents. The failure that led here is the one to report.
    if (!(error instanceof Error && 'code' in error && error.code === 'ENOENT')) return;
  }
  if (folder !== top) await removeEmpty(dirname(folder), top);
}

const exists = (folder: string): RunInUseError =>
  new RunInUseError(`the run directory ${folder} exists; go on with it by n2n resume ${folder}, or give another name with --run`);

async function isThere(path: string): Promise<boolean> {
  try {
    await access(path);
    return true;
  } catch {
    return false;
  }
}

const recordText = (record: RunRecord): string => `${JSON.stringify(record, undefined, 2)}\n`;

async function readRecordText(folder: string): Promise<string> {
  try {
    return await readFile(join(folder, 'run.json'), 'utf8');
  } catch (error) {
    throw new InputError(
      `${folder} is no run directory: its run.json cannot be read (${error instanceof Error ? error.message : String(error)})`,
    );
  }
}

function parseRecord(path: string, text: string): RunRecord {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (error) {
    throw new InputError(`${path} is damaged: ${error instanceof Error ? error.message : String(error)}`);
  }
  const format = typeof json === 'object' && json !== null && 'format' in json ? json.format : undefined;
  if (typeof format === 'number' && format !== RUN_FORMAT) {
    throw new InputError(`${path} has format ${format}, this version goes on with ${RUN_FORMAT}; begin a new run`);
  }
  const parsed = runRecordSchema.safeParse(json);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  throw new InputError(`${path} is damaged: "${issue?.path.join('.') ?? ''}": ${issue?.message ?? 'not valid'}`);
}
