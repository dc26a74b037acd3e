// Data sets from files: the real MNIST, generated IDX and CIFAR-10 files, and each way in which a file can be wrong.
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { keyedRandom } from '../random.js';
import { mutate } from '../testing/data.js';
import { channelStatistics, DataError } from './dataset.js';
import { defaultDataFolders } from './named.js';
import { openDataset } from './open.js';
import { MAX_FILE_BYTES } from './read.js';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'n2n-data-'));
});
afterEach(async () => {
  await rm(folder, { recursive: true, force: true });
});

function bigEndian(...words: number[]): Uint8Array {
  const bytes = new Uint8Array(4 * words.length);
  words.forEach((word, i) => new DataView(bytes.buffer).setUint32(4 * i, word));
  return bytes;
}

/** Pixel bytes that differ from place to place. */
function pixels(count: number, offset = 0): Uint8Array {
  return Uint8Array.from({ length: count }, (_, i) => (i * 37 + offset) % 256);
}

/** 12 training and 5 test images of 3 x 2 pixels, labels 0, 1, ..., 9, 0, ... */
function idxFiles(): Record<string, Uint8Array> {
  const labels = (count: number): Uint8Array => Uint8Array.from({ length: count }, (_, i) => i % 10);
  return {
    'train-images-idx3-ubyte': Buffer.concat([bigEndian(0x803, 12, 3, 2), pixels(72)]),
    'train-labels-idx1-ubyte': Buffer.concat([bigEndian(0x801, 12), labels(12)]),
    't10k-images-idx3-ubyte': Buffer.concat([bigEndian(0x803, 5, 3, 2), pixels(30, 7)]),
    't10k-labels-idx1-ubyte': Buffer.concat([bigEndian(0x801, 5), labels(5)]),
  };
}

/** `records` records of CIFAR-10; the red, green and blue planes hold base, base + 1 and base + 2. */
function cifarBatch(records: number, base: number): Uint8Array {
  const bytes = new Uint8Array(records * 3073);
  for (let i = 0; i < records; i++) {
    bytes[i * 3073] = (base + i) % 10;
    for (let channel = 0; channel < 3; channel++)
      bytes.fill(base + channel, i * 3073 + 1 + channel * 1024, i * 3073 + 1 + (channel + 1) * 1024);
  }
  return bytes;
}

function cifarFiles(): Record<string, Uint8Array> {
  const train = [1, 2, 3, 4, 5].map((batch): [string, Uint8Array] => [`data_batch_${batch}.bin`, cifarBatch(2, 10 * batch)]);
  return Object.fromEntries([...train, ['test_batch.bin', cifarBatch(3, 100)]]);
}

async function write(files: Record<string, Uint8Array>, into = folder): Promise<void> {
  await mkdir(into, { recursive: true });
  for (const [name, bytes] of Object.entries(files)) await writeFile(join(into, name), bytes);
}

