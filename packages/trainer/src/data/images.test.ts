// Images: what libvips decodes is what is decoded here; folders and TARs of them are data sets; bad ones are refused by name.
import { crc32, deflateSync, gzipSync } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { dataFolder, fixture, tarOf, type Files } from '../testing/data.js';
import { DataError } from './dataset.js';
import { decodeImage } from './image.js';
import { openDataset } from './open.js';
import { resize } from './resize.js';

let folder: Awaited<ReturnType<typeof dataFolder>>;
beforeEach(async () => {
  folder = await dataFolder();
});
afterEach(() => folder.remove());

const SIZE = { height: 13, width: 21 } as const;
const images = { channels: 3, height: 13, width: 21 } as const;

/** [height, width, channels] -> [channels, height, width] */
function planes(pixels: Uint8Array, channels: number): number[] {
  const size = pixels.length / channels;
  return Array.from(pixels, (_, i) => pixels[(i % size) * channels + Math.floor(i / size)] ?? 0);
}

function largestDifference(a: ArrayLike<number>, b: ArrayLike<number>): number {
  expect(a.length).toBe(b.length);
  return Math.max(...Array.from(a, (value, i) => Math.abs(value - (b[i] ?? 0))));
}

function chunk(type: string, content: Uint8Array): Uint8Array {
  const body = Buffer.concat([Buffer.from(type), content]);
  const ends = Buffer.alloc(8);
  ends.writeUInt32BE(content.length, 0);
  ends.writeUInt32BE(crc32(body), 4);
  return Buffer.concat([ends.subarray(0, 4), body, ends.subarray(4)]);
}

/** A grey PNG with 8 bits a pixel whose pixel data may be anything. */
function png(width: number, height: number, data: Uint8Array): Uint8Array {
  const header = Buffer.from([0, 0, 0, 0, 0, 0, 0, 0, 8, 0, 0, 0, 0]);
  header.writeUInt32BE(width, 0);
  header.writeUInt32BE(height, 4);
  const signature = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);
  return Buffer.concat([signature, chunk('IHDR', header), chunk('IDAT', deflateSync(data)), chunk('IEND', new Uint8Array())]);
}

/** One grey pixel of a value. */
const pixel = (value: number): Uint8Array => png(1, 1, Uint8Array.of(0, value));

describe('decoding', () => {
  it.each(['png', 'png-interlaced', 'png-palette', 'png-alpha', 'png-16'])('%s is what libvips decodes', (name) => {
    expect([...decodeImage(name, fixture('images', name), images)]).toEqual(planes(fixture('images', `${name}/pixels`), 3));
  });

  it('grey stays grey, and becomes three equal channels', () => {
    const pixels = fixture('images', 'png-grey/pixels');
    expect([...decodeImage('g', fixture('images', 'png-grey'), { channels: 1, ...SIZE })]).toEqual([...pixels]);
    expect([...decodeImage('g', fixture('images', 'png-grey'), images)]).toEqual([...pixels, ...pixels, ...pixels]);
  });

  // Decoders differ in the inverse transform's rounding, and in how they spread chroma that is stored at half the size.
  it.each([
    ['jpeg-444', 3, 3],
    ['jpeg', 3, 24],
    ['jpeg-progressive', 3, 24],
    ['jpeg-grey', 1, 2],
  ] as const)('%s is what libvips decodes, within rounding', (name, channels, tolerance) => {
    const decoded = decodeImage(name, fixture('images', name), { channels, ...SIZE });
    expect(largestDifference(decoded, planes(fixture('images', `${name}/pixels`), channels))).toBeLessThanOrEqual(tolerance);
  });

  it.each<[string, Uint8Array, string]>([
    ['a PNG bomb', png(100_000, 100_000, new Uint8Array(10)), 'declares an image of 100000 x 100000; at most 33554432 pixels'],
    ['a PNG that unpacks to more', png(2, 2, new Uint8Array(2 ** 22)), 'its pixel data unpacks to more than the 6 bytes'],
    ['a PNG with too little', png(2, 2, new Uint8Array(5)), 'its pixel data unpacks to 5 bytes; it declares 6'],
    ['no pixels', png(0, 3, new Uint8Array(3)), 'declares an image of 0 x 3'],
    ['a cut PNG', fixture('images', 'png').subarray(0, 400), 'truncated PNG'],
    ['a changed PNG', fixture('images', 'png').map((byte, i) => (i === 300 ? byte ^ 1 : byte)), 'has a wrong checksum'],
    ['a JPEG bomb', withJpegSize(fixture('images', 'jpeg'), 65_500, 65_500), 'declares an image of 65500 x 65500; at most'],
    ['a JPEG without a frame', Uint8Array.of(0xff, 0xd8, 0xff, 0xd9, 0, 0), 'it has 0 frame headers'],
    ['something else', Buffer.from('GIF89a'), 'is neither PNG nor JPEG (it begins with 0x47494638)'],
  ])('refuses %s', (_, bytes, message) => {
    expect(() => decodeImage('x.png', bytes, images)).toThrow(DataError);
    expect(() => decodeImage('x.png', bytes, images)).toThrow(message);
  });
});

