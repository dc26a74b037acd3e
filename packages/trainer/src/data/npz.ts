// .npz archives of NumPy with x_train, y_train, x_test and y_test, as Keras' mnist.npz has them. Images are bytes, [N, H, W],
// [N, H, W, C] or [N, C, H, W] with 1 or 3 channels; labels are integers of any size, [N] or [N, 1]. Each member is a .npy file
// (numpy.org/doc/stable/reference/generated/numpy.lib.format.html): a magic number, a header in Python's notation, the values.
import { DataError, type DecodedDataset, type Split } from './dataset.js';
import { ZipFile } from './zip.js';

interface NpyArray {
  /** NumPy's type: "|u1". */
  readonly type: string;
  readonly shape: readonly number[];
  readonly bytes: Uint8Array;
}

interface Images {
  readonly count: number;
  readonly channels: number;
  readonly height: number;
  readonly width: number;
  readonly pixels: Uint8Array;
}

type Getter = (view: DataView, at: number, little: boolean) => number;
/** Integers, without the byte order mark: bytes a value, and how one is read. */
const INTEGERS: Readonly<Record<string, readonly [bytes: number, get: Getter]>> = {
  u1: [1, (view, at) => view.getUint8(at)],
  i1: [1, (view, at) => view.getInt8(at)],
  u2: [2, (view, at, little) => view.getUint16(at, little)],
  i2: [2, (view, at, little) => view.getInt16(at, little)],
  u4: [4, (view, at, little) => view.getUint32(at, little)],
  i4: [4, (view, at, little) => view.getInt32(at, little)],
  u8: [8, (view, at, little) => Number(view.getBigUint64(at, little))],
  i8: [8, (view, at, little) => Number(view.getBigInt64(at, little))],
};

const viewOf = (bytes: Uint8Array): DataView => new DataView(bytes.buffer, bytes.byteOffset, bytes.length);

/** Both splits; labels must be below `classes`, and the splits' images of one size. */
export async function readNpzDataset(path: string, classes: number): Promise<DecodedDataset> {
  const archive = await ZipFile.open(path);
  const train = readImages(archive, 'x_train');
  const test = readImages(archive, 'x_test');
  const { channels, height, width } = train;
  if (test.channels !== channels || test.height !== height || test.width !== width) {
    throw new DataError(
      path,
      `x_test holds images of ${test.channels} x ${test.height} x ${test.width}, but x_train of ${channels} x ${height} x ${width}; ` +
        'both splits need one size',
    );
  }
  return {
    decoding: 'npz',
    channels,
    height,
    width,
    classes,
    train: withLabels(archive, train, 'y_train', classes),
    test: withLabels(archive, test, 'y_test', classes),
  };
}

function withLabels(archive: ZipFile, { count, pixels }: Images, name: string, classes: number): Split {
  const { type, shape, bytes } = readArray(archive, name);
  const [size, get] = INTEGERS[type.slice(1)] ?? [0, () => 0];
  if (size === 0) throw new DataError(archive.path, `${name} has values of type "${type}"; labels are integers`);
  const [labelCount = 0, one = 1] = shape;
  if (shape.length === 0 || shape.length > 2 || one !== 1) {
    throw new DataError(archive.path, `${name} has shape ${text(shape)}; labels are [N] or [N, 1]`);
  }
  if (labelCount !== count) {
    throw new DataError(archive.path, `${name} holds ${labelCount} labels for ${count} images; each image needs one label`);
  }
  const view = viewOf(bytes);
  const little = !type.startsWith('>');
  const labels = Uint8Array.from({ length: count }, (_, record) => {
    const label = get(view, record * size, little);
    // A byte would wrap around what is too large for it.
    if (label >= 0 && label < classes) return label;
    throw new DataError(archive.path, `${name}: record ${record} has label ${label}; with ${classes} classes labels are 0..${classes - 1}`);
  });
  return { count, images: pixels, labels };
}

