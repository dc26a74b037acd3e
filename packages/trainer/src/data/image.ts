// One image file: told by its first bytes, refused by its header's size before anything is decoded, decoded, made grey or RGB, and
// resized. JPEGs are decoded by jpeg-js; orientation marks (EXIF) and colour profiles are not applied, as in most training code.
import { decode as decodeJpegFile } from 'jpeg-js';
import { DataError } from './dataset.js';
import { checkDimensions, type Pixels } from './pixels.js';
import { decodePng, isPng } from './png.js';
import { resize } from './resize.js';

export interface ImageShape {
  readonly channels: 1 | 3;
  readonly height: number;
  readonly width: number;
}

/** Scans of a progressive JPEG; each one goes over the whole image. Encoders make about ten. */
const MAX_SCANS = 100;

/** The image as [channels, height, width]. Throws DataError, with `path` as the place. */
export function decodeImage(path: string, bytes: Uint8Array, { channels, height, width }: ImageShape): Uint8Array {
  const image = toChannels(decodeFile(path, bytes), channels);
  const resized = resize(image, height, width);
  const planes = new Uint8Array(resized.length);
  const planeSize = height * width;
  for (let i = 0, from = 0; i < planeSize; i++) for (let c = 0; c < channels; c++, from++) planes[c * planeSize + i] = resized[from] ?? 0;
  return planes;
}

function decodeFile(path: string, bytes: Uint8Array): Pixels {
  if (isPng(bytes)) return decodePng(path, bytes);
  if (bytes[0] === 0xff && bytes[1] === 0xd8) return decodeJpeg(path, bytes);
  const first = Buffer.from(bytes.subarray(0, 4)).toString('hex');
  throw new DataError(path, `is neither PNG nor JPEG (it begins with 0x${first})`);
}

function decodeJpeg(path: string, bytes: Uint8Array): Pixels {
  checkJpegHeaders(path, bytes);
  let decoded: { width: number; height: number; data: Uint8Array };
  try {
    decoded = decodeJpegFile(bytes, { useTArray: true, formatAsRGBA: false, tolerantDecoding: false, maxMemoryUsageInMB: 1024 });
  } catch (error) {
    throw new DataError(
      path,
      `is a damaged JPEG or of a kind that is not read (${error instanceof Error ? error.message : String(error)})`,
      {
        cause: error,
      },
    );
  }
  const { width, height, data } = decoded;
  if (data.length !== width * height * 3) throw new DataError(path, `decodes to ${data.length} bytes for ${width} x ${height} pixels`);
  return { width, height, channels: 3, pixels: data };
}

/** Walks the segments: sizes, and how many scans there are. */
function checkJpegHeaders(path: string, bytes: Uint8Array): void {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  let frames = 0;
  let scans = 0;
  let at = 2;
  while (at + 4 <= bytes.length) {
    const marker = bytes[at + 1] ?? 0;
    // Fill bytes, packed data and restart marks are passed over.
    if (bytes[at] !== 0xff || marker === 0xff || marker === 0 || (marker >= 0xd0 && marker <= 0xd8)) {
      at += 1;
      continue;
    }
    if (marker === 0xd9) break;
    const isFrame = marker >= 0xc0 && marker <= 0xcf && marker !== 0xc4 && marker !== 0xc8 && marker !== 0xcc;
    if (isFrame && at + 9 <= bytes.length) {
      checkDimensions(path, view.getUint16(at + 7), view.getUint16(at + 5));
      frames += 1;
    }
    if (marker === 0xda) scans += 1;
    at += 2 + Math.max(2, view.getUint16(at + 2));
  }
  if (frames !== 1) throw new DataError(path, `is a damaged JPEG: it has ${frames} frame headers; it needs one`);
  if (scans === 0 || scans > MAX_SCANS)
    throw new DataError(path, `is a damaged JPEG: it has ${scans} scans; 1 to ${MAX_SCANS} are decoded`);
}

/** Grey is 0.299 R + 0.587 G + 0.114 B (ITU-R BT.601), rounded. */
function toChannels(image: Pixels, channels: 1 | 3): Pixels {
  if (image.channels === channels) return image;
  const { width, height, pixels } = image;
  const count = width * height;
  const converted = new Uint8Array(count * channels);
  for (let i = 0; i < count; i++) {
    if (channels === 3) converted.fill(pixels[i] ?? 0, 3 * i, 3 * i + 3);
    else {
      const [red, green, blue] = [pixels[3 * i] ?? 0, pixels[3 * i + 1] ?? 0, pixels[3 * i + 2] ?? 0];
      converted[i] = (299 * red + 587 * green + 114 * blue + 500) / 1000;
    }
  }
  return { width, height, channels, pixels: converted };
}
