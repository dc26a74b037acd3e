// The state of a search after an update, in one small file that is replaced atomically. It saves replaying the journal from
// its start; without it a search is resumed all the same, from the journal alone.
import { randomUUID } from 'node:crypto';
import { open, readFile, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { crc32 } from 'node:zlib';
import type { NetworkSpec } from '@n2n/trainer/network';
import { Packr } from 'msgpackr';
import type { AdamState } from './nn/adam.js';

/** Everything that the search carries from one update to the next and that is not in the journal. */
export interface SearchState {
  /** Number of journal records that the state includes. */
  readonly sequence: number;
  /** Index into the search's stages. */
  readonly stage: number;
  /** The stage's next update. */
  readonly update: number;
  /** The network that the stage started from. */
  readonly base: NetworkSpec;
  /** The policy's parameters, [parameters]. */
  readonly policy: Float64Array;
  readonly optimiser: AdamState;
  /** The moving-average baseline; null before the first update. */
  readonly baseline: number | null;
}

/** Where the search keeps its state. */
export interface SnapshotStore {
  load(): Promise<SearchState | undefined>;
  save(state: SearchState): Promise<void>;
}

/** A snapshot that cannot be read; exit code 3. */
export class SnapshotError extends Error {
  override readonly name = 'SnapshotError';
}

const FORMAT = 1;
const packr = new Packr({ useRecords: false });

interface Packed {
  readonly format: number;
  readonly check: number;
  readonly body: Uint8Array;
}

type Body = Omit<SearchState, 'policy' | 'optimiser'> & {
  readonly policy: Uint8Array;
  readonly optimiser: { readonly steps: number; readonly first: Uint8Array; readonly second: Uint8Array };
};

export function encodeSnapshot({ policy, optimiser, ...rest }: SearchState): Uint8Array {
  const { steps, first, second } = optimiser;
  const body: Body = { ...rest, policy: toBytes(policy), optimiser: { steps, first: toBytes(first), second: toBytes(second) } };
  const bytes = packr.pack(body);
  return packr.pack({ format: FORMAT, check: crc32(bytes), body: bytes } satisfies Packed);
}

export function decodeSnapshot(content: Uint8Array, name = 'snapshot'): SearchState {
  const refuse = (why: string): never => {
    throw new SnapshotError(`${name}: ${why}; delete it to have the search replayed from its journal`);
  };
  let packed: Partial<Packed>;
  try {
    packed = packr.unpack(content) as Partial<Packed>;
  } catch {
    return refuse('it is no snapshot or is cut short');
  }
  if (typeof packed !== 'object' || packed === null || !(packed.body instanceof Uint8Array)) return refuse('it is no snapshot');
  if (packed.format !== FORMAT) return refuse(`it has format ${packed.format}, this version reads ${FORMAT}`);
  if (crc32(packed.body) !== packed.check) return refuse('its content does not fit its check');
  const { policy, optimiser, ...rest } = packr.unpack(packed.body) as Body;
  const { steps, first, second } = optimiser;
  return { ...rest, policy: toDoubles(policy), optimiser: { steps, first: toDoubles(first), second: toDoubles(second) } };
}

/** A store in one file; a save writes a temporary file beside it, flushes it and renames it over the old one. */
export function fileSnapshot(path: string): SnapshotStore {
  return {
    load: async () => {
      let content: Uint8Array;
      try {
        content = await readFile(path);
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
        throw error;
      }
      return decodeSnapshot(content, path);
    },
    save: (state) => replaceFile(path, encodeSnapshot(state)),
  };
}

/** Writes a file so that a reader, also after a crash, sees either the old content or the new one. */
async function replaceFile(path: string, content: Uint8Array): Promise<void> {
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
function toBytes(values: Float64Array): Uint8Array {
  const bytes = new Uint8Array(values.length * 8);
  const view = new DataView(bytes.buffer);
  for (const [i, value] of values.entries()) view.setFloat64(8 * i, value, true);
  return bytes;
}

function toDoubles(bytes: Uint8Array): Float64Array {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return Float64Array.from({ length: bytes.length / 8 }, (_, i) => view.getFloat64(8 * i, true));
}