function withJpegSize(bytes: Uint8Array, width: number, height: number): Uint8Array {
  const copy = Buffer.from(bytes);
  const frame = copy.indexOf(Buffer.from([0xff, 0xc0]));
  copy.writeUInt16BE(height, frame + 5);
  copy.writeUInt16BE(width, frame + 7);
  return copy;
}

describe('resizing', () => {
  const row = (...pixels: number[]) => ({ width: pixels.length, height: 1, channels: 1 as const, pixels: Uint8Array.from(pixels) });

  it('is bilinear when it enlarges', () => {
    // Centres of the four targets at 0.25, 0.75, 1.25, 1.75 of two sources at 0.5 and 1.5.
    expect([...resize(row(0, 200), 1, 4)]).toEqual([0, 50, 150, 200]);
  });

  it('is antialiased when it shrinks', () => {
    // Each target sees four sources or, at the ends, three: weights 1, 3, 3, 1, those outside left out.
    expect([...resize(row(100, 0, 0, 0, 0, 70), 1, 3)]).toEqual([43, 0, 30]);
    const checks = {
      width: 8,
      height: 8,
      channels: 1 as const,
      pixels: Uint8Array.from({ length: 64 }, (_, i) => ((i + (i >> 3)) % 2) * 254),
    };
    expect([...resize(checks, 1, 1)]).toEqual([127]);
  });

  it('scales the sides independently, channels apart', () => {
    const two = { width: 1, height: 2, channels: 3 as const, pixels: Uint8Array.of(0, 10, 20, 100, 110, 120) };
    expect([...resize(two, 1, 2)]).toEqual([50, 60, 70, 50, 60, 70]);
  });
});

