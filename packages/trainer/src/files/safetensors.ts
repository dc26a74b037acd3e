// Safetensors files (github.com/huggingface/safetensors): a u64 little-endian header length, a JSON header, then the
// tensors' bytes one after the other. The header maps a tensor's name to {dtype, shape, data_offsets: [begin, end)}, with
// offsets from the header's end, and "__metadata__" to texts. A file comes from anywhere, so everything in it is checked.
import { writeFileAtomic } from './atomic.js';
import { readModelBytes } from './bytes.js';
import { FLOAT_FORMATS, isFloatFormat, type FloatFormatName } from './dtypes.js';
import { ModelFileError } from './error.js';
import { parseStrictJson } from './json-text.js';

/** Largest header, as in the reference implementation. */
export const MAX_HEADER_BYTES = 100_000_000;
/** Most dimensions of a tensor; a convolution's weights have four. */
const MAX_DIMENSIONS = 64;

export interface TensorData {
  /** Outermost dimension first, row-major; [] for a single number. */
  readonly shape: readonly number[];
  readonly data: Float32Array;
}

export interface ReadTensor extends TensorData {
  /** Format in the file; `data` is float32 whatever it was. */
  readonly dtype: FloatFormatName;
}

export interface Safetensors {
  readonly tensors: Map<string, ReadTensor>;
  readonly metadata: Record<string, string>;
}

interface Entry {
  readonly name: string;
  readonly dtype: FloatFormatName;
  readonly shape: readonly number[];
  readonly begin: number;
  readonly end: number;
}

/** Reads and checks a file, or bytes that are one. Throws ModelFileError. */
export async function readSafetensors(source: string | Uint8Array): Promise<Safetensors> {
  if (typeof source !== 'string') return parseSafetensors(source, 'safetensors bytes');
  return parseSafetensors(await readModelBytes(source, '.safetensors'), source);
}

/** The tensors and metadata in `bytes`; `path` names them in errors. The tensors are copies. */
export function parseSafetensors(bytes: Uint8Array, path: string): Safetensors {
  const { header, data } = splitHeader(bytes, path);
  const entries: Entry[] = [];
  let metadata: Record<string, string> = {};
  for (const [name, value] of Object.entries(header)) {
    if (name === '__metadata__') metadata = parseMetadata(value, path);
    else entries.push(parseEntry(name, value, path));
  }
  checkExtents(entries, data.length, path);
  const tensors = new Map<string, ReadTensor>();
  for (const { name, dtype, shape, begin, end } of entries) {
    tensors.set(name, { dtype, shape, data: FLOAT_FORMATS[dtype].decode(data.subarray(begin, end)) });
  }
  return { tensors, metadata };
}

function splitHeader(bytes: Uint8Array, path: string): { header: Record<string, unknown>; data: Uint8Array } {
  if (bytes.length < 8)
    throw new ModelFileError(path, `holds ${bytes.length} bytes; a safetensors file begins with 8 bytes of header length`);
  const length = Number(new DataView(bytes.buffer, bytes.byteOffset, 8).getBigUint64(0, true));
  if (length > MAX_HEADER_BYTES) {
    throw new ModelFileError(
      path,
      `its first 8 bytes ask for a header of ${length} bytes, and at most ${MAX_HEADER_BYTES} are allowed; this is no safetensors file`,
    );
  }
  if (length > bytes.length - 8) {
    throw new ModelFileError(
      path,
      `truncated or no safetensors file: its first 8 bytes ask for a header of ${length} bytes, but ${bytes.length - 8} follow`,
    );
  }
  return { header: parseHeader(bytes.subarray(8, 8 + length), path), data: bytes.subarray(8 + length) };
}

function parseHeader(bytes: Uint8Array, path: string): Record<string, unknown> {
  if (bytes[0] !== 0x7b) throw new ModelFileError(path, 'its header does not begin with "{"; this is no safetensors file');
  let header: unknown;
  try {
    const text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
    header = parseStrictJson(text);
  } catch (error) {
    const detail = error instanceof SyntaxError ? `not valid JSON (${error.message})` : 'not valid UTF-8';
    throw new ModelFileError(path, `its header is ${detail}; the file is damaged or no safetensors file`, { cause: error });
  }
  // JSON that begins with "{" is an object.
  return header as Record<string, unknown>;
}

function parseMetadata(value: unknown, path: string): Record<string, string> {
  if (!isRecord(value)) throw new ModelFileError(path, `__metadata__ is ${describe(value)}; it must be an object of texts`);
  const entries = Object.entries(value).map(([key, text]): [string, string] => {
    if (typeof text !== 'string')
      throw new ModelFileError(path, `__metadata__ entry ${quote(key)} is ${describe(text)}; it must be a text`);
    return [key, text];
  });
  return Object.fromEntries(entries);
}

