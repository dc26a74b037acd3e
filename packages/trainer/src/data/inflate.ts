// Unpacks deflate streams whose unpacked size is known beforehand, so that nothing unpacks to more than was agreed to.
import { constants, inflateRawSync, inflateSync } from 'node:zlib';
import { DataError } from './dataset.js';
import { errorCode } from './read.js';

/** A packed part of a file, and where it lies, for errors: "variable at byte 128". */
export interface Packed {
  readonly path: string;
  readonly place: string;
  readonly bytes: Uint8Array;
  /** With zlib's two-byte header and checksum, or bare. */
  readonly wrapped: boolean;
}

/** The whole unpacked content: exactly `sizeBytes`. */
export function inflateExactly({ path, place, bytes, wrapped }: Packed, sizeBytes: number): Uint8Array {
  let content: Buffer;
  try {
    // zlib takes no limit of 0.
    content = (wrapped ? inflateSync : inflateRawSync)(bytes, { maxOutputLength: Math.max(1, sizeBytes) });
  } catch (error) {
    if (errorCode(error) === 'ERR_BUFFER_TOO_LARGE') {
      throw new DataError(path, `${place} unpacks to more than the ${sizeBytes} bytes that it declares`, { cause: error });
    }
    throw damaged(path, place, error);
  }
  if (content.length !== sizeBytes) {
    throw new DataError(path, `${place} unpacks to ${content.length} bytes; it declares ${sizeBytes}`);
  }
  return new Uint8Array(content.buffer, content.byteOffset, content.length);
}

/** Packed bytes that are enough for any header; deflate expands at most 1032 times, so to 265 kB. */
const HEAD_BYTES = 256;

/** What the first packed bytes give. */
export function inflateHead({ path, place, bytes, wrapped }: Packed): Uint8Array {
  try {
    return (wrapped ? inflateSync : inflateRawSync)(bytes.subarray(0, HEAD_BYTES), { finishFlush: constants.Z_SYNC_FLUSH });
  } catch (error) {
    throw damaged(path, place, error);
  }
}

function damaged(path: string, place: string, error: unknown): DataError {
  return new DataError(path, `${place} is damaged (${error instanceof Error ? error.message : String(error)}); get it again`, {
    cause: error,
  });
}
