// 200 mutated files over every format but IDX (open.test.ts mutates those): each gives a data set or a DataError, soon, in bounded memory.
import { afterAll, beforeAll, expect, it } from 'vitest';
import { gzipSync } from 'node:zlib';
import { keyedRandom } from '../random.js';
import { cifar100Records, dataFolder, fixture, mutate, tarOf, type Files } from '../testing/data.js';
import { DataError } from './dataset.js';
import { openDataset } from './open.js';

const image = (name: string): Uint8Array => fixture('images', name);
const pictures: Files = {
  'train/a/1.png': image('png'),
  'train/a/2.png': image('png-interlaced'),
  'train/b/1.png': image('png-palette'),
  'train/b/2.jpg': image('jpeg'),
  'train/b/3.jpg': image('jpeg-progressive'),
  'test/a/1.png': image('png-16'),
  'test/b/1.jpg': image('jpeg-grey'),
};
/** What is opened, and the files of which one is mutated. */
const SETS: readonly { readonly open: string; readonly files: Files }[] = [
  { open: 'cifar', files: { 'cifar/train.bin': cifar100Records(3), 'cifar/test.bin': cifar100Records(2) } },
  { open: 'svhn', files: { 'svhn/train_32x32.mat': fixture('files', 'svhn-train'), 'svhn/test_32x32.mat': fixture('files', 'svhn-test') } },
  { open: 'a.npz', files: { 'a.npz': fixture('files', 'npz-nhwc') } },
  { open: 'b.npz', files: { 'b.npz': fixture('files', 'npz-nhw') } },
  { open: 'set', files: Object.fromEntries(Object.entries(pictures).map(([name, bytes]) => [`set/${name}`, bytes])) },
  { open: 'set', files: Object.fromEntries(Object.entries(pictures).map(([name, bytes]) => [`set/${name}`, bytes])) },
  { open: 'a.tar', files: { 'a.tar': tarOf(pictures) } },
  { open: 'b.tgz', files: { 'b.tgz': gzipSync(tarOf(pictures)) } },
];

let folder: Awaited<ReturnType<typeof dataFolder>>;
beforeAll(async () => {
  folder = await dataFolder();
  for (const { files } of SETS) await folder.write(files);
});
afterAll(() => folder.remove());

it('200 mutated files give a data set or a DataError, soon and in bounded memory', { timeout: 120_000 }, async () => {
  let refused = 0;
  let slowestMs = 0;
  const before = process.memoryUsage().rss;
  for (let trial = 0; trial < 200; trial++) {
    const random = keyedRandom(2, 'data-mutations', trial);
    const { open, files } = SETS[trial % SETS.length] ?? { open: '', files: {} };
    const names = Object.keys(files);
    const name = names[random.int(names.length)] ?? '';
    const original = files[name] ?? new Uint8Array();
    await folder.write({ [name]: mutate(original, random) });
    // Processor time: the machine may be busy with other things.
    const started = process.cpuUsage();
    const result: unknown = await openDataset(`${folder.path}/${open}`, { classes: 10 }).catch((thrown: unknown) => thrown);
    const { user, system } = process.cpuUsage(started);
    slowestMs = Math.max(slowestMs, (user + system) / 1000);
    if (result instanceof Error) {
      expect(result, `trial ${trial}: ${name}: ${String(result)} ${result.stack}`).toBeInstanceOf(DataError);
      refused += 1;
    }
    await folder.write({ [name]: original });
  }
  expect(refused).toBeGreaterThan(100);
  expect(slowestMs).toBeLessThan(3000);
  expect(process.memoryUsage().rss - before).toBeLessThan(600e6);
});