function parseEntry(name: string, value: unknown, path: string): Entry {
  const fail = (problem: string): never => {
    throw new ModelFileError(path, `tensor ${quote(name)} ${problem}`);
  };
  if (!isRecord(value)) return fail(`is described by ${describe(value)}; it must be an object with dtype, shape and data_offsets`);
  const unknown = Object.keys(value).find((key) => !['dtype', 'shape', 'data_offsets'].includes(key));
  if (unknown !== undefined) return fail(`has the unknown property ${quote(unknown)}; dtype, shape and data_offsets are known`);
  const { dtype, shape, data_offsets: offsets } = value;
  if (typeof dtype !== 'string' || !isFloatFormat(dtype)) {
    return fail(`has dtype ${describe(dtype)}; n2n reads ${Object.keys(FLOAT_FORMATS).join(', ')}`);
  }
  if (!isSizes(shape) || shape.length > MAX_DIMENSIONS) {
    return fail(`has shape ${describe(shape)}; it must be a list of at most ${MAX_DIMENSIONS} integers of 0 or more`);
  }
  if (!isSizes(offsets) || offsets.length !== 2)
    return fail(`has data_offsets ${describe(offsets)}; they must be [begin, end], integers of 0 or more`);
  const [begin = 0, end = 0] = offsets;
  if (begin > end) return fail(`has data_offsets [${begin}, ${end}]; the end must not come before the begin`);
  const sizeBytes = shape.reduce((product, side) => product * side, FLOAT_FORMATS[dtype].sizeBytes);
  if (sizeBytes !== end - begin) {
    return fail(
      `has shape ${describe(shape)} in ${dtype}, which takes ${sizeBytes} bytes, but data_offsets [${begin}, ${end}] give ${end - begin}`,
    );
  }
  return { name, dtype, shape, begin, end };
}

/** The tensors must fill the data exactly: in order of their begin, each starts where the one before it ends. */
function checkExtents(entries: readonly Entry[], dataBytes: number, path: string): void {
  let filled = 0;
  for (const { name, begin, end } of entries.toSorted((a, b) => a.begin - b.begin || a.end - b.end)) {
    if (end > dataBytes) {
      throw new ModelFileError(
        path,
        `truncated: tensor ${quote(name)} ends at byte ${end} of the data, but the file holds ${dataBytes} bytes of it`,
      );
    }
    if (begin < filled)
      throw new ModelFileError(
        path,
        `tensor ${quote(name)} begins at byte ${begin} of the data, inside another one that ends at ${filled}; tensors must not overlap`,
      );
    if (begin > filled)
      throw new ModelFileError(
        path,
        `no tensor covers bytes ${filled} to ${begin} of the data, before ${quote(name)}; there must be no holes`,
      );
    filled = end;
  }
  if (filled < dataBytes) throw new ModelFileError(path, `has ${dataBytes - filled} bytes after its last tensor; there must be none`);
}

/**
 * Writes tensors as F32 and texts as metadata, atomically. The same content gives the same bytes, whatever the order in
 * which it was put in: names are sorted by code unit, and spaces pad the header so that the data starts at a multiple of 8.
 */
export async function writeSafetensors(
  path: string,
  tensors: ReadonlyMap<string, TensorData>,
  metadata: Readonly<Record<string, string>> = {},
): Promise<void> {
  await writeFileAtomic(path, encodeSafetensors(tensors, metadata));
}

/** The bytes of a file, in parts: header length, header, then each tensor. */
export function encodeSafetensors(tensors: ReadonlyMap<string, TensorData>, metadata: Readonly<Record<string, string>>): Uint8Array[] {
  const header: [string, unknown][] = [];
  if (Object.keys(metadata).length > 0) header.push(['__metadata__', Object.fromEntries(sorted(Object.entries(metadata)))]);
  const parts: Uint8Array[] = [];
  let begin = 0;
  for (const [name, { shape, data }] of sorted([...tensors])) {
    const elements = shape.reduce((product, side) => product * side, 1);
    if (name === '__metadata__')
      throw new RangeError('writeSafetensors: "__metadata__" is no name for a tensor: the format keeps it for texts');
    if (!isSizes(shape) || shape.length > MAX_DIMENSIONS || elements !== data.length) {
      throw new RangeError(
        `writeSafetensors: tensor ${quote(name)} has shape [${shape.join(', ')}] and ${data.length} elements; they must agree`,
      );
    }
    header.push([name, { dtype: 'F32', shape, data_offsets: [begin, begin + data.byteLength] }]);
    parts.push(new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
    begin += data.byteLength;
  }
  const text = new TextEncoder().encode(headerText(header));
  const padded = new Uint8Array(Math.ceil(text.length / 8) * 8).fill(0x20);
  padded.set(text);
  const length = new Uint8Array(8);
  new DataView(length.buffer).setBigUint64(0, BigInt(padded.length), true);
  return [length, padded, ...parts];
}

/** JSON of the entries in their order; an object would put keys that look like integers first. */
function headerText(entries: readonly [string, unknown][]): string {
  return `{${entries.map(([key, value]) => `${JSON.stringify(key)}:${JSON.stringify(value)}`).join(',')}}`;
}

function sorted<T>(entries: readonly [string, T][]): [string, T][] {
  return entries.toSorted(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isSizes(value: unknown): value is number[] {
  return Array.isArray(value) && value.every((side) => Number.isSafeInteger(side) && side >= 0);
}

function quote(text: string): string {
  return JSON.stringify(text.length > 100 ? `${text.slice(0, 100)}...` : text);
}

/** A JSON value for an error, cut to a readable length. */
function describe(value: unknown): string {
  if (value === undefined) return 'missing';
  const text = JSON.stringify(value);
  return text.length > 100 ? `${text.slice(0, 100)}...` : text;
}
