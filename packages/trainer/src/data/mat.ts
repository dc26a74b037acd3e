// MATLAB 5 files (MathWorks, "MAT-File Format", level 5): a header of 128 bytes, then data elements of a tag (type, size)
// and content; a variable is an element of type miMATRIX, mostly packed by zlib inside one of type miCOMPRESSED. Reads numeric
// arrays only, within fixed limits.
import { DataError } from './dataset.js';
import { inflateExactly, inflateHead } from './inflate.js';
import { MAX_FILE_BYTES, readWhole } from './read.js';

/** A real numeric array. */
export interface MatArray {
  readonly name: string;
  /** At least two; the first one runs fastest (column-major). */
  readonly dimensions: readonly number[];
  /** Whether the values are stored as unsigned bytes, which `bytes` then are. */
  readonly isBytes: boolean;
  readonly bytes: Uint8Array;
  /** The value at an index of the flat array. */
  at(index: number): number;
}

const HEADER_BYTES = 128;
/** Variables in one file; the files that are read here have two. */
const MAX_ELEMENTS = 64;
const MAX_DIMENSIONS = 8;
const MI_MATRIX = 14;
const MI_COMPRESSED = 15;

type Getter = (view: DataView, at: number, little: boolean) => number;
/** Storage types of numbers: bytes a value, and how one is read. */
const STORAGE: ReadonlyMap<number, readonly [bytes: number, get: Getter]> = new Map<number, readonly [number, Getter]>([
  [1, [1, (view, at) => view.getInt8(at)]],
  [2, [1, (view, at) => view.getUint8(at)]],
  [3, [2, (view, at, little) => view.getInt16(at, little)]],
  [4, [2, (view, at, little) => view.getUint16(at, little)]],
  [5, [4, (view, at, little) => view.getInt32(at, little)]],
  [6, [4, (view, at, little) => view.getUint32(at, little)]],
  [7, [4, (view, at, little) => view.getFloat32(at, little)]],
  [9, [8, (view, at, little) => view.getFloat64(at, little)]],
  [12, [8, (view, at, little) => Number(view.getBigInt64(at, little))]],
  [13, [8, (view, at, little) => Number(view.getBigUint64(at, little))]],
]);
const MI_UINT8 = 2;

interface Source {
  readonly path: string;
  readonly little: boolean;
}

interface Element {
  readonly type: number;
  readonly content: Uint8Array;
  /** Where the next element of the same parent begins. */
  readonly end: number;
}

/** The variables called `names`; others are passed over. Throws DataError when one is missing or is no numeric array. */
export async function readMat<const N extends string>(path: string, names: readonly N[]): Promise<Record<N, MatArray>> {
  const bytes = await readWhole(path);
  const source = { path, little: readHeader(path, bytes) };
  const found = new Map<string, MatArray>();
  let unpacked = 0;
  let at = HEADER_BYTES;
  for (let i = 0; at < bytes.length; i++) {
    if (i === MAX_ELEMENTS) throw new DataError(path, `holds more than ${MAX_ELEMENTS} variables; that many are read`);
    const place = `the variable at byte ${at}`;
    // Packed elements follow each other without padding.
    const { type, content, end } = readElement(source, bytes, at, place, false);
    const packed = type === MI_COMPRESSED;
    const matrix = packed ? unpackMatrix(source, content, place) : type === MI_MATRIX ? content : undefined;
    unpacked += packed ? (matrix?.length ?? 0) : 0;
    if (unpacked > MAX_FILE_BYTES) throw new DataError(path, `unpacks to more than ${MAX_FILE_BYTES} bytes; at most that many are read`);
    const array = matrix === undefined ? undefined : readMatrix(source, matrix, place, names);
    if (array !== undefined && found.has(array.name)) throw new DataError(path, `holds two variables "${array.name}"; one is needed`);
    if (array !== undefined) found.set(array.name, array);
    at = packed ? end : Math.min(bytes.length, roundUp(end));
  }
  const entries = names.map((name) => {
    const array = found.get(name);
    if (array === undefined) throw new DataError(path, `holds no variable "${name}"; needed are ${names.join(', ')}`);
    return [name, array] as const;
  });
  return Object.fromEntries(entries) as Record<N, MatArray>;
}

const roundUp = (bytes: number): number => Math.ceil(bytes / 8) * 8;
const viewOf = (bytes: Uint8Array): DataView => new DataView(bytes.buffer, bytes.byteOffset, bytes.length);

