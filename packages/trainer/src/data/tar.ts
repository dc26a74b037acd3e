// TAR archives (POSIX ustar, with pax and GNU long names), gzip or not, read from memory: entries are slices, nothing is written.
// A name that leaves the archive is refused; links and devices are passed over.
import { gunzipSync } from 'node:zlib';
import { DataError } from './dataset.js';
import { errorCode, MAX_FILE_BYTES, readWhole } from './read.js';

const BLOCK = 512;
const MAX_ENTRIES = 2 ** 22;
/** A longer name record is no name. */
const MAX_NAME_BYTES = 2 ** 16;

export interface TarEntry {
  /** Relative, with "/" between the names, without "." or "..". */
  readonly path: string;
  readonly kind: 'file' | 'folder';
  readonly bytes: Uint8Array;
}

/** The files and folders of an archive, in its order. */
export async function readTar(path: string): Promise<TarEntry[]> {
  const stored = await readWhole(path);
  return parseTar(path, stored[0] === 0x1f && stored[1] === 0x8b ? gunzip(path, stored) : stored);
}

function gunzip(path: string, stored: Uint8Array): Uint8Array {
  try {
    return gunzipSync(stored, { maxOutputLength: MAX_FILE_BYTES });
  } catch (error) {
    const detail =
      errorCode(error) === 'ERR_BUFFER_TOO_LARGE'
        ? `unpacks to more than ${MAX_FILE_BYTES} bytes (1 GiB), the most that is read`
        : undefined;
    throw new DataError(
      path,
      detail ?? `is a damaged gzip file (${error instanceof Error ? error.message : String(error)}); get it again`,
      {
        cause: error,
      },
    );
  }
}

function parseTar(path: string, bytes: Uint8Array): TarEntry[] {
  const entries: TarEntry[] = [];
  let longName: string | undefined;
  for (let at = 0; ;) {
    if (at + BLOCK > bytes.length) throw new DataError(path, `truncated TAR: ends at byte ${bytes.length}, where a header should be`);
    const header = bytes.subarray(at, at + BLOCK);
    // A block of zeros ends the archive.
    if (header.every((byte) => byte === 0)) return entries;
    checkHeader(path, header, at);
    const size = octal(path, header.subarray(124, 136), at);
    if (size > bytes.length - at - BLOCK) throw new DataError(path, `truncated TAR: the entry at byte ${at} declares ${size} bytes`);
    const content = bytes.subarray(at + BLOCK, at + BLOCK + size);
    const type = String.fromCharCode(header[156] ?? 0);
    if (type === 'L' || type === 'x') {
      if (size > MAX_NAME_BYTES)
        throw new DataError(path, `the name record at byte ${at} declares ${size} bytes; at most ${MAX_NAME_BYTES} are read`);
      longName = type === 'L' ? text(content) : (paxPath(content) ?? longName);
    } else if (type !== 'g') {
      if (entries.length === MAX_ENTRIES) throw new DataError(path, `holds more than ${MAX_ENTRIES} entries; that many are read`);
      const name = safePath(path, longName ?? headerName(header), at);
      longName = undefined;
      const kind = type === '0' || type === '\0' ? 'file' : type === '5' ? 'folder' : undefined;
      if (kind !== undefined && name !== '') entries.push({ path: name, kind, bytes: content });
    }
    at += BLOCK + Math.ceil(size / BLOCK) * BLOCK;
  }
}

/** Up to the first NUL. */
function text(bytes: Uint8Array): string {
  const end = bytes.indexOf(0);
  return Buffer.from(end < 0 ? bytes : bytes.subarray(0, end)).toString('utf8');
}

function headerName(header: Uint8Array): string {
  const prefix = text(header.subarray(257, 262)) === 'ustar' && header[262] === 0 ? text(header.subarray(345, 500)) : '';
  const name = text(header.subarray(0, 100));
  return prefix === '' ? name : `${prefix}/${name}`;
}

function checkHeader(path: string, header: Uint8Array, at: number): void {
  let sum = 0;
  // The checksum counts as eight spaces in its own sum.
  for (let i = 0; i < BLOCK; i++) sum += i >= 148 && i < 156 ? 32 : (header[i] ?? 0);
  if (sum !== octal(path, header.subarray(148, 156), at))
    throw new DataError(path, `is no TAR or is damaged: the header at byte ${at} has a wrong checksum`);
}

function octal(path: string, bytes: Uint8Array, at: number): number {
  const digits = text(bytes).trim();
  if (!/^[0-7]{1,12}$/.test(digits))
    throw new DataError(path, `is no TAR or is damaged: the header at byte ${at} has a number that is not octal`);
  return Number.parseInt(digits, 8);
}

/** The path in a pax header: records of "LENGTH key=value" and a line feed. */
function paxPath(content: Uint8Array): string | undefined {
  return /(?:^|\n)\d+ path=([^\n]*)\n/.exec(Buffer.from(content).toString('utf8'))?.[1];
}

function safePath(path: string, name: string, at: number): string {
  const parts = name.split('/').filter((part) => part !== '' && part !== '.');
  if (name.startsWith('/') || parts.includes('..') || /[\\\0]/.test(name)) {
    throw new DataError(path, `the entry at byte ${at} is called ${JSON.stringify(name)}, which leads out of the archive`);
  }
  return parts.join('/');
}
