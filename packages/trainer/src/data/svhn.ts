// SVHN's cropped digits (ufldl.stanford.edu/housenumbers): one MATLAB 5 file a split with X, the pixels, and y, the labels 1..10,
// of which 10 is the digit 0. X is [32, 32, 3, N] in MATLAB's order: the row runs fastest, then column, channel and image.
import { join } from 'node:path';
import { DIGITS } from './class-names.js';
import { DataError, type DecodedDataset, type Split } from './dataset.js';
import { readMat, type MatArray } from './mat.js';

export const SVHN_FILES = ['train_32x32.mat', 'test_32x32.mat'] as const;

const CHANNELS = 3;
const SIDE = 32;
const PLANE = SIDE * SIDE;
const CLASSES = 10;

/** Both files of `folder`. */
export async function readSvhnDataset(folder: string): Promise<DecodedDataset> {
  const [trainFile, testFile] = SVHN_FILES;
  return {
    decoding: 'svhn',
    channels: CHANNELS,
    height: SIDE,
    width: SIDE,
    classes: CLASSES,
    classNames: DIGITS,
    train: await readSplit(join(folder, trainFile)),
    test: await readSplit(join(folder, testFile)),
  };
}

async function readSplit(path: string): Promise<Split> {
  const { X, y } = await readMat(path, ['X', 'y']);
  const [height, width, channels, count = 1, ...more] = X.dimensions;
  if (!X.isBytes || height !== SIDE || width !== SIDE || channels !== CHANNELS || count === 0 || more.length > 0) {
    const type = X.isBytes ? 'bytes' : 'something other than bytes';
    throw new DataError(path, `X is ${X.dimensions.join(' x ')} of ${type}; SVHN's is ${SIDE} x ${SIDE} x ${CHANNELS} x N of bytes`);
  }
  return { count, images: toPlanes(X.bytes, count), labels: readLabels(path, y, count) };
}

/** From [image, channel, column, row] to [image, channel, row, column]: each plane is transposed. */
function toPlanes(bytes: Uint8Array, count: number): Uint8Array {
  const images = new Uint8Array(bytes.length);
  for (let plane = 0; plane < count * CHANNELS; plane++) {
    const base = plane * PLANE;
    for (let row = 0; row < SIDE; row++) {
      for (let column = 0; column < SIDE; column++) images[base + row * SIDE + column] = bytes[base + column * SIDE + row] ?? 0;
    }
  }
  return images;
}

function readLabels(path: string, y: MatArray, count: number): Uint8Array {
  const size = y.dimensions.reduce((product, dimension) => product * dimension, 1);
  if (size !== count) throw new DataError(path, `holds ${size} labels in y, but ${count} images in X; each image needs one label`);
  return Uint8Array.from({ length: count }, (_, record) => {
    const label = y.at(record);
    if (!Number.isInteger(label) || label < 1 || label > CLASSES) {
      throw new DataError(path, `record ${record} has label ${label}; SVHN's labels are 1..${CLASSES}, of which ${CLASSES} is the digit 0`);
    }
    return label % CLASSES;
  });
}