describe('named data sets', () => {
  it('mnist is the real one', async () => {
    const mnist = await openDataset('mnist');
    expect(mnist).toMatchObject({ name: 'mnist', channels: 1, height: 28, width: 28, classes: 10 });
    expect([mnist.train.count, mnist.test.count]).toEqual([60_000, 10_000]);
    expect(mnist.train.images).toHaveLength(60_000 * 784);
    expect(mnist.mean[0]?.toFixed(4)).toBe('0.1307');
    expect(mnist.std[0]?.toFixed(4)).toBe('0.3081');
    // The first labels of both splits, as published.
    expect([...mnist.train.labels.subarray(0, 8)]).toEqual([5, 0, 4, 1, 9, 2, 1, 3]);
    expect([...mnist.test.labels.subarray(0, 8)]).toEqual([7, 2, 1, 0, 4, 1, 4, 9]);
    expect(mnist.fingerprint).toBe('4edfe7e18b0f0697256a4a5e46962058245cbf0056b49f314d41e8aa3c2bb7c2');
  });

  it('fashion-mnist comes from the searched folder, with its class names', async () => {
    const files = Object.entries(idxFiles()).map(([name, bytes]): [string, Uint8Array] => [`${name}.gz`, gzipSync(bytes)]);
    await write(Object.fromEntries(files), join(folder, 'fashion-mnist'));
    const fashion = await openDataset('fashion-mnist', { folders: [join(folder, 'nothing'), folder] });
    expect(fashion).toMatchObject({ name: 'fashion-mnist', height: 3, width: 2, train: { count: 12 } });
    expect(fashion.classNames?.[9]).toBe('ankle boot');
  });

  const installed = '/usr/share/datasets/fashion-mnist';
  it.runIf(existsSync(installed))(`fashion-mnist from ${installed}`, async () => {
    const fashion = await openDataset('fashion-mnist', { folders: [] });
    expect([fashion.train.count, fashion.test.count]).toEqual([60_000, 10_000]);
    expect(fashion.mean[0]?.toFixed(4)).toBe('0.2860');
    expect(fashion.std[0]?.toFixed(4)).toBe('0.3530');
  });

  it('a name that is nowhere says where it was looked for, where to get it and where to put it', async () => {
    const target = join(folder, 'cifar-10-batches-bin');
    await expect(openDataset('cifar10', { folders: [folder] })).rejects.toThrow(
      new RegExp(
        `^cifar10: .*searched ${target}\\. Run "n2n data fetch cifar10"; or get .*www\\.cs\\.toronto\\.edu/~kriz/cifar\\.html .*so that ${target} holds data_batch_1\\.bin`,
      ),
    );
  });

  it("the searched folders are N2N_DATA and the user's cache", () => {
    expect(defaultDataFolders({ N2N_DATA: '/data', XDG_CACHE_HOME: '/cache' })).toEqual(['/data', '/cache/n2n/data']);
    expect(defaultDataFolders({ N2N_DATA: '' })).toEqual([expect.stringMatching(/\/\.cache\/n2n\/data$/)]);
  });
});

describe('IDX folders', () => {
  it('holds the bytes, labels and statistics of the files', async () => {
    await write(idxFiles());
    const data = await openDataset(folder);
    expect(data).toMatchObject({ channels: 1, height: 3, width: 2, classes: 10, train: { count: 12 }, test: { count: 5 } });
    expect(data.train.images).toEqual(pixels(72));
    expect(data.test.images).toEqual(pixels(30, 7));
    expect([...data.train.labels]).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 1]);
    const scaled = [...pixels(72)].map((value) => value / 255);
    const mean = scaled.reduce((sum, x) => sum + x, 0) / 72;
    expect(data.mean[0]).toBeCloseTo(mean, 12);
    expect(data.std[0]).toBeCloseTo(Math.sqrt(scaled.reduce((sum, x) => sum + (x - mean) ** 2, 0) / 72), 12);
  });

  it('is the same data set gzip or not, under either spelling; gzip is told by content, not by name', async () => {
    await write(idxFiles());
    const { fingerprint } = await openDataset(folder);
    await rm(folder, { recursive: true });
    const {
      'train-images-idx3-ubyte': trainImages = new Uint8Array(),
      't10k-images-idx3-ubyte': testImages = new Uint8Array(),
      ...labels
    } = idxFiles();
    await write({ ...labels, 'train-images.idx3-ubyte': gzipSync(trainImages), 't10k-images.idx3-ubyte.gz': testImages });
    expect((await openDataset(folder)).fingerprint).toBe(fingerprint);
    const changed = Uint8Array.from(testImages);
    changed[20] = (changed[20] ?? 0) ^ 1;
    await write({ 't10k-images.idx3-ubyte.gz': changed });
    expect((await openDataset(folder)).fingerprint).not.toBe(fingerprint);
  });

  it('takes another number of classes', async () => {
    await write({ ...idxFiles(), 't10k-labels-idx1-ubyte': Buffer.concat([bigEndian(0x801, 5), Uint8Array.of(0, 46, 1, 2, 3)]) });
    expect((await openDataset(folder, { classes: 47 })).classes).toBe(47);
    await expect(openDataset(folder, { classes: 46 })).rejects.toThrow('record 1 has label 46; with 46 classes labels are 0..45');
    await expect(openDataset(folder, { classes: 257 })).rejects.toThrow('classes is 257');
  });
});

