// CIFAR-100, SVHN and .npz: what SciPy and NumPy wrote is read back exactly, and each way in which a file can be wrong is named.
import { deflateSync, inflateSync } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { cifar100Records, dataFolder, fixture, fixturePixels } from '../testing/data.js';
import { DataError } from './dataset.js';
import { openDataset } from './open.js';

let folder: Awaited<ReturnType<typeof dataFolder>>;
beforeEach(async () => {
  folder = await dataFolder();
});
afterEach(() => folder.remove());

async function refused(path: string, classes = 10): Promise<DataError> {
  const error: unknown = await openDataset(path, { classes }).catch((thrown: unknown) => thrown);
  expect(error).toBeInstanceOf(DataError);
  return error as DataError;
}

describe('CIFAR-100', () => {
  const files = { 'train.bin': cifar100Records(130), 'test.bin': cifar100Records(7) };

  it.each(['', 'cifar-100-binary/'])('takes the fine labels, from "%s"', async (inner) => {
    await folder.write(Object.fromEntries(Object.entries(files).map(([name, bytes]) => [inner + name, bytes])));
    const data = await openDataset(folder.path);
    expect(data).toMatchObject({ channels: 3, height: 32, width: 32, classes: 100, train: { count: 130 }, test: { count: 7 } });
    expect([...data.train.labels.subarray(97, 103)]).toEqual([97, 98, 99, 0, 1, 2]);
    expect([0, 1024, 3071].map((i) => data.train.images[5 * 3072 + i])).toEqual([5, 6, 7]);
    expect(data.classNames).toHaveLength(100);
    expect([data.classNames?.[0], data.classNames?.[57], data.classNames?.[99]]).toEqual(['apple', 'pear', 'worm']);
  });

  it('by name, from its folder in a searched one', async () => {
    await folder.write({ 'cifar-100-binary/train.bin': cifar100Records(3), 'cifar-100-binary/test.bin': cifar100Records(2) });
    expect(await openDataset('cifar100', { folders: [folder.path] })).toMatchObject({
      name: 'cifar100',
      classes: 100,
      train: { count: 3 },
    });
    await expect(openDataset('cifar10', { folders: [folder.path] })).rejects.toThrow('cifar10: this data set is not on this machine');
  });

  it.each<[string, Record<string, Uint8Array>, string]>([
    [
      'a cut record',
      { 'test.bin': cifar100Records(2).subarray(0, 4000) },
      'test.bin: holds 4000 bytes: 1 records of 3074 bytes and 926 more',
    ],
    [
      'a fine label',
      { 'train.bin': cifar100Records(2).fill(100, 3075, 3076) },
      'record 1 has label 100; with 100 classes labels are 0..99',
    ],
    ['a coarse label', { 'train.bin': cifar100Records(2).fill(20, 0, 1) }, 'record 0 has coarse label 20; with 20 classes'],
    ['a cut at a record', { 'train.bin': new Uint8Array(50_000 * 3074) }, 'test.bin: truncated: holds 7 records'],
  ])('refuses %s', async (_, changes, message) => {
    await folder.write({ ...files, ...changes });
    expect((await refused(folder.path)).message).toContain(message);
  });
});

