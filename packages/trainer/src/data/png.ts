// PNG images (W3C PNG, third edition): every colour type, bit depth and interlacing, as 8-bit grey or RGB; alpha is dropped.
// Written here because the packages that do it unpack without a limit: here nothing unpacks to more than the header's size says.
import { crc32 } from 'node:zlib';
import { DataError } from './dataset.js';
import { checkDimensions, type Pixels } from './pixels.js';
import { inflateExactly } from './inflate.js';

const SIGNATURE = [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a];
/** Samples a pixel, and the bit depths that are possible, by colour type. */
const COLOUR_TYPES: Readonly<Record<number, { readonly samples: number; readonly depths: readonly number[] }>> = {
  0: { samples: 1, depths: [1, 2, 4, 8, 16] },
  2: { samples: 3, depths: [8, 16] },
  3: { samples: 1, depths: [1, 2, 4, 8] },
  4: { samples: 2, depths: [8, 16] },
  6: { samples: 4, depths: [8, 16] },
};
/** Adam7's passes: first column and row, and the steps between. An image that is not interlaced is one pass of steps 1. */
const ADAM7 = [
  [0, 0, 8, 8],
  [4, 0, 8, 8],
  [0, 4, 4, 8],
  [2, 0, 4, 4],
  [0, 2, 2, 4],
  [1, 0, 2, 2],
  [0, 1, 1, 2],
] as const;

interface Header {
  readonly width: number;
  readonly height: number;
  readonly depth: number;
  readonly colourType: number;
  readonly samples: number;
  readonly interlaced: boolean;
}

export const isPng = (bytes: Uint8Array): boolean => SIGNATURE.every((byte, i) => bytes[i] === byte);

/** Throws DataError, with `path` as the place. */
export function decodePng(path: string, bytes: Uint8Array): Pixels {
  const { header, palette, packed } = readChunks(path, bytes);
  const passes = passesOf(header);
  const sizeBytes = passes.reduce((sum, pass) => sum + pass.height * (1 + pass.rowBytes), 0);
  const data = inflateExactly({ path, place: 'its pixel data', bytes: packed, wrapped: true }, sizeBytes);
  const channels = header.colourType === 0 || header.colourType === 4 ? 1 : 3;
  const pixels = new Uint8Array(header.width * header.height * channels);
  const pixelBytes = Math.max(1, (header.samples * header.depth) >> 3);
  let at = 0;
  for (const pass of passes) {
    let above = new Uint8Array(pass.rowBytes);
    for (let y = 0; y < pass.height; y++) {
      const row = data.subarray(at + 1, at + 1 + pass.rowBytes);
      unfilter(path, data[at] ?? 0, row, above, pixelBytes);
      const base = (pass.firstRow + y * pass.rowStep) * header.width + pass.firstColumn;
      placeRow(path, header, palette, row, pixels, { base, step: pass.columnStep, width: pass.width, channels });
      above = row as Uint8Array<ArrayBuffer>;
      at += 1 + pass.rowBytes;
    }
  }
  return { width: header.width, height: header.height, channels, pixels };
}

interface Chunks {
  readonly header: Header;
  readonly palette: Uint8Array;
  readonly packed: Uint8Array;
}

function readChunks(path: string, bytes: Uint8Array): Chunks {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const parts: Uint8Array[] = [];
  let header: Header | undefined;
  let palette = new Uint8Array();
  for (let at = 8; ;) {
    if (at + 12 > bytes.length) throw new DataError(path, `truncated PNG: ends at byte ${bytes.length}, before its IEND chunk`);
    const size = view.getUint32(at);
    if (size > bytes.length - at - 12) throw new DataError(path, `truncated PNG: the chunk at byte ${at} declares ${size} bytes`);
    const type = String.fromCharCode(...bytes.subarray(at + 4, at + 8));
    const content = bytes.subarray(at + 8, at + 8 + size);
    if (crc32(bytes.subarray(at + 4, at + 8 + size)) !== view.getUint32(at + 8 + size)) {
      throw new DataError(path, `damaged PNG: chunk "${type}" at byte ${at} has a wrong checksum`);
    }
    if (header === undefined && type !== 'IHDR') throw new DataError(path, `damaged PNG: begins with chunk "${type}"; it must be IHDR`);
    if (type === 'IHDR') header = readHeader(path, content);
    else if (type === 'PLTE') palette = new Uint8Array(content);
    else if (type === 'IDAT') parts.push(content);
    at += 12 + size;
    if (header !== undefined && type === 'IEND')
      return { header, palette, packed: parts.length === 1 ? (parts[0] ?? content) : Buffer.concat(parts) };
  }
}

