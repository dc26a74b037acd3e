// Fetching against a server of this process: what is resumed, what is refused, and that nothing half-written gets the name.
import { createHash } from 'node:crypto';
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { tarOf } from '../testing/data.js';
import { openFetchSetup, type FetchSetup, type FileServer } from '../testing/file-server.js';
import { DataError } from './dataset.js';
import { download } from './download.js';
import { fetchDataset, fetchedBytes } from './fetch.js';
import { openDataset } from './open.js';
import { PUBLISHED_DATASETS, type PublishedDataset, type PublishedFile } from './published.js';

let setup: FetchSetup;
let folder: string;
let server: FileServer;
beforeEach(async () => {
  setup = await openFetchSetup();
  ({ folder, server } = setup);
});
afterEach(() => setup.close());

const content = Uint8Array.from({ length: 300_000 }, (_, i) => (i * 31 + (i >> 8)) & 255);
const md5 = (bytes: Uint8Array): string => createHash('md5').update(bytes).digest('hex');
const published = (bytes: Uint8Array, ...urls: string[]): PublishedFile => ({
  name: 'file',
  urls,
  md5: md5(bytes),
  sizeBytes: bytes.length,
});
const path = (...names: string[]): string => join(folder, ...names);
const isWhole = async (name: string): Promise<boolean> => Buffer.compare(await readFile(path(name)), content) === 0;
const quick = { retryMs: 1 };