describe('SVHN', () => {
  const files = { 'train_32x32.mat': fixture('files', 'svhn-train'), 'test_32x32.mat': fixture('files', 'svhn-test') };

  it('is what SciPy wrote, packed or not, with label 10 as the digit 0', async () => {
    await folder.write(files);
    const data = await openDataset(folder.path);
    expect(data).toMatchObject({ channels: 3, height: 32, width: 32, classes: 10, train: { count: 12 }, test: { count: 3 } });
    expect(data.train.images).toEqual(fixturePixels(12, 3, 32, 32));
    expect(data.test.images).toEqual(fixturePixels(3, 3, 32, 32));
    expect([...data.train.labels]).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 1, 2]);
  });

  it('by name; another data set in its place is refused', async () => {
    await folder.write(Object.fromEntries(Object.entries(files).map(([name, bytes]) => [`svhn/${name}`, bytes])));
    expect(await openDataset('svhn', { folders: [folder.path] })).toMatchObject({
      name: 'svhn',
      classNames: expect.arrayContaining(['9']),
    });
    await folder.write({ 'cifar-10-batches-bin/train.bin': cifar100Records(1), 'cifar-10-batches-bin/test.bin': cifar100Records(1) });
    await expect(openDataset('cifar10', { folders: [folder.path] })).rejects.toThrow(
      'holds another data set (cifar100) in the place of cifar10',
    );
  });

  const train = files['train_32x32.mat'];
  const test = files['test_32x32.mat'];
  const changed = (bytes: Uint8Array, at: number, ...values: number[]): Uint8Array => {
    const copy = Uint8Array.from(bytes);
    copy.set(values, at);
    return copy;
  };
  /** Where the unpacked test file has the values of y: eight bytes each, at its end. */
  const lastLabel = test.length - 8;

  it.each<[string, Record<string, Uint8Array>, string]>([
    ['a cut file', { 'train_32x32.mat': train.subarray(0, train.length - 40) }, 'truncated: declares'],
    ['a cut header', { 'test_32x32.mat': test.subarray(0, 100) }, 'holds 100 bytes; a MATLAB 5 file begins with a header of 128 bytes'],
    ['a foreign file', { 'test_32x32.mat': new Uint8Array(500).fill(7) }, 'is no MATLAB 5 file'],
    ['an HDF5 file', { 'test_32x32.mat': Buffer.concat([Buffer.from('MATLAB 7.3 MAT-file'), new Uint8Array(500)]) }, 'save it with -v7'],
    [
      'a label',
      { 'test_32x32.mat': changed(test, lastLabel, 0, 0, 0, 0, 0, 0, 0x26, 0x40) },
      "record 2 has label 11; SVHN's labels are 1..10",
    ],
    ['half a label', { 'test_32x32.mat': changed(test, lastLabel, 0, 0, 0, 0, 0, 0, 0xf8, 0x3f) }, 'record 2 has label 1.5'],
    ['other counts', { 'test_32x32.mat': withOneLabelLess(test) }, 'labels in y, but'],
    ['a missing file', { 'train_32x32.mat': new Uint8Array() }, 'train_32x32.mat: is empty'],
  ])('refuses %s', async (_, changes, message) => {
    await folder.write({ ...files, ...changes });
    expect((await refused(folder.path)).message).toContain(message);
  });

  it('refuses a bomb by what it declares, and one that lies about it', async () => {
    const begin = train.subarray(0, 128);
    const bomb = (declared: number): Uint8Array => {
      const content = new Uint8Array(2 ** 22);
      new DataView(content.buffer).setUint32(0, 14, true);
      new DataView(content.buffer).setUint32(4, declared, true);
      const packed = deflateSync(content);
      const tag = new Uint32Array([15, packed.length]);
      return Buffer.concat([begin, new Uint8Array(tag.buffer), packed]);
    };
    await folder.write({ ...files, 'train_32x32.mat': bomb(0xf0000000) });
    expect((await refused(folder.path)).message).toContain('at byte 128 declares 4026531840 bytes; at most');
    await folder.write({ 'train_32x32.mat': bomb(4096) });
    expect((await refused(folder.path)).message).toContain('unpacks to more than the 4104 bytes that it declares');
  });

  it('the fixture is packed, so that unpacking is tested', () => {
    expect(new DataView(train.buffer, train.byteOffset).getUint32(128, true)).toBe(15);
    const size = new DataView(train.buffer, train.byteOffset).getUint32(132, true);
    expect(inflateSync(train.subarray(136, 136 + size)).readUInt32LE(0)).toBe(14);
  });

  /** `bytes` with y declared as, and cut to, two values: its dimensions are the last 3 x 1 in the file. */
  function withOneLabelLess(bytes: Uint8Array): Uint8Array {
    const at = Buffer.from(bytes).lastIndexOf(Buffer.from([3, 0, 0, 0, 1, 0, 0, 0]));
    const copy = changed(bytes.subarray(0, bytes.length - 8), at, 2);
    const numbers = new DataView(copy.buffer);
    // The sizes of y's values and of y itself, each less by one value.
    const values = copy.length - 16 - 4;
    numbers.setUint32(values, 16, true);
    const matrix = at - 8 - 16 - 4;
    numbers.setUint32(matrix, numbers.getUint32(matrix, true) - 8, true);
    return copy;
  }
});

