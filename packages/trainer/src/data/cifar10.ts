// CIFAR-10's binary files (www.cs.toronto.edu/~kriz/cifar.html): records of one label byte and 3 x 32 x 32 pixel bytes,
// the red, green and blue planes one after the other, each row-major. There is no header: only sizes tell a good file.
import { join } from 'node:path';
import { DataError, type DecodedDataset, type Split } from './dataset.js';
import { checkLabels } from './idx.js';
import { readWhole } from './read.js';

const CLASSES = 10;
const CHANNELS = 3;
const SIDE = 32;
const IMAGE_BYTES = CHANNELS * SIDE * SIDE;
const RECORD_BYTES = 1 + IMAGE_BYTES;
/** Records in each file of the published data set. */
const PUBLISHED_RECORDS = 10_000;

export const CIFAR10_TRAIN_FILES = [1, 2, 3, 4, 5].map((batch) => `data_batch_${batch}.bin`);
export const CIFAR10_TEST_FILE = 'test_batch.bin';
/** The folder that the published archive unpacks to. */
export const CIFAR10_FOLDER = 'cifar-10-batches-bin';
export const CIFAR10_CLASS_NAMES = ['airplane', 'automobile', 'bird', 'cat', 'deer', 'dog', 'frog', 'horse', 'ship', 'truck'] as const;

/** All six files of `folder`; the training split is the five batches in order. */
export async function readCifar10Dataset(folder: string): Promise<DecodedDataset> {
  const files: { path: string; bytes: Uint8Array; records: number }[] = [];
  for (const name of [...CIFAR10_TRAIN_FILES, CIFAR10_TEST_FILE]) {
    const path = join(folder, name);
    const bytes = await readWhole(path);
    files.push({ path, bytes, records: countRecords(path, bytes) });
  }
  checkPublishedSize(files);
  return {
    decoding: 'cifar10',
    channels: CHANNELS,
    height: SIDE,
    width: SIDE,
    classes: CLASSES,
    train: decode(files.slice(0, -1)),
    test: decode(files.slice(-1)),
  };
}

function countRecords(path: string, bytes: Uint8Array): number {
  const rest = bytes.length % RECORD_BYTES;
  if (rest !== 0) {
    throw new DataError(
      path,
      `holds ${bytes.length} bytes: ${Math.floor(bytes.length / RECORD_BYTES)} records of ${RECORD_BYTES} bytes and ${rest} more; ` +
        'CIFAR-10 binary files hold whole records only, so it is truncated, has trailing bytes or is something else',
    );
  }
  return bytes.length / RECORD_BYTES;
}

/**
 * A file cut between two records has a possible size. Smaller data sets in this layout are fine, but when one file has the
 * published 10,000 records, it is the published data set and all must.
 */
function checkPublishedSize(files: readonly { path: string; records: number }[]): void {
  const whole = files.find((file) => file.records === PUBLISHED_RECORDS);
  const odd = files.find((file) => file.records !== PUBLISHED_RECORDS);
  if (whole !== undefined && odd !== undefined) {
    const fault = odd.records < PUBLISHED_RECORDS ? 'truncated' : 'has trailing records';
    throw new DataError(
      odd.path,
      `${fault}: holds ${odd.records} records, but ${whole.path} holds ${PUBLISHED_RECORDS}, as each file of CIFAR-10 must`,
    );
  }
}

function decode(files: readonly { path: string; bytes: Uint8Array; records: number }[]): Split {
  const count = files.reduce((sum, file) => sum + file.records, 0);
  const images = new Uint8Array(count * IMAGE_BYTES);
  const labels = new Uint8Array(count);
  let record = 0;
  for (const { path, bytes, records } of files) {
    const first = record;
    for (let i = 0; i < records; i++, record++) {
      const begin = i * RECORD_BYTES;
      labels[record] = bytes[begin] ?? 0;
      images.set(bytes.subarray(begin + 1, begin + RECORD_BYTES), record * IMAGE_BYTES);
    }
    checkLabels(path, labels.subarray(first, record), CLASSES);
  }
  return { count, images, labels };
}
