// Small binary files of the agent: msgpack with a format and a check around it, written so that no reader sees half of one.
import { randomUUID } from 'node:crypto';
import { open, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { crc32 } from 'node:zlib';
import { Packr } from 'msgpackr';

/** A snapshot or a file of policies that cannot be read; exit code 3. */
export class SnapshotError extends Error {
  override readonly name = 'SnapshotError';
}

const packr = new Packr({ useRecords: false });

interface Packed {
  /** What is inside, such as `search-state/2`. */
  readonly format: string;
  readonly check: number;
  readonly body: Uint8Array;
}

/** `body` is plain data and byte arrays. */
export function pack(format: string, body: unknown): Uint8Array {
  const bytes = packr.pack(body);
  return packr.pack({ format, check: crc32(bytes), body: bytes } satisfies Packed);
}

/** The body of what `pack` made with this format, which is all that is known of it. Throws SnapshotError, ending in `advice`. */
export function unpack(content: Uint8Array, format: string, name: string, advice: string): unknown {
  const refuse = (why: string): never => {
    throw new SnapshotError(`${name}: ${why}; ${advice}`);
  };
  let packed: Partial<Packed>;
  try {
    packed = packr.unpack(content) as Partial<Packed>;
  } catch {
    return refuse('it is damaged or cut short');
  }
  if (typeof packed !== 'object' || packed === null || !(packed.body instanceof Uint8Array))
    return refuse('it is damaged or of another kind');
  if (packed.format !== format) return refuse(`it has format ${packed.format}, this version reads ${format}`);
  if (crc32(packed.body) !== packed.check) return refuse('its content does not fit its check');
  return packr.unpack(packed.body) as unknown;
}

/** Writes a file so that a reader, also after a crash, sees either the old content or the new one. */
export async function replaceFile(path: string, content: Uint8Array): Promise<void> {
  const temporary = `${path}.${randomUUID()}.tmp`;
  try {
    const file = await open(temporary, 'wx');
    try {
      await file.writeFile(content);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(temporary, path);
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
  await syncDirectory(dirname(path));
}

/** Makes the rename itself durable. */
async function syncDirectory(path: string): Promise<void> {
  const directory = await open(path, 'r');
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}

/** Little-endian bytes, whatever the machine's order. */
export function toBytes(values: Float64Array): Uint8Array {
  const bytes = new Uint8Array(values.length * 8);
  const view = new DataView(bytes.buffer);
  for (const [i, value] of values.entries()) view.setFloat64(8 * i, value, true);
  return bytes;
}

export function toDoubles(bytes: Uint8Array): Float64Array {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return Float64Array.from({ length: bytes.length / 8 }, (_, i) => view.getFloat64(8 * i, true));
}