describe('download', () => {
  it('gives the bytes their name once they are whole, and asks no server again', async () => {
    server.serve('/file', content);
    const seen: number[] = [];
    const file = published(content, server.url('/file'));
    await download(file, path('file'), { ...quick, onBytes: (bytes) => seen.push(bytes) });
    expect(await isWhole('file')).toBe(true);
    expect(await readdir(folder)).toEqual(['file']);
    expect(seen.at(-1)).toBe(content.length);
    expect(seen).toEqual(seen.toSorted((a, b) => a - b));
    await download(file, path('file'), quick);
    expect(server.requests).toHaveLength(1);
  });

  it('goes on from the byte where a connection broke', async () => {
    server.serve('/file', content, { breakAfter: [100_000, 50_000] });
    await download(published(content, server.url('/file')), path('file'), quick);
    expect(await isWhole('file')).toBe(true);
    const [first, ...later] = server.requests.map(({ range }) => range);
    expect(first).toBeUndefined();
    expect(later).toHaveLength(2);
    // The last bytes before a break may be lost on the way, so that only the order is certain.
    const starts = later.map((range) => Number(/^bytes=(\d+)-$/.exec(range ?? '')?.[1]));
    expect(starts[0]).toBeGreaterThan(0);
    expect(starts[1]).toBeGreaterThan(starts[0]!);
  });

  it('keeps what came when it is stopped, and goes on in the next call', async () => {
    server.serve('/file', content, { stallAfter: 120_000 });
    const stop = new AbortController();
    const file = published(content, server.url('/file'));
    const reason = new Error('stopped');
    const stopAt = (bytes: number): void => {
      if (bytes >= 120_000) stop.abort(reason);
    };
    await expect(download(file, path('file'), { ...quick, signal: stop.signal, onBytes: stopAt })).rejects.toBe(reason);
    expect(await readdir(folder)).toEqual(['file.part']);
    expect((await readFile(path('file.part'))).length).toBe(120_000);
    server.serve('/file', content);
    await download(file, path('file'), quick);
    expect(server.requests.at(-1)?.range).toBe('bytes=120000-');
    expect(await isWhole('file')).toBe(true);
  });

  it('starts anew where the server ignores ranges', async () => {
    await writeFile(path('file.part'), content.subarray(0, 1000));
    server.serve('/file', content, { ranges: false });
    await download(published(content, server.url('/file')), path('file'), quick);
    expect(server.requests.map(({ range }) => range)).toEqual(['bytes=1000-']);
    expect(await isWhole('file')).toBe(true);
  });

  it('gives up a server without ranges whose connections never get further than before', async () => {
    const breakAfter = Array.from({ length: 30 }, (_, i) => (i % 2 === 0 ? 100_000 : 200_000));
    server.serve('/file', content, { ranges: false, breakAfter });
    await expect(download(published(content, server.url('/file')), path('file'), quick)).rejects.toThrow(/bytes are kept/);
    expect(server.requests.length).toBeLessThan(breakAfter.length / 2);
    expect(await readdir(folder)).toEqual(['file.part']);
    const kept = await readFile(path('file.part'));
    expect(kept.length).toBeGreaterThan(0);
    expect(Buffer.compare(kept, content.subarray(0, kept.length))).toBe(0);
  });

  it('gives up a server whose file is wrong twice, however often the connection breaks', async () => {
    const wrong = content.map((byte) => byte ^ 1);
    server.serve('/file', wrong, { breakAfter: Array.from({ length: 30 }, (_, i) => (i % 2 === 0 ? 100_000 : undefined)) });
    await expect(download(published(content, server.url('/file')), path('file'), quick)).rejects.toThrow(/has the MD5 checksum/);
    expect(server.requests.length).toBeLessThan(8);
    expect(await readdir(folder)).toEqual([]);
  });

  it.each([
    ['a short page', 5000, 'the connection ended at byte 5000 of 300000'],
    ['a page that does not end', content.length + 70_000, 'the server sends more than the 300000 bytes published'],
    ['a page of the same size', content.length, 'has the MD5 checksum'],
  ])('keeps what came when the answer is %s without a length', async (_, size, message) => {
    const kept = content.subarray(0, 200_000);
    await writeFile(path('file.part'), kept);
    server.serve('/file', new Uint8Array(size), { ranges: false, chunked: true });
    const failed = download(published(content, server.url('/file')), path('file'), quick);
    await expect(failed).rejects.toThrow(message);
    await expect(failed).rejects.toThrow('200000 of 300000 bytes are kept');
    expect(await readdir(folder)).toEqual(['file.part']);
    expect(Buffer.compare(await readFile(path('file.part')), kept)).toBe(0);
  });

  it('takes a whole file without a length in place of a part', async () => {
    await writeFile(path('file.part'), content.subarray(0, 1000));
    server.serve('/file', content, { ranges: false, chunked: true });
    await download(published(content, server.url('/file')), path('file'), quick);
    expect(await isWhole('file')).toBe(true);
    expect(await readdir(folder)).toEqual(['file']);
  });

  it.each([
    ['another content', content.map((byte) => byte ^ 1).subarray(0, 1000)],
    ['more than the whole', new Uint8Array(content.length + 1)],
    ['a wrong whole', new Uint8Array(content.length)],
  ])('replaces a part that holds %s', async (_, old) => {
    await writeFile(path('file.part'), old);
    server.serve('/file', content);
    await download(published(content, server.url('/file')), path('file'), quick);
    expect(await isWhole('file')).toBe(true);
  });

  it('refuses a file with another checksum, and keeps nothing of it', async () => {
    server.serve(
      '/file',
      content.map((byte) => byte ^ 1),
    );
    await expect(download(published(content, server.url('/file')), path('file'), quick)).rejects.toThrow(
      new RegExp(
        `^file: could not be fetched: http://.*/file: has the MD5 checksum [0-9a-f]{32}; the published file has ${md5(content)}; try again later, or from a mirror$`,
      ),
    );
    expect(server.requests).toHaveLength(1);
    expect(await readdir(folder)).toEqual([]);
  });

  it('refuses a file of another size before it is read, and one that does not end', async () => {
    server.serve('/file', content.subarray(1));
    server.serve('/endless', new Uint8Array(content.length + 70_000), { chunked: true });
    await expect(download(published(content, server.url('/file'), server.url('/endless')), path('file'), quick)).rejects.toThrow(
      /file: the server has a file of 299999 bytes; the published one has 300000; http.*endless: the server sends more than the 300000 bytes/,
    );
  });

  it('takes the next address for a missing file, and names each that failed', async () => {
    server.serve('/there', content);
    await download(published(content, server.url('/gone'), server.url('/there')), path('file'), quick);
    expect(await isWhole('file')).toBe(true);
    const failed = download(published(content, server.url('/gone'), 'http://127.0.0.1:1/file'), path('other'), quick);
    await expect(failed).rejects.toThrow(DataError);
    await expect(failed).rejects.toThrow(
      /gone: the server answered 404 Not Found; http:\/\/127\.0\.0\.1:1\/file: the connection failed \(/,
    );
  });

  it('tries again while a server is overloaded, a few times', async () => {
    server.serve('/file', content, { failures: [503, 500, 429] });
    await download(published(content, server.url('/file')), path('file'), quick);
    expect(server.requests).toHaveLength(4);
    server.serve('/down', content, { failures: [503, 503, 503, 503, 503] });
    await expect(download(published(content, server.url('/down')), path('down'), quick)).rejects.toThrow(/answered 503/);
    expect(server.requests).toHaveLength(8);
  });

  it('gives up a connection that brings nothing, and says what is kept', async () => {
    server.serve('/file', content, { stallAfter: 5000 });
    const failed = download(published(content, server.url('/file')), path('file'), { ...quick, stallMs: 60 });
    await expect(failed).rejects.toThrow(
      /no byte came for 0\.06 s; 5000 of 300000 bytes are kept, and the same command goes on from there/,
    );
  });

  it('says when the disk cannot be written', async () => {
    server.serve('/file', content);
    await expect(download(published(content, server.url('/file')), path('no', 'where'), quick)).rejects.toThrow(
      /where\.part: cannot be written: the folder .*no does not exist/,
    );
  });
});

/** CIFAR-10 of five images a file, as an archive that the server has. */
function cifarSource(records = 5): { source: PublishedDataset; archive: Uint8Array } {
  const files: Record<string, Uint8Array> = { 'batches.meta.txt': Uint8Array.of(97) };
  for (const [i, name] of PUBLISHED_DATASETS.cifar10.archive!.files.entries()) {
    files[name] = Uint8Array.from({ length: records * 3073 }, (_, at) => (at % 3073 === 0 ? (at / 3073) % 10 : (at + i) & 255));
  }
  const archive = gzipSync(
    tarOf(Object.fromEntries(Object.entries(files).map(([name, bytes]) => [`cifar-10-batches-bin/${name}`, bytes]))),
  );
  const source = { ...PUBLISHED_DATASETS.cifar10, files: [{ ...published(archive, server.url('/cifar.tar.gz')), name: 'cifar.tar.gz' }] };
  return { source, archive };
}

describe('fetchDataset', () => {
  it('leaves a data set that its name finds, and nothing else', async () => {
    const { source, archive } = cifarSource();
    server.serve('/cifar.tar.gz', archive);
    const progress: (readonly number[])[] = [];
    const fetched = await fetchDataset('cifar10', folder, { ...quick, source, onProgress: (...now) => progress.push(now) });
    expect(fetched).toMatchObject({ name: 'cifar10', train: { count: 25 }, test: { count: 5 } });
    expect(progress[0]).toEqual([0, archive.length]);
    expect(progress.at(-1)).toEqual([archive.length, archive.length]);
    expect((await openDataset('cifar10', { folders: [folder] })).fingerprint).toBe(fetched.fingerprint);
    expect((await readdir(path('cifar-10-batches-bin'))).toSorted()).toEqual(source.archive!.files.toSorted());
    expect(await readdir(path('cifar-10-batches-bin.part'))).toEqual([]);
  });

  it('shows nothing under its name until it is whole, and goes on file by file', async () => {
    const idx = (words: number[], bytes: number[]): Uint8Array => {
      const header = Buffer.alloc(4 * words.length);
      words.forEach((word, i) => header.writeUInt32BE(word, 4 * i));
      return Uint8Array.from([...header, ...bytes]);
    };
    const images = idx([0x803, 2, 1, 2], [1, 2, 3, 4]);
    const labels = idx([0x801, 2], [3, 9]);
    const files = PUBLISHED_DATASETS['fashion-mnist'].files.map(({ name }, i) => ({
      ...published(i % 2 === 0 ? images : labels, server.url(`/${name}`)),
      name,
    }));
    const source = { ...PUBLISHED_DATASETS['fashion-mnist'], files };
    for (const [i, { name }] of files.slice(0, 3).entries()) server.serve(`/${name}`, i % 2 === 0 ? images : labels);
    await expect(fetchDataset('fashion-mnist', folder, { ...quick, source })).rejects.toThrow(/t10k-labels.*404/);
    expect(await readdir(folder)).toEqual(['fashion-mnist.part']);
    expect(await fetchedBytes('fashion-mnist', folder, source)).toBe(2 * images.length + labels.length);
    server.serve(`/${files[3]!.name}`, labels);
    const asked = server.requests.length;
    const fetched = await fetchDataset('fashion-mnist', folder, { ...quick, source });
    expect(server.requests.length - asked).toBe(1);
    expect(fetched).toMatchObject({ height: 1, width: 2, train: { count: 2 } });
  });

  it('refuses an archive without the files, and one whose files are no data set', async () => {
    const { source, archive } = cifarSource();
    server.serve('/cifar.tar.gz', archive);
    const other = { ...source, archive: { folder: 'cifar-10-batches-bin', files: ['data_batch_6.bin'] } };
    await expect(fetchDataset('cifar10', folder, { ...quick, source: other })).rejects.toThrow(
      /cifar\.tar\.gz: holds no cifar-10-batches-bin\/data_batch_6\.bin/,
    );
    const few = { ...source, archive: { folder: 'cifar-10-batches-bin', files: ['data_batch_1.bin'] } };
    await expect(fetchDataset('cifar10', folder, { ...quick, source: few })).rejects.toThrow(/data_batch_2\.bin: does not exist/);
    expect(await readdir(folder)).toEqual(['cifar-10-batches-bin.part']);
  });

  it('leaves a folder alone that is there already', async () => {
    const { source, archive } = cifarSource();
    server.serve('/cifar.tar.gz', archive);
    await mkdir(path('cifar-10-batches-bin'));
    await writeFile(path('cifar-10-batches-bin', 'mine'), 'mine');
    await expect(fetchDataset('cifar10', folder, { ...quick, source })).rejects.toThrow(/cifar-10-batches-bin: came into being/);
    expect(await readFile(path('cifar-10-batches-bin', 'mine'), 'utf8')).toBe('mine');
  });
});

it('every published file has a checksum, a size and addresses that end in its name', () => {
  for (const { files, homepage, licence } of Object.values(PUBLISHED_DATASETS)) {
    expect(homepage).toMatch(/^https?:/);
    expect(licence).not.toBe('');
    for (const { name, urls, md5: checksum, sizeBytes } of files) {
      expect(checksum).toMatch(/^[0-9a-f]{32}$/);
      expect(sizeBytes).toBeGreaterThan(4000);
      expect(urls.length).toBeGreaterThan(0);
      for (const url of urls) expect(url.endsWith(`/${name}`)).toBe(true);
    }
  }
});
