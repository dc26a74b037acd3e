// Writes a file so that its name always holds either the old content or the whole new one.
import { randomUUID } from 'node:crypto';
import { open, rename, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';

/** A file that could not be written; nothing is left behind and an old file of that name is untouched. */
export class FileWriteError extends Error {
  override readonly name = 'FileWriteError';
  constructor(
    readonly path: string,
    message: string,
    options?: ErrorOptions,
  ) {
    super(`${path}: ${message}`, options);
  }
}

/**
 * Writes `data` (bytes, parts of bytes, or text as UTF-8) under a temporary name in the same folder, waits until it is on
 * the disk, and renames it. The folder must exist. Throws FileWriteError.
 */
export async function writeFileAtomic(path: string, data: string | Uint8Array | readonly Uint8Array[]): Promise<void> {
  const folder = dirname(path);
  const temporary = join(folder, `.${basename(path)}.${randomUUID()}.tmp`);
  try {
    await writeDurably(temporary, data);
    await rename(temporary, path);
  } catch (error) {
    // Where even this fails (the folder is a file), the first error says why.
    await rm(temporary, { force: true }).catch(() => undefined);
    throw writeError(path, folder, error);
  }
  await flushFolder(folder);
}

async function writeDurably(path: string, data: string | Uint8Array | readonly Uint8Array[]): Promise<void> {
  const file = await open(path, 'wx');
  try {
    const parts = typeof data === 'string' || data instanceof Uint8Array ? [data] : data;
    for (const part of parts) await file.writeFile(part);
    await file.sync();
  } finally {
    await file.close();
  }
}

/** Makes the rename itself durable. A file system that cannot flush folders has still got the file right. */
export async function flushFolder(folder: string): Promise<void> {
  try {
    const handle = await open(folder, 'r');
    try {
      await handle.sync();
    } finally {
      await handle.close();
    }
  } catch {
    // The content is complete under its name; only its survival of a power cut in the next seconds is not promised.
  }
}

/** What `write`, which writes `path`, returns; a file system error of it becomes a FileWriteError. */
export async function writing<T>(path: string, write: () => Promise<T>): Promise<T> {
  try {
    return await write();
  } catch (error) {
    throw error instanceof Error && 'syscall' in error ? writeError(path, dirname(path), error) : error;
  }
}

function writeError(path: string, folder: string, error: unknown): FileWriteError {
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  const cause = { cause: error };
  if (code === 'ENOENT') return new FileWriteError(path, `cannot be written: the folder ${folder} does not exist; make it first`, cause);
  if (code === 'ENOTDIR') return new FileWriteError(path, `cannot be written: ${folder} is not a folder`, cause);
  if (code === 'EISDIR') return new FileWriteError(path, 'cannot be written: it is a folder; give a file name', cause);
  if (code === 'ENOSPC') return new FileWriteError(path, 'cannot be written: the disk is full', cause);
  if (code === 'EACCES' || code === 'EPERM' || code === 'EROFS') {
    return new FileWriteError(path, `cannot be written: this user may not write into ${folder}`, cause);
  }
  return new FileWriteError(path, `cannot be written: ${error instanceof Error ? error.message : String(error)}`, cause);
}