/** Checks the header and tells whether the file is little-endian. */
function readHeader(path: string, bytes: Uint8Array): boolean {
  if (bytes.length < HEADER_BYTES + 8) {
    throw new DataError(path, `holds ${bytes.length} bytes; a MATLAB 5 file begins with a header of ${HEADER_BYTES} bytes`);
  }
  const mark = String.fromCharCode(...bytes.subarray(126, 128));
  const little = mark === 'IM';
  const version = viewOf(bytes).getUint16(124, little);
  if ((mark !== 'IM' && mark !== 'MI') || version !== 0x0100) {
    const isHdf5 = Buffer.from(bytes.subarray(0, 512)).includes('MATLAB 7.3') || bytes[0] === 0x89;
    const hint = isHdf5 ? ' (a MATLAB 7.3 file: save it with -v7 or -v6)' : '';
    throw new DataError(path, `is no MATLAB 5 file: bytes 124 to 127 are no version and byte order${hint}`);
  }
  return little;
}

function readElement({ path, little }: Source, bytes: Uint8Array, at: number, place: string, padded: boolean): Element {
  if (bytes.length - at < 8)
    throw new DataError(path, `${place}: truncated: ${Math.max(0, bytes.length - at)} bytes are left for a tag of 8`);
  const view = viewOf(bytes);
  const word = view.getUint32(at, little);
  // A small element: size in the upper half of the word, and up to four bytes of content in the tag itself.
  if (word >>> 16 !== 0) {
    const size = word >>> 16;
    if (size > 4) throw new DataError(path, `${place}: a small element declares ${size} bytes; it has room for 4`);
    return { type: word & 0xffff, content: bytes.subarray(at + 4, at + 4 + size), end: at + 8 };
  }
  const size = view.getUint32(at + 4, little);
  if (size > bytes.length - at - 8) {
    throw new DataError(path, `${place}: truncated: declares ${size} bytes, ${bytes.length - at - 8} are left`);
  }
  const end = at + 8 + size;
  return { type: word, content: bytes.subarray(at + 8, end), end: padded ? Math.min(bytes.length, roundUp(end)) : end };
}

/** The content of the miMATRIX element in a miCOMPRESSED one. */
function unpackMatrix({ path, little }: Source, bytes: Uint8Array, place: string): Uint8Array {
  const packed = { path, place, bytes, wrapped: true };
  const head = inflateHead(packed);
  if (head.length < 8) throw new DataError(path, `${place} unpacks to ${head.length} bytes; a tag of 8 is needed`);
  const type = viewOf(head).getUint32(0, little);
  const size = viewOf(head).getUint32(4, little);
  if (type !== MI_MATRIX) throw new DataError(path, `${place} unpacks to an element of type ${type}; a variable has type ${MI_MATRIX}`);
  if (size > MAX_FILE_BYTES) throw new DataError(path, `${place} declares ${size} bytes; at most ${MAX_FILE_BYTES} (1 GiB) are read`);
  return inflateExactly(packed, 8 + size).subarray(8);
}

/** The array in a matrix's content, or undefined when it is not one of `names`. */
function readMatrix(source: Source, bytes: Uint8Array, place: string, names: readonly string[]): MatArray | undefined {
  const { path, little } = source;
  // MATLAB's own data (object tables) has no content.
  if (bytes.length === 0) return undefined;
  const flags = readElement(source, bytes, 0, place, true);
  const dimensionsElement = readElement(source, bytes, flags.end, place, true);
  const nameElement = readElement(source, bytes, dimensionsElement.end, place, true);
  const name = String.fromCharCode(...nameElement.content.subarray(0, 64));
  if (!names.includes(name)) return undefined;
  const flagWord = flags.content.length === 8 ? viewOf(flags.content).getUint32(0, little) : 0;
  const arrayClass = flagWord & 0xff;
  const isComplex = (flagWord & 0x800) !== 0;
  if (arrayClass < 6 || arrayClass > 15 || isComplex) {
    throw new DataError(path, `variable "${name}" is no array of real numbers (class ${arrayClass}${isComplex ? ', complex' : ''})`);
  }
  const rank = dimensionsElement.content.length / 4;
  if (!Number.isInteger(rank) || rank < 2 || rank > MAX_DIMENSIONS) {
    throw new DataError(path, `variable "${name}" declares ${rank} dimensions; 2 to ${MAX_DIMENSIONS} are possible`);
  }
  const dimensions = Array.from({ length: rank }, (_, i) => viewOf(dimensionsElement.content).getUint32(4 * i, little));
  const { type, content } = readElement(source, bytes, nameElement.end, `variable "${name}"`, true);
  const storage = STORAGE.get(type);
  if (storage === undefined) throw new DataError(path, `variable "${name}" is stored as type ${type}, which holds no numbers`);
  const [size, get] = storage;
  const count = dimensions.reduce((product, dimension) => product * dimension, 1);
  if (count * size !== content.length) {
    throw new DataError(path, `variable "${name}" is ${dimensions.join(' x ')}: ${count * size} bytes; it holds ${content.length}`);
  }
  const view = viewOf(content);
  return { name, dimensions, isBytes: type === MI_UINT8, bytes: content, at: (index) => get(view, index * size, little) };
}