function readImages(archive: ZipFile, name: string): Images {
  const { type, shape, bytes } = readArray(archive, name);
  const refuse = (fault: string): DataError =>
    new DataError(
      archive.path,
      `${name} ${fault}; images are bytes (uint8) of [N, H, W], [N, H, W, C] or [N, C, H, W] with 1 or 3 channels`,
    );
  if (type.slice(1) !== 'u1') throw refuse(`has values of type "${type}"`);
  if (shape.some((dimension) => dimension === 0)) throw refuse(`has shape ${text(shape)}`);
  const [count = 0, second = 0, third = 0, fourth = 0] = shape;
  if (shape.length === 3) return { count, channels: 1, height: second, width: third, pixels: bytes };
  const [first, last] = [isChannels(second), isChannels(fourth)];
  if (shape.length !== 4 || (!first && !last)) throw refuse(`has shape ${text(shape)}`);
  if (first && last) throw refuse(`has shape ${text(shape)}, in which either the second or the last could be the channels`);
  if (first) return { count, channels: second, height: third, width: fourth, pixels: bytes };
  return { count, channels: fourth, height: second, width: third, pixels: interleavedToPlanes(bytes, count, fourth, second * third) };
}

const isChannels = (size: number): boolean => size === 1 || size === 3;
const text = (shape: readonly number[]): string => `[${shape.join(', ')}]`;

/** From [count, plane, channels] to [count, channels, plane]. */
function interleavedToPlanes(bytes: Uint8Array, count: number, channels: number, planeSize: number): Uint8Array {
  if (channels === 1) return bytes;
  const planes = new Uint8Array(bytes.length);
  for (let image = 0, from = 0; image < count; image++) {
    const base = image * channels * planeSize;
    for (let i = 0; i < planeSize; i++) {
      for (let channel = 0; channel < channels; channel++, from++) planes[base + channel * planeSize + i] = bytes[from] ?? 0;
    }
  }
  return planes;
}

/** A header is one line of some 80 bytes; NumPy pads it to a multiple of 64. */
const MAX_HEADER_BYTES = 4096;
const HEADER = /^\{\s*'descr':\s*'([<>|=][a-z]\d+)',\s*'fortran_order':\s*(True|False),\s*'shape':\s*\(([\d,\s]*)\),?\s*\}\s*$/;

function readArray(archive: ZipFile, name: string): NpyArray {
  const { path } = archive;
  const bytes = archive.read(`${name}.npy`);
  const view = viewOf(bytes);
  const major = bytes[6] ?? 0;
  if (bytes.length < 12 || view.getUint32(0) !== 0x934e554d || view.getUint16(4) !== 0x5059 || major < 1 || major > 3) {
    throw new DataError(path, `${name} is no .npy file: it does not begin with NumPy's magic number and a version of 1 to 3`);
  }
  const headerBytes = major === 1 ? view.getUint16(8, true) : view.getUint32(8, true);
  const begin = (major === 1 ? 10 : 12) + headerBytes;
  if (headerBytes > MAX_HEADER_BYTES || begin > bytes.length) {
    throw new DataError(
      path,
      `${name} declares a header of ${headerBytes} bytes; it holds ${bytes.length} in all, and at most ${MAX_HEADER_BYTES} are read`,
    );
  }
  const header = Buffer.from(bytes.subarray(begin - headerBytes, begin)).toString('latin1');
  const [, type = '', order, dimensions = ''] = HEADER.exec(header) ?? [];
  if (order === undefined)
    throw new DataError(path, `${name} has the header ${JSON.stringify(header.slice(0, 120))}, which is none of a plain array`);
  if (order === 'True') throw new DataError(path, `${name} is stored in Fortran's order; store it with numpy.ascontiguousarray`);
  const shape = dimensions
    .split(',')
    .map((part) => part.trim())
    .filter((part) => part !== '')
    .map(Number);
  const sizeBytes = shape.reduce((product, dimension) => product * dimension, Number(type.slice(2)));
  if (sizeBytes !== bytes.length - begin) {
    throw new DataError(path, `${name} has shape ${text(shape)} of type "${type}": ${sizeBytes} bytes; it holds ${bytes.length - begin}`);
  }
  return { type, shape, bytes: bytes.subarray(begin) };
}
