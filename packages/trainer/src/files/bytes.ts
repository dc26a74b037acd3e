// Reads a model file whole, within bounds.
import { readFile, stat } from 'node:fs/promises';
import { ModelFileError } from './error.js';

/** Largest file that is read into memory: 2 GiB less a byte, the most that Node reads at once and that protobuf allows. */
export const MAX_MODEL_BYTES = 2 ** 31 - 1;

/** The bytes of a regular file; `kind` says in errors what is needed, such as ".onnx". Throws ModelFileError. */
export async function readModelBytes(path: string, kind: string): Promise<Uint8Array> {
  const needed = `${/^\.[aeiou]/.test(kind) ? 'an' : 'a'} ${kind} file is needed`;
  try {
    const status = await stat(path);
    // Asked before opening: opening a pipe or a device could wait for ever.
    if (!status.isFile()) throw new ModelFileError(path, `is not a regular file; ${needed}`);
    if (status.size > MAX_MODEL_BYTES) throw new ModelFileError(path, `holds ${status.size} bytes; at most ${MAX_MODEL_BYTES} are read`);
    return await readFile(path);
  } catch (error) {
    if (error instanceof ModelFileError) throw error;
    const code = error instanceof Error && 'code' in error ? error.code : undefined;
    if (code === 'ENOENT' || code === 'ENOTDIR') throw new ModelFileError(path, `does not exist; ${needed}`, { cause: error });
    if (code === 'EACCES' || code === 'EPERM') throw new ModelFileError(path, 'may not be read by this user', { cause: error });
    throw new ModelFileError(path, `cannot be read: ${error instanceof Error ? error.message : String(error)}`, { cause: error });
  }
}