function readHeader(path: string, content: Uint8Array): Header {
  if (content.length !== 13) throw new DataError(path, `damaged PNG: its header holds ${content.length} bytes; it must hold 13`);
  const view = new DataView(content.buffer, content.byteOffset, content.length);
  const [width, height] = [view.getUint32(0), view.getUint32(4)];
  const [depth, colourType, compression, filter, interlace] = [8, 9, 10, 11, 12].map((i) => view.getUint8(i)) as [
    number,
    number,
    number,
    number,
    number,
  ];
  checkDimensions(path, width, height);
  const kind = COLOUR_TYPES[colourType];
  if (kind === undefined || !kind.depths.includes(depth) || compression !== 0 || filter !== 0 || interlace > 1) {
    throw new DataError(
      path,
      `damaged PNG: colour type ${colourType}, bit depth ${depth}, methods ${compression}, ${filter}, ${interlace} do not exist`,
    );
  }
  return { width, height, depth, colourType, samples: kind.samples, interlaced: interlace === 1 };
}

interface Pass {
  readonly firstColumn: number;
  readonly firstRow: number;
  readonly columnStep: number;
  readonly rowStep: number;
  readonly width: number;
  readonly height: number;
  readonly rowBytes: number;
}

function passesOf({ width, height, depth, samples, interlaced }: Header): Pass[] {
  const passes = interlaced ? ADAM7 : ([[0, 0, 1, 1]] as const);
  return passes
    .map(([firstColumn, firstRow, columnStep, rowStep]) => {
      const passWidth = Math.max(0, Math.ceil((width - firstColumn) / columnStep));
      const passHeight = Math.max(0, Math.ceil((height - firstRow) / rowStep));
      const rowBytes = Math.ceil((passWidth * samples * depth) / 8);
      return { firstColumn, firstRow, columnStep, rowStep, width: passWidth, height: passHeight, rowBytes };
    })
    .filter((pass) => pass.width > 0 && pass.height > 0);
}

/** Undoes a row's filter in place (section 9). */
function unfilter(path: string, filter: number, row: Uint8Array, above: Uint8Array, pixelBytes: number): void {
  if (filter > 4) throw new DataError(path, `damaged PNG: row filter ${filter}; 0 to 4 exist`);
  if (filter === 0) return;
  for (let i = 0; i < row.length; i++) {
    const left = i < pixelBytes ? 0 : (row[i - pixelBytes] ?? 0);
    const up = above[i] ?? 0;
    const corner = i < pixelBytes ? 0 : (above[i - pixelBytes] ?? 0);
    row[i] = (row[i] ?? 0) + (filter === 1 ? left : filter === 2 ? up : filter === 3 ? (left + up) >> 1 : paeth(left, up, corner));
  }
}

function paeth(left: number, up: number, corner: number): number {
  const [a, b, c] = [Math.abs(up - corner), Math.abs(left - corner), Math.abs(left + up - 2 * corner)];
  return a <= b && a <= c ? left : b <= c ? up : corner;
}

interface Target {
  /** Of the row's first pixel, and the distance to the next, in pixels. */
  readonly base: number;
  readonly step: number;
  readonly width: number;
  readonly channels: number;
}

function placeRow(path: string, header: Header, palette: Uint8Array, row: Uint8Array, pixels: Uint8Array, target: Target): void {
  const { depth, colourType, samples } = header;
  const most = 2 ** Math.min(depth, 8) - 1;
  /** The high byte of 16 bits; fewer than 8 are spread over 0..255, unless they are indices. */
  const sample = (i: number): number => {
    if (depth === 8) return row[i] ?? 0;
    if (depth === 16) return row[2 * i] ?? 0;
    const bit = i * depth;
    return ((row[bit >> 3] ?? 0) >> (8 - depth - (bit & 7))) & most;
  };
  for (let x = 0; x < target.width; x++) {
    const to = (target.base + x * target.step) * target.channels;
    if (colourType === 3) {
      const index = 3 * sample(x);
      if (index + 3 > palette.length)
        throw new DataError(path, `damaged PNG: colour ${index / 3} of a palette of ${Math.floor(palette.length / 3)}`);
      for (let c = 0; c < 3; c++) pixels[to + c] = palette[index + c] ?? 0;
    } else {
      for (let c = 0; c < target.channels; c++) pixels[to + c] = depth < 8 ? (sample(x) * 255) / most : sample(x * samples + c);
    }
  }
}
