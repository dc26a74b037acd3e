// ZIP archives as NumPy writes them (PKWARE's APPNOTE 6.3): stored or deflated entries, found through the central directory.
// Sizes are checked against fixed limits before anything is unpacked, and checksums after. No zip64: the archives are below 1 GiB.
import { crc32 } from 'node:zlib';
import { DataError } from './dataset.js';
import { inflateExactly } from './inflate.js';
import { MAX_FILE_BYTES, readWhole } from './read.js';

const LOCAL_SIGNATURE = 0x04034b50;
const CENTRAL_SIGNATURE = 0x02014b50;
const END_SIGNATURE = 0x06054b50;
const END_BYTES = 22;
/** A comment after the end record has at most so many bytes. */
const MAX_COMMENT = 0xffff;
const MAX_ENTRIES = 256;

interface Entry {
  readonly name: string;
  readonly encrypted: boolean;
  readonly method: number;
  readonly crc: number;
  readonly packedBytes: number;
  readonly sizeBytes: number;
  readonly headerAt: number;
}

/** An archive whose directory has been read; entries are unpacked one by one. */
export class ZipFile {
  readonly #bytes: Uint8Array;
  readonly #entries: ReadonlyMap<string, Entry>;

  private constructor(
    readonly path: string,
    bytes: Uint8Array,
    entries: ReadonlyMap<string, Entry>,
  ) {
    this.#bytes = bytes;
    this.#entries = entries;
  }

  static async open(path: string): Promise<ZipFile> {
    const bytes = await readWhole(path);
    return new ZipFile(path, bytes, readDirectory(path, bytes));
  }

  get names(): string[] {
    return [...this.#entries.keys()];
  }

  /** The unpacked content of an entry. Throws DataError when there is no such entry. */
  read(name: string): Uint8Array {
    const entry = this.#entries.get(name);
    if (entry === undefined)
      throw new DataError(this.path, `holds no "${name}"; it holds ${this.names.slice(0, 8).join(', ') || 'nothing'}`);
    const place = `"${name}"`;
    if (entry.encrypted) throw new DataError(this.path, `${place} is encrypted; it needs to be readable without a password`);
    const packed = this.#packed(entry, place);
    if (entry.method !== 0 && entry.method !== 8) {
      throw new DataError(this.path, `${place} is packed by method ${entry.method}; stored (0) and deflated (8) entries are read`);
    }
    if (entry.method === 0 && entry.sizeBytes !== entry.packedBytes) {
      throw new DataError(this.path, `${place} is stored in ${entry.packedBytes} bytes, but declares ${entry.sizeBytes}`);
    }
    const content =
      entry.method === 0 ? packed : inflateExactly({ path: this.path, place, bytes: packed, wrapped: false }, entry.sizeBytes);
    if (crc32(content) !== entry.crc) throw new DataError(this.path, `${place} has a wrong checksum: it is damaged; get it again`);
    return content;
  }

  #packed({ headerAt, packedBytes }: Entry, place: string): Uint8Array {
    const view = viewOf(this.#bytes);
    if (headerAt + 30 > view.byteLength || view.getUint32(headerAt, true) !== LOCAL_SIGNATURE) {
      throw new DataError(this.path, `${place}: no entry begins at byte ${headerAt}, where the directory says`);
    }
    const begin = headerAt + 30 + view.getUint16(headerAt + 26, true) + view.getUint16(headerAt + 28, true);
    if (begin + packedBytes > view.byteLength) throw new DataError(this.path, `${place} reaches beyond the end of the file`);
    return this.#bytes.subarray(begin, begin + packedBytes);
  }
}

const viewOf = (bytes: Uint8Array): DataView => new DataView(bytes.buffer, bytes.byteOffset, bytes.length);

function readDirectory(path: string, bytes: Uint8Array): Map<string, Entry> {
  const view = viewOf(bytes);
  const end = findEnd(path, view);
  const count = view.getUint16(end + 10, true);
  const sizeBytes = view.getUint32(end + 12, true);
  let at = view.getUint32(end + 16, true);
  if (count > MAX_ENTRIES) throw new DataError(path, `declares ${count} entries; at most ${MAX_ENTRIES} are read, and no zip64`);
  if (at + sizeBytes > end) throw new DataError(path, `its directory of ${sizeBytes} bytes at byte ${at} reaches beyond its end`);
  const limit = at + sizeBytes;
  const entries = new Map<string, Entry>();
  let total = 0;
  for (let i = 0; i < count; i++) {
    if (at + 46 > limit || view.getUint32(at, true) !== CENTRAL_SIGNATURE) {
      throw new DataError(path, `entry ${i} of ${count} in its directory is damaged or missing (byte ${at})`);
    }
    const nameBytes = view.getUint16(at + 28, true);
    const next = at + 46 + nameBytes + view.getUint16(at + 30, true) + view.getUint16(at + 32, true);
    if (next > limit) throw new DataError(path, `entry ${i} of ${count} reaches beyond the directory (byte ${at})`);
    const name = Buffer.from(bytes.subarray(at + 46, at + 46 + nameBytes)).toString('utf8');
    const entry = readEntry(view, at, name);
    total += entry.sizeBytes;
    if (total > MAX_FILE_BYTES) throw new DataError(path, `declares ${total} unpacked bytes; at most ${MAX_FILE_BYTES} (1 GiB) are read`);
    if (entries.has(name)) throw new DataError(path, `holds "${name}" twice`);
    entries.set(name, entry);
    at = next;
  }
  return entries;
}

function readEntry(view: DataView, at: number, name: string): Entry {
  return {
    name,
    encrypted: (view.getUint16(at + 8, true) & 1) !== 0,
    method: view.getUint16(at + 10, true),
    crc: view.getUint32(at + 16, true),
    packedBytes: view.getUint32(at + 20, true),
    sizeBytes: view.getUint32(at + 24, true),
    headerAt: view.getUint32(at + 42, true),
  };
}

function findEnd(path: string, view: DataView): number {
  const least = Math.max(0, view.byteLength - END_BYTES - MAX_COMMENT);
  for (let at = view.byteLength - END_BYTES; at >= least; at--) {
    if (view.getUint32(at, true) === END_SIGNATURE) return at;
  }
  throw new DataError(path, 'is no ZIP archive or is truncated: it has no end-of-directory record');
}
