// The binary files of CIFAR-10 and CIFAR-100 (www.cs.toronto.edu/~kriz/cifar.html): records of label bytes and 3 x 32 x 32
// pixel bytes, the red, green and blue planes one after the other, each row-major. CIFAR-10 has one label byte; CIFAR-100 has
// two, coarse (20 superclasses) and fine (100 classes), of which the fine one counts. There is no header: only sizes tell a
// good file.
import { join } from 'node:path';
import { CIFAR100_CLASS_NAMES, CIFAR10_CLASS_NAMES } from './class-names.js';
import { checkLabels, DataError, type DecodedDataset, type Split } from './dataset.js';
import { readWhole } from './read.js';

const CHANNELS = 3;
const SIDE = 32;
const IMAGE_BYTES = CHANNELS * SIDE * SIDE;

export interface CifarLayout {
  readonly decoding: 'cifar10' | 'cifar100';
  /** As people call it: "CIFAR-10". */
  readonly title: string;
  /** The folder that the published archive unpacks to. */
  readonly folder: string;
  /** In the order in which the training split has them. */
  readonly trainFiles: readonly string[];
  readonly testFile: string;
  /** How many values each label byte of a record may have; the last one is the class. */
  readonly labelRanges: readonly number[];
  readonly classNames: readonly string[];
  /** Records of each published file, the test file last. */
  readonly publishedRecords: readonly number[];
}

export const CIFAR10: CifarLayout = {
  decoding: 'cifar10',
  title: 'CIFAR-10',
  folder: 'cifar-10-batches-bin',
  trainFiles: [1, 2, 3, 4, 5].map((batch) => `data_batch_${batch}.bin`),
  testFile: 'test_batch.bin',
  labelRanges: [10],
  classNames: CIFAR10_CLASS_NAMES,
  publishedRecords: [10_000, 10_000, 10_000, 10_000, 10_000, 10_000],
};

export const CIFAR100: CifarLayout = {
  decoding: 'cifar100',
  title: 'CIFAR-100',
  folder: 'cifar-100-binary',
  trainFiles: ['train.bin'],
  testFile: 'test.bin',
  labelRanges: [20, 100],
  classNames: CIFAR100_CLASS_NAMES,
  publishedRecords: [50_000, 10_000],
};

/** Every file of the layout, the test file last. */
export const cifarFiles = ({ trainFiles, testFile }: CifarLayout): string[] => [...trainFiles, testFile];

interface CifarFile {
  readonly path: string;
  readonly bytes: Uint8Array;
  readonly records: number;
}

/** All files of `folder`; the training split is the training files in order. */
export async function readCifarDataset(layout: CifarLayout, folder: string): Promise<DecodedDataset> {
  const files: CifarFile[] = [];
  for (const name of cifarFiles(layout)) {
    const path = join(folder, name);
    const bytes = await readWhole(path);
    files.push({ path, bytes, records: countRecords(layout, path, bytes) });
  }
  checkPublishedSizes(layout, files);
  return {
    decoding: layout.decoding,
    channels: CHANNELS,
    height: SIDE,
    width: SIDE,
    classes: layout.classNames.length,
    classNames: layout.classNames,
    train: decode(layout, files.slice(0, -1)),
    test: decode(layout, files.slice(-1)),
  };
}

const recordBytes = ({ labelRanges }: CifarLayout): number => labelRanges.length + IMAGE_BYTES;

function countRecords(layout: CifarLayout, path: string, bytes: Uint8Array): number {
  const size = recordBytes(layout);
  const rest = bytes.length % size;
  if (rest !== 0) {
    throw new DataError(
      path,
      `holds ${bytes.length} bytes: ${Math.floor(bytes.length / size)} records of ${size} bytes and ${rest} more; ` +
        `${layout.title} binary files hold whole records only, so it is truncated, has trailing bytes or is something else`,
    );
  }
  return bytes.length / size;
}

/**
 * A file cut between two records has a possible size. Smaller data sets in this layout are fine, but when one file has the
 * published number of records, it is the published data set and all must.
 */
function checkPublishedSizes({ title, publishedRecords }: CifarLayout, files: readonly CifarFile[]): void {
  const published = (i: number): number => publishedRecords[i] ?? 0;
  const whole = files.findIndex(({ records }, i) => records === published(i));
  const odd = files.findIndex(({ records }, i) => records !== published(i));
  const [wholeFile, oddFile] = [files[whole], files[odd]];
  if (wholeFile === undefined || oddFile === undefined) return;
  const fault = oddFile.records < published(odd) ? 'truncated' : 'has trailing records';
  throw new DataError(
    oddFile.path,
    `${fault}: holds ${oddFile.records} records, but ${wholeFile.path} holds ${wholeFile.records}, as the published ${title} has; ` +
      `there this file has ${published(odd)}`,
  );
}

function decode(layout: CifarLayout, files: readonly CifarFile[]): Split {
  const size = recordBytes(layout);
  const count = files.reduce((sum, file) => sum + file.records, 0);
  const images = new Uint8Array(count * IMAGE_BYTES);
  let labels = new Uint8Array(count);
  for (const [place, range] of layout.labelRanges.entries()) {
    labels = new Uint8Array(count);
    let first = 0;
    for (const { path, bytes, records } of files) {
      for (let i = 0; i < records; i++) labels[first + i] = bytes[i * size + place] ?? 0;
      checkLabels(path, labels.subarray(first, first + records), range, place === layout.labelRanges.length - 1 ? 'label' : 'coarse label');
      first += records;
    }
  }
  let record = 0;
  for (const { bytes, records } of files) {
    for (let i = 0; i < records; i++, record++) {
      images.set(bytes.subarray((i + 1) * size - IMAGE_BYTES, (i + 1) * size), record * IMAGE_BYTES);
    }
  }
  return { count, images, labels };
}