describe('.npz', () => {
  it.each([
    ['npz-nhw', 1, fixturePixels(12, 3, 5, 4)],
    ['npz-nhwc', 3, fixturePixels(12, 3, 5, 4)],
    ['npz-nchw', 3, fixturePixels(12, 3, 5, 4)],
  ] as const)('%s is what NumPy wrote', async (name, channels, pixels) => {
    await folder.write({ 'data.npz': fixture('files', name) });
    const data = await openDataset(`${folder.path}/data.npz`);
    expect(data).toMatchObject({ channels, height: 5, width: 4, classes: 10, train: { count: 12 }, test: { count: 3 } });
    const perImage = [...Array(12).keys()].flatMap((n) => [...pixels.subarray(n * 60, n * 60 + channels * 20)]);
    expect([...data.train.images]).toEqual(perImage);
    expect([...data.test.images]).toEqual(perImage.slice(0, 3 * channels * 20));
    expect([...data.train.labels]).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 1]);
    // The folder is the data set too; the two colour layouts hold the same content.
    expect((await openDataset(folder.path)).fingerprint).toBe(data.fingerprint);
  });

  it('has one fingerprint in either layout', async () => {
    await folder.write({ 'a.npz': fixture('files', 'npz-nhwc') });
    const first = await openDataset(folder.path);
    await folder.write({ 'a.npz': fixture('files', 'npz-nchw') });
    expect((await openDataset(folder.path)).fingerprint).toBe(first.fingerprint);
  });

  const stored = fixture('files', 'npz-nhw');
  const packed = fixture('files', 'npz-nhwc');
  const at = (bytes: Uint8Array, text: string): number => Buffer.from(bytes).indexOf(text);
  const edit = (bytes: Uint8Array, place: number, value: number): Uint8Array => Uint8Array.from(bytes, (x, i) => (i === place ? value : x));
  const central = (bytes: Uint8Array): number => at(bytes, 'PK\u0001\u0002');

  it.each<[string, Uint8Array, string]>([
    ['a cut archive', stored.subarray(0, stored.length - 30), 'has no end-of-directory record'],
    ['a foreign file', new Uint8Array(100), 'is no ZIP archive'],
    ["Fortran's order", fixture('files', 'npz-fortran'), "x_train is stored in Fortran's order"],
    ['floats', fixture('files', 'npz-float'), 'x_train has values of type "<f4"; images are bytes'],
    ['a damaged value', edit(stored, at(stored, 'NUMPY') + 140, 99), '"x_train.npy" has a wrong checksum'],
    ['a missing array', edit(stored, at(stored.subarray(central(stored)), 'y_test') + central(stored), 122), 'holds no "y_test.npy"'],
    ['another method', edit(packed, central(packed) + 10, 9), 'is packed by method 9'],
    ['encryption', edit(packed, central(packed) + 8, 1), '"x_train.npy" is encrypted'],
    ['a huge declared size', edit(packed, central(packed) + 27, 0xf0), 'unpacked bytes; at most'],
    ['a small declared size', edit(packed, central(packed) + 24, 1), 'unpacks to more than the'],
    ['a place beyond', edit(packed, central(packed) + 44, 0xf0), '"x_train.npy": no entry begins at byte'],
  ])('refuses %s', async (_, bytes, message) => {
    await folder.write({ 'data.npz': bytes });
    const error = await refused(`${folder.path}/data.npz`);
    expect(error.path).toBe(`${folder.path}/data.npz`);
    expect(error.message).toContain(message);
  });

  it('refuses labels beyond the classes, and two archives in a folder', async () => {
    await folder.write({ 'data.npz': stored });
    expect((await refused(folder.path, 5)).message).toContain('y_train: record 5 has label 5; with 5 classes labels are 0..4');
    await folder.write({ 'more.npz': stored });
    expect((await refused(folder.path)).message).toContain('holds data.npz, more.npz; give one of these files');
  });
});