it('a channel that never changes has standard deviation 1, so that it can be divided by', () => {
  const split = { count: 3, images: new Uint8Array(3 * 2 * 4).fill(77), labels: new Uint8Array(3) };
  split.images[5] = 78;
  const { mean, std } = channelStatistics(split, 2, 4);
  expect(std[0]).toBe(1);
  expect(mean[0]).toBeCloseTo(77 / 255, 12);
  expect(std[1]).toBeCloseTo(Math.sqrt(11 / 144) / 255, 12);
});

describe('CIFAR-10 folders', () => {
  it.each(['.', 'cifar-10-batches-bin'])('reads the five batches in order, planes apart, from %s', async (inner) => {
    await write(cifarFiles(), join(folder, inner));
    const data = await openDataset(folder);
    expect(data).toMatchObject({ channels: 3, height: 32, width: 32, classes: 10, train: { count: 10 }, test: { count: 3 } });
    expect(data.classNames?.[9]).toBe('truck');
    expect([...data.train.labels]).toEqual([0, 1, 0, 1, 0, 1, 0, 1, 0, 1]);
    expect([...data.test.labels]).toEqual([0, 1, 2]);
    // Record 4 is the first of batch 3.
    expect([0, 1023, 1024, 2048, 3071].map((i) => data.train.images[4 * 3072 + i])).toEqual([30, 30, 31, 32, 32]);
    expect(data.mean.map((value) => value * 255)).toEqual([30, 31, 32].map((value) => expect.closeTo(value, 9)));
    expect((data.std[2] ?? 0) * 255).toBeCloseTo(Math.sqrt(200), 9);
  });
});

