// Small data sets in the published layouts, made of patterns that a small network learns in a few steps.
import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { crc32, deflateSync } from 'node:zlib';
import { keyedRandom } from '@n2n/trainer';

interface Records {
  readonly images: Uint8Array[];
  readonly labels: number[];
}

/** Noise with a bright square whose place tells the class: class k is cell k of a grid of `cells` x `cells`. */
function patterns(name: string, count: number, classes: number, channels: number, size: number): Records {
  const cells = Math.ceil(Math.sqrt(classes));
  const side = Math.floor(size / cells);
  const images: Uint8Array[] = [];
  const labels: number[] = [];
  for (let i = 0; i < count; i++) {
    const random = keyedRandom(7, name, i);
    const label = i % classes;
    const image = Uint8Array.from({ length: channels * size * size }, () => random.int(90));
    const [top, left] = [Math.floor(label / cells) * side, (label % cells) * side];
    for (let c = 0; c < channels; c++) {
      for (let y = top; y < top + side; y++) {
        for (let x = left; x < left + side; x++) image[(c * size + y) * size + x] = 150 + random.int(100);
      }
    }
    images.push(image);
    labels.push(label);
  }
  return { images, labels };
}

export interface IdxOptions {
  readonly train: number;
  readonly test: number;
  readonly classes: number;
  readonly size: number;
}

/** Writes the four IDX files of images of 1 x size x size. */
export async function writeIdx(folder: string, { train, test, classes, size }: IdxOptions): Promise<void> {
  await mkdir(folder, { recursive: true });
  for (const [prefix, count] of [
    ['train', train],
    ['t10k', test],
  ] as const) {
    const { images, labels } = patterns(prefix, count, classes, 1, size);
    await writeFile(join(folder, `${prefix}-images-idx3-ubyte`), Buffer.concat([header(0x803, [count, size, size]), ...images]));
    await writeFile(join(folder, `${prefix}-labels-idx1-ubyte`), Buffer.concat([header(0x801, [count]), Uint8Array.from(labels)]));
  }
}

function header(magic: number, sizes: readonly number[]): Buffer {
  const bytes = Buffer.alloc(4 + 4 * sizes.length);
  bytes.writeUInt32BE(magic, 0);
  sizes.forEach((size, i) => bytes.writeUInt32BE(size, 4 + 4 * i));
  return bytes;
}

/** Writes the six files of CIFAR-10's binary layout with `perFile` images each. */
export async function writeCifar10(folder: string, perFile: number): Promise<void> {
  await mkdir(folder, { recursive: true });
  const names = ['data_batch_1', 'data_batch_2', 'data_batch_3', 'data_batch_4', 'data_batch_5', 'test_batch'];
  for (const name of names) {
    const { images, labels } = patterns(name, perFile, 10, 3, 32);
    const records = images.map((image, i) => Buffer.concat([Uint8Array.of(labels[i] ?? 0), image]));
    await writeFile(join(folder, `${name}.bin`), Buffer.concat(records));
  }
}

/** Writes PNG files of size x size, RGB, as train/CLASS/i.png and test/CLASS/i.png; class c of `classes` is a letter. */
export async function writeImageFolder(folder: string, { train, test, classes, size }: IdxOptions): Promise<void> {
  for (const [split, count] of Object.entries({ train, test })) {
    const { images, labels } = patterns(split, count, classes, 3, size);
    for (const [i, image] of images.entries()) {
      const path = join(folder, split, String.fromCharCode(97 + (labels[i] ?? 0)), `${i}.png`);
      await mkdir(dirname(path), { recursive: true });
      await writeFile(path, png(image, size));
    }
  }
}

/** `planes`: [3, size, size]. */
function png(planes: Uint8Array, size: number): Uint8Array {
  const rows = Buffer.alloc(size * (1 + 3 * size)); // each row begins with its filter, 0 for none
  for (let y = 0; y < size; y++) {
    for (let x = 0; x < size; x++) {
      for (let c = 0; c < 3; c++) rows[y * (1 + 3 * size) + 1 + 3 * x + c] = planes[(c * size + y) * size + x] ?? 0;
    }
  }
  const shape = Buffer.alloc(13);
  shape.writeUInt32BE(size, 0);
  shape.writeUInt32BE(size, 4);
  shape.set([8, 2], 8); // bits a channel; RGB
  const parts = { IHDR: shape, IDAT: deflateSync(rows), IEND: Buffer.alloc(0) };
  const chunks = Object.entries(parts).map(([type, content]) => {
    const body = Buffer.concat([Buffer.from(type), content]);
    const [length, checksum] = [Buffer.alloc(4), Buffer.alloc(4)];
    length.writeUInt32BE(content.length);
    checksum.writeUInt32BE(crc32(body));
    return Buffer.concat([length, body, checksum]);
  });
  return Buffer.concat([Uint8Array.of(137, 80, 78, 71, 13, 10, 26, 10), ...chunks]);
}

/** A network of three convolutions for channels x size x size images, small enough to train in a second. */
export function smallSpec(classes: number, size: number, channels = 1): object {
  const conv = (filters: number): object[] => [
    { type: 'conv2d', attributes: { filters, kernel: 3, padding: 1, bias: false } },
    { type: 'batch-norm' },
    { type: 'relu' },
  ];
  return {
    name: 'small',
    input: { channels, height: size, width: size },
    classes,
    nodes: [
      ...conv(16),
      { type: 'max-pool', attributes: { kernel: 2 } },
      ...conv(24),
      ...conv(24),
      { type: 'global-average-pool' },
      { type: 'linear', attributes: { features: classes } },
    ],
  };
}
