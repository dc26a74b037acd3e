// Reads one data file of known size, gzip or not (told by its first bytes, not by its name), within fixed limits.
import { readdir, readFile, stat } from 'node:fs/promises';
import { constants, gunzipSync } from 'node:zlib';
import { DataError } from './dataset.js';

/** Largest data file, packed or unpacked, that is read into memory: 1 GiB (MNIST's largest is 47 MB). */
export const MAX_FILE_BYTES = 2 ** 30;

/** Packed bytes that are unpacked first, to see a file's header; deflate expands at most 1032 times, so to 4 MB at most. */
const HEAD_BYTES = 4096;

/** A file's header says how long the file must be, so that a wrong or hostile one is refused before it is unpacked. */
export interface SizedFormat {
  readonly headerBytes: number;
  /** What a good file is called in an error: "IDX images". */
  readonly what: string;
  /** Exact size in bytes of the unpacked file with this header. Throws DataError for a header of something else. */
  sizeBytes(header: Uint8Array): number;
}

/** The whole unpacked content, exactly as long as its header says. */
export async function readSizedFile(path: string, format: SizedFormat): Promise<Uint8Array> {
  const stored = await readWhole(path);
  const packed = isGzip(stored);
  const head = packed ? gunzipHead(path, stored) : stored.subarray(0, format.headerBytes);
  if (head.length < format.headerBytes) {
    throw new DataError(
      path,
      `holds ${head.length} bytes${packed ? ' unpacked' : ''}; ${format.what} begin with a header of ${format.headerBytes} bytes`,
    );
  }
  const sizeBytes = format.sizeBytes(head.subarray(0, format.headerBytes));
  if (sizeBytes > MAX_FILE_BYTES) {
    throw new DataError(path, `its header asks for ${sizeBytes} bytes; at most ${MAX_FILE_BYTES} (1 GiB) are read`);
  }
  const content = packed ? gunzipExactly(path, stored, sizeBytes, format) : stored;
  if (content.length < sizeBytes) {
    throw new DataError(path, `truncated: holds ${content.length} bytes${packed ? ' unpacked' : ''}, its header asks for ${sizeBytes}`);
  }
  if (content.length > sizeBytes) throw trailing(path, content.length - sizeBytes, sizeBytes);
  return content;
}

/** The file's bytes as stored. Refuses what is missing, no regular file, empty or over the limit. */
export async function readWhole(path: string): Promise<Uint8Array> {
  let size: number;
  try {
    const status = await stat(path);
    // Asked before opening: opening a pipe or a device could wait for ever.
    if (!status.isFile()) throw new DataError(path, 'is not a regular file; a data file is needed');
    size = status.size;
  } catch (error) {
    throw asDataError(path, error);
  }
  if (size === 0) throw new DataError(path, 'is empty; a data file is needed');
  if (size > MAX_FILE_BYTES) throw new DataError(path, `holds ${size} bytes; at most ${MAX_FILE_BYTES} (1 GiB) are read`);
  try {
    const buffer = await readFile(path);
    return new Uint8Array(buffer.buffer, buffer.byteOffset, buffer.length);
  } catch (error) {
    throw asDataError(path, error);
  }
}

/** A file system error in the words of a data set's user. */
export function asDataError(path: string, error: unknown): DataError {
  if (error instanceof DataError) return error;
  const code = errorCode(error);
  if (code === 'ENOENT' || code === 'ENOTDIR') return new DataError(path, 'does not exist', { cause: error });
  if (code === 'EACCES' || code === 'EPERM') return new DataError(path, 'may not be read by this user', { cause: error });
  return new DataError(path, `cannot be read: ${error instanceof Error ? error.message : String(error)}`, { cause: error });
}

export function errorCode(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined;
}

function isGzip(bytes: Uint8Array): boolean {
  return bytes[0] === 0x1f && bytes[1] === 0x8b;
}

function gunzipHead(path: string, stored: Uint8Array): Uint8Array {
  try {
    // A flush instead of a finish: unpack what these bytes give, without asking for the end of the stream.
    return gunzipSync(stored.subarray(0, HEAD_BYTES), { finishFlush: constants.Z_SYNC_FLUSH });
  } catch (error) {
    throw badGzip(path, error);
  }
}

function gunzipExactly(path: string, stored: Uint8Array, sizeBytes: number, format: SizedFormat): Uint8Array {
  let unpacked: Uint8Array;
  let bytesUsed: number;
  try {
    // The declared types leave out the result of `info`.
    const result = gunzipSync(stored, { maxOutputLength: sizeBytes, info: true }) as unknown as {
      buffer: Uint8Array;
      engine: { bytesWritten: number };
    };
    unpacked = result.buffer;
    bytesUsed = result.engine.bytesWritten;
  } catch (error) {
    if (errorCode(error) === 'ERR_BUFFER_TOO_LARGE') {
      throw new DataError(path, `unpacks to more than the ${sizeBytes} bytes that the header of these ${format.what} asks for`, {
        cause: error,
      });
    }
    throw badGzip(path, error);
  }
  if (bytesUsed < stored.length)
    throw new DataError(path, `has ${stored.length - bytesUsed} bytes after the end of its gzip stream; there must be none`);
  return new Uint8Array(unpacked.buffer, unpacked.byteOffset, unpacked.length);
}

function badGzip(path: string, error: unknown): DataError {
  const detail = error instanceof Error ? error.message : String(error);
  return new DataError(path, `is a damaged gzip file (${detail}); get it again`, {
    cause: error,
  });
}

function trailing(path: string, extra: number, sizeBytes: number): DataError {
  return new DataError(path, `has ${extra} trailing bytes: its header asks for ${sizeBytes} bytes and nothing after them`);
}

/** False for what does not exist. */
export async function isFolder(path: string): Promise<boolean> {
  try {
    return (await stat(path)).isDirectory();
  } catch (error) {
    const code = errorCode(error);
    if (code === 'ENOENT' || code === 'ENOTDIR') return false;
    throw asDataError(path, error);
  }
}

export async function listFolder(folder: string): Promise<Set<string>> {
  try {
    return new Set(await readdir(folder));
  } catch (error) {
    throw asDataError(folder, error);
  }
}