describe('bad input', () => {
  const idx = idxFiles();
  const images = idx['train-images-idx3-ubyte'] ?? new Uint8Array();
  const labels = idx['train-labels-idx1-ubyte'] ?? new Uint8Array();
  const packed = gzipSync(images);
  const flipped = Uint8Array.from(packed);
  flipped[packed.length - 6] = (packed[packed.length - 6] ?? 0) ^ 0xff;

  it.each<[string, Record<string, Uint8Array | undefined>, string, string]>([
    [
      'a missing file',
      { 'train-labels-idx1-ubyte': undefined },
      'train-labels-idx1-ubyte',
      'does not exist, while other IDX files of the data set do; it may be called train-labels-idx1-ubyte, train-labels.idx1-ubyte',
    ],
    ['an empty file', { 'train-images-idx3-ubyte': new Uint8Array() }, 'train-images-idx3-ubyte', 'is empty'],
    [
      'a cut header',
      { 'train-images-idx3-ubyte': images.subarray(0, 9) },
      'train-images-idx3-ubyte',
      'holds 9 bytes; IDX images begin with a header of 16 bytes',
    ],
    [
      'a truncated file',
      { 'train-images-idx3-ubyte': images.subarray(0, 87) },
      'train-images-idx3-ubyte',
      'truncated: holds 87 bytes, its header asks for 88',
    ],
    [
      'trailing bytes',
      { 'train-labels-idx1-ubyte': Buffer.concat([labels, Uint8Array.of(1, 2)]) },
      'train-labels-idx1-ubyte',
      'has 2 trailing bytes: its header asks for 20 bytes',
    ],
    [
      'swapped files',
      { 'train-images-idx3-ubyte': Buffer.concat([labels, labels]) },
      'train-images-idx3-ubyte',
      'begins with 0x00000801 (that is an IDX labels file); IDX images begin with 0x00000803',
    ],
    [
      'a foreign file',
      { 't10k-labels-idx1-ubyte': Buffer.from('\x89PNG\r\n\x1a\n', 'latin1') },
      't10k-labels-idx1-ubyte',
      'begins with 0x89504e47; IDX labels begin with 0x00000801',
    ],
    ['other counts', { 'train-labels-idx1-ubyte': idx['t10k-labels-idx1-ubyte'] }, 'train-labels-idx1-ubyte', 'holds 5 labels, but'],
    [
      'a label out of range',
      { 'train-labels-idx1-ubyte': Buffer.concat([labels.subarray(0, 19), Uint8Array.of(10)]) },
      'train-labels-idx1-ubyte',
      'record 11 has label 10; with 10 classes labels are 0..9',
    ],
    [
      'no records',
      { 'train-labels-idx1-ubyte': bigEndian(0x801, 0) },
      'train-labels-idx1-ubyte',
      'declares 0 records; at least one record',
    ],
    ['no pixels', { 'train-images-idx3-ubyte': bigEndian(0x803, 12, 3, 0) }, 'train-images-idx3-ubyte', 'declares 12 images of 3 x 0'],
    [
      'absurd sizes',
      { 'train-images-idx3-ubyte': bigEndian(0x803, 0xffffffff, 0xffffffff, 0xffffffff) },
      'train-images-idx3-ubyte',
      `at most ${MAX_FILE_BYTES} (1 GiB) are read`,
    ],
    [
      'splits of other sizes',
      { 't10k-images-idx3-ubyte': Buffer.concat([bigEndian(0x803, 5, 2, 3), pixels(30)]) },
      't10k-images-idx3-ubyte',
      'holds images of 2 x 3, but',
    ],
    [
      'a cut gzip file',
      { 'train-images-idx3-ubyte': packed.subarray(0, packed.length - 9) },
      'train-images-idx3-ubyte',
      'is a damaged gzip file (unexpected end of file); get it again',
    ],
    [
      'a gzip file with a wrong checksum',
      { 'train-images-idx3-ubyte': flipped },
      'train-images-idx3-ubyte',
      'is a damaged gzip file (incorrect data check)',
    ],
    [
      'a gzip bomb',
      { 'train-images-idx3-ubyte': gzipSync(Buffer.concat([images, new Uint8Array(2 ** 24)])) },
      'train-images-idx3-ubyte',
      'unpacks to more than the 88 bytes',
    ],
    [
      'a gzip file with too little in it',
      { 'train-images-idx3-ubyte': gzipSync(images.subarray(0, 50)) },
      'train-images-idx3-ubyte',
      'truncated: holds 50 bytes unpacked, its header asks for 88',
    ],
    [
      'bytes after a gzip stream',
      { 'train-images-idx3-ubyte': Buffer.concat([packed, new Uint8Array(3)]) },
      'train-images-idx3-ubyte',
      'has 3 bytes after the end of its gzip stream',
    ],
  ])('IDX: %s', async (_, changes, name, message) => {
    for (const [file, bytes] of Object.entries({ ...idx, ...changes })) {
      if (bytes !== undefined) await writeFile(join(folder, file), bytes);
    }
    const error: unknown = await openDataset(folder).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(DataError);
    expect(error).toMatchObject({ path: join(folder, name), message: expect.stringContaining(message) });
    expect(String(error)).toContain(join(folder, name));
  });

  it.each<[string, Record<string, Uint8Array | undefined>, string, string]>([
    ['a missing batch', { 'data_batch_4.bin': undefined }, 'data_batch_4.bin', 'does not exist'],
    [
      'a cut record',
      { 'test_batch.bin': cifarBatch(3, 0).subarray(0, 7000) },
      'test_batch.bin',
      'holds 7000 bytes: 2 records of 3073 bytes and 854 more',
    ],
    [
      'a trailing byte',
      { 'data_batch_2.bin': Buffer.concat([cifarBatch(2, 0), Uint8Array.of(0)]) },
      'data_batch_2.bin',
      '2 records of 3073 bytes and 1 more',
    ],
    ['an empty batch', { 'data_batch_2.bin': new Uint8Array() }, 'data_batch_2.bin', 'is empty'],
    [
      'a label out of range',
      { 'data_batch_3.bin': Buffer.concat([cifarBatch(1, 0), cifarBatch(1, 0).fill(10, 0, 1)]) },
      'data_batch_3.bin',
      'record 1 has label 10; with 10 classes labels are 0..9',
    ],
    [
      'a published file cut between records',
      { 'data_batch_1.bin': new Uint8Array(3073 * 10_000) },
      'data_batch_2.bin',
      'truncated: holds 2 records',
    ],
  ])('CIFAR-10: %s', async (_, changes, name, message) => {
    for (const [file, bytes] of Object.entries({ ...cifarFiles(), ...changes })) {
      if (bytes !== undefined) await writeFile(join(folder, file), bytes);
    }
    const error: unknown = await openDataset(folder).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(DataError);
    expect(error).toMatchObject({ path: join(folder, name), message: expect.stringContaining(message) });
  });

  it('folders that are missing, files, empty, foreign, of the Python kind, or two data sets at once', async () => {
    const file = join(folder, 'notes.txt');
    await expect(openDataset(join(folder, 'nope'))).rejects.toThrow(
      'nope: is neither a folder nor a data set known by name (mnist, fashion-mnist, cifar10, cifar100, svhn)',
    );
    await expect(openDataset(folder)).rejects.toThrow(`${folder}: is empty; a data set is the four IDX files`);
    await writeFile(file, 'x');
    await expect(openDataset(file)).rejects.toThrow(
      'notes.txt: is a file of an unknown kind; give a .npz file, a .tar of images, the folder',
    );
    await expect(openDataset(folder)).rejects.toThrow('holds notes.txt; a data set is the four IDX files');
    await writeFile(join(folder, 'data_batch_1'), 'x');
    await expect(openDataset(folder)).rejects.toThrow('These are CIFAR for Python: the binary version is needed');
    await write({ ...idxFiles(), ...cifarFiles() });
    await expect(openDataset(folder)).rejects.toThrow('holds both IDX files and CIFAR-10 binary files');
  });

  it('a folder in the place of a file, and a file over the limit, are refused without reading', async () => {
    await write(idxFiles());
    const path = join(folder, 'train-images-idx3-ubyte');
    // Sparse: it takes no room on the disk.
    await truncate(path, MAX_FILE_BYTES + 1);
    await expect(openDataset(folder)).rejects.toThrow(`${path}: holds ${MAX_FILE_BYTES + 1} bytes; at most`);
    await rm(path);
    await mkdir(path);
    await expect(openDataset(folder)).rejects.toThrow(`${path}: is not a regular file`);
  });

  it('200 mutated files give a data set or a DataError, in bounded time', async () => {
    const started = performance.now();
    const names = Object.keys(idx);
    let refused = 0;
    await write(idx);
    for (let trial = 0; trial < 200; trial++) {
      const random = keyedRandom(1, 'mutations', trial);
      const name = names[random.int(4)] ?? '';
      const original = idx[name] ?? new Uint8Array();
      await writeFile(join(folder, name), mutate(random.int(2) === 0 ? original : gzipSync(original), random));
      const result: unknown = await openDataset(folder).catch((thrown: unknown) => thrown);
      if (result instanceof Error) {
        expect(result, `trial ${trial}: ${String(result)}`).toBeInstanceOf(DataError);
        refused += 1;
      }
      await writeFile(join(folder, name), original);
    }
    expect(refused).toBeGreaterThan(100);
    expect(performance.now() - started).toBeLessThan(10_000);
  });
});