describe('folders and archives', () => {
  const divided: Files = {
    'train/cat/a.png': pixel(1),
    'train/cat/b.PNG': pixel(2),
    'train/dog/deep/c.png': pixel(3),
    'train/dog/notes.txt': Buffer.from('x'),
    'test/cat/d.png': pixel(4),
    'test/dog/e.jpg': fixture('images', 'jpeg-grey'),
  };
  const options = { images: { channels: 1, height: 1, width: 1 } } as const;

  it('classes are in the order of their names, images in that of their paths', async () => {
    await folder.write(divided);
    const data = await openDataset(folder.path, options);
    expect(data).toMatchObject({ channels: 1, height: 1, width: 1, classes: 2, classNames: ['cat', 'dog'] });
    expect([...data.train.images]).toEqual([1, 2, 3]);
    expect([...data.train.labels]).toEqual([0, 0, 1]);
    expect([...data.test.labels]).toEqual([0, 1]);
  });

  it('a TAR is the same data set, gzip or not, with folders around it or not', async () => {
    await folder.write(divided);
    const { fingerprint } = await openDataset(folder.path, options);
    const around = Object.fromEntries(Object.entries(divided).map(([name, bytes]) => [`./pets/${name}`, bytes]));
    await folder.write({ 'a.tar': tarOf(divided), 'b.tgz': gzipSync(tarOf({ 'pets/': new Uint8Array(), ...around })) });
    expect((await openDataset(`${folder.path}/a.tar`, options)).fingerprint).toBe(fingerprint);
    expect((await openDataset(`${folder.path}/b.tgz`, options)).fingerprint).toBe(fingerprint);
    const larger = await openDataset(`${folder.path}/a.tar`, { images: { ...options.images, width: 2 } });
    expect(larger.fingerprint).not.toBe(fingerprint);
  });

  it('one folder is divided by seed, each class by the same share', async () => {
    const files = [...Array(10).keys()].flatMap((i): [string, Uint8Array][] => [
      [`cat/${i}.png`, pixel(i)],
      [`dog/${i}.png`, pixel(100 + i)],
    ]);
    await folder.write(Object.fromEntries(files));
    const data = await openDataset(folder.path, { images: { ...options.images, testShare: 0.3 } });
    expect([data.train.count, data.test.count]).toEqual([14, 6]);
    expect([...data.test.labels]).toEqual([0, 0, 0, 1, 1, 1]);
    expect([...data.train.images, ...data.test.images].sort((a, b) => a - b)).toEqual(files.map((_, i) => (i < 10 ? i : 90 + i)));
    const again = await openDataset(folder.path, { images: { ...options.images, testShare: 0.3 } });
    const other = await openDataset(folder.path, { images: { ...options.images, testShare: 0.3, splitSeed: 2 } });
    expect(again.fingerprint).toBe(data.fingerprint);
    expect([...other.test.images]).not.toEqual([...data.test.images]);
  });

  it.each<[string, Files, string, string]>([
    ['an undecodable file', { 'train/cat/b.PNG': Buffer.from('text') }, 'train/cat/b.PNG', 'is neither PNG nor JPEG'],
    ['a class of test only', { 'test/eel/a.png': pixel(1) }, 'test/eel', 'is a class that train has not'],
    ['an empty class', { 'train/eel/notes.txt': Buffer.from('x') }, 'train/eel', 'is an empty class'],
    ['a class without test images', { 'train/eel/a.png': pixel(1) }, 'test/eel', 'is an empty class'],
    ['an image in no class', { 'train/loose.png': pixel(1) }, 'train/loose.png', "lies in no class's folder"],
    ['another kind of image', { 'train/cat/x.webp': pixel(1) }, 'train/cat/x.webp', 'PNG and JPEG are'],
  ])('refuses %s, in a folder and in a TAR', async (_, changes, place, message) => {
    const files = { ...divided, ...changes };
    await folder.write(Object.fromEntries(Object.entries(files).map(([name, bytes]) => [`set/${name}`, bytes])));
    await folder.write({ 'set.tar': tarOf(files) });
    for (const path of [`${folder.path}/set`, `${folder.path}/set.tar`]) {
      const error: unknown = await openDataset(path, options).catch((thrown: unknown) => thrown);
      expect(error).toBeInstanceOf(DataError);
      expect(error).toMatchObject({ path: `${path}/${place}`, message: expect.stringContaining(message) });
    }
  });

  it.each<[string, Uint8Array, string]>([
    ['a name that leads out', tarOf({ '../../x.png': pixel(1) }), 'is called "../../x.png", which leads out of the archive'],
    ['an absolute name', tarOf({ '/etc/x.png': pixel(1) }), 'which leads out of the archive'],
    ['a cut archive', tarOf(divided).subarray(0, 700), 'truncated TAR'],
    ['a file twice', Buffer.concat([tarOf(divided).subarray(0, 1024), tarOf(divided)]), 'holds "train/cat/a.png" twice'],
    ['something else', new Uint8Array(2048).fill(65), 'is no TAR or is damaged'],
  ])('refuses a TAR with %s', async (_, bytes, message) => {
    await folder.write({ 'a.tar': bytes });
    await expect(openDataset(`${folder.path}/a.tar`, options)).rejects.toThrow(message);
  });
});
