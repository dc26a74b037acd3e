// IDX files, the format of MNIST and Fashion-MNIST: a big-endian header, then bytes (yann.lecun.com/exdb/mnist).
//   images: u32 0x00000803, u32 count, u32 height, u32 width, then count x height x width bytes, row-major
//   labels: u32 0x00000801, u32 count, then count bytes
import { checkLabels, DataError, type DecodedDataset, type Split } from './dataset.js';
import { readSizedFile, type SizedFormat } from './read.js';

const IMAGES_MAGIC = 0x00000803;
const LABELS_MAGIC = 0x00000801;

/** The four files; each may also be called `train-images.idx3-ubyte` and end in `.gz`. */
export const IDX_FILES = {
  trainImages: 'train-images-idx3-ubyte',
  trainLabels: 'train-labels-idx1-ubyte',
  testImages: 't10k-images-idx3-ubyte',
  testLabels: 't10k-labels-idx1-ubyte',
} as const;

/** Names under which a file is looked for, best first: unpacked before packed. */
export function idxFileNames(name: string): string[] {
  const dotted = name.replace('-idx', '.idx');
  return [name, dotted, `${name}.gz`, `${dotted}.gz`];
}

/** Paths of the four files. */
export type IdxPaths = Readonly<Record<keyof typeof IDX_FILES, string>>;

/** Both splits; labels must be below `classes`, and the splits' images of one size. */
export async function readIdxDataset(paths: IdxPaths, classes: number): Promise<DecodedDataset> {
  const train = await readIdxSplit(paths.trainImages, paths.trainLabels, classes);
  const test = await readIdxSplit(paths.testImages, paths.testLabels, classes);
  if (train.height !== test.height || train.width !== test.width) {
    throw new DataError(
      paths.testImages,
      `holds images of ${test.height} x ${test.width}, but ${paths.trainImages} of ${train.height} x ${train.width}; both splits need one size`,
    );
  }
  return { decoding: 'idx', channels: 1, height: train.height, width: train.width, classes, train: train.split, test: test.split };
}

/** One split: an images file and its labels file. */
async function readIdxSplit(
  imagesPath: string,
  labelsPath: string,
  classes: number,
): Promise<{ split: Split; height: number; width: number }> {
  const images = await readIdxImages(imagesPath);
  const labels = await readIdxLabels(labelsPath);
  if (labels.length !== images.count) {
    throw new DataError(
      labelsPath,
      `holds ${labels.length} labels, but ${imagesPath} holds ${images.count} images; each image needs one label`,
    );
  }
  checkLabels(labelsPath, labels, classes);
  return { split: { count: images.count, images: images.pixels, labels }, height: images.height, width: images.width };
}

async function readIdxImages(path: string): Promise<{ count: number; height: number; width: number; pixels: Uint8Array }> {
  const bytes = await readSizedFile(path, idxFormat(path, 'IDX images', IMAGES_MAGIC, 3));
  const [count = 0, height = 0, width = 0] = dimensions(bytes, 3);
  return { count, height, width, pixels: bytes.subarray(16) };
}

async function readIdxLabels(path: string): Promise<Uint8Array> {
  const bytes = await readSizedFile(path, idxFormat(path, 'IDX labels', LABELS_MAGIC, 1));
  return bytes.subarray(8);
}

function idxFormat(path: string, what: string, magic: number, dimensionCount: number): SizedFormat {
  const headerBytes = 4 + 4 * dimensionCount;
  return {
    headerBytes,
    what,
    sizeBytes(header) {
      const found = new DataView(header.buffer, header.byteOffset, header.length).getUint32(0);
      if (found !== magic) {
        const hint =
          found === LABELS_MAGIC ? ' (that is an IDX labels file)' : found === IMAGES_MAGIC ? ' (that is an IDX images file)' : '';
        throw new DataError(path, `begins with 0x${hex(found)}${hint}; ${what} begin with 0x${hex(magic)}`);
      }
      const sizes = dimensions(header, dimensionCount);
      if (sizes.some((size) => size === 0)) {
        const got = dimensionCount === 1 ? '0 records' : `${sizes[0]} images of ${sizes[1]} x ${sizes[2]}`;
        throw new DataError(path, `its header declares ${got}; at least one record and one pixel are needed`);
      }
      return sizes.reduce((product, size) => product * size, 1) + headerBytes;
    },
  };
}

function dimensions(bytes: Uint8Array, dimensionCount: number): number[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  return Array.from({ length: dimensionCount }, (_, i) => view.getUint32(4 + 4 * i));
}

function hex(word: number): string {
  return word.toString(16).padStart(8, '0');
}
