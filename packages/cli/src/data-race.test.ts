// n2n data fetch where another process works on the same data set or was killed at it.
import { execFile, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { cp, mkdir, readdir, readFile, rmdir, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { hostname } from 'node:os';
import { promisify } from 'node:util';
import { PUBLISHED_DATASETS } from '@n2n/trainer';
import { afterAll, afterEach, beforeAll, expect, it, vi } from 'vitest';
import { n2nJson, temporaryFolder } from './testing/cli.js';
import { writeCifar10 } from './testing/data.js';

/** What other processes do just before the next lock is asked for. */
const meanwhile = vi.hoisted(() => [] as ((folder: string) => Promise<unknown>)[]);

vi.mock(import('./run/lock.js'), async (importOriginal) => {
  const original = await importOriginal();
  const acquireLock: typeof original.acquireLock = async (folder) => {
    await meanwhile.shift()?.(folder);
    return original.acquireLock(folder);
  };
  return { ...original, acquireLock };
});

const ARCHIVE = 'cifar-10-binary.tar.gz';
let folder: Awaited<ReturnType<typeof temporaryFolder>>;
let server: Server;
let archive: Buffer;
let requests = 0;
let published: Partial<typeof PUBLISHED_DATASETS>;

beforeAll(async () => {
  folder = await temporaryFolder();
  await writeCifar10(folder.path('cifar-10-batches-bin'), 10);
  await promisify(execFile)('tar', ['-czf', folder.path('a.tgz'), '-C', folder.path(), 'cifar-10-batches-bin']);
  archive = await readFile(folder.path('a.tgz'));
  server = createServer((_, response) => {
    requests++;
    response.writeHead(200, { 'content-length': archive.length }).end(archive);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const urls = [`http://127.0.0.1:${(server.address() as AddressInfo).port}/${ARCHIVE}`];
  const md5 = createHash('md5').update(archive).digest('hex');
  published = { cifar10: { ...PUBLISHED_DATASETS.cifar10, files: [{ name: ARCHIVE, urls, md5, sizeBytes: archive.length }] } };
});
afterAll(async () => {
  server.closeAllConnections();
  server.close();
  await folder.remove();
});
afterEach(() => {
  meanwhile.length = 0;
  requests = 0;
});

const fetchInto = (root: string): Promise<Record<string, unknown>> =>
  n2nJson(['data', 'fetch', 'cifar10'], { variables: { N2N_DATA: folder.path(root) }, published });
/** The data set under its name, as another process puts it there. */
const complete = (root: string): Promise<void> =>
  cp(folder.path('cifar-10-batches-bin'), folder.path(root, 'cifar-10-batches-bin'), { recursive: true });

it('opens what another process has fetched between the look and the lock', async () => {
  meanwhile.push(() => complete('late'));
  expect(await fetchInto('late')).toMatchObject({ fetched: false, folder: folder.path('late', 'cifar-10-batches-bin'), train: 50 });
  expect(requests).toBe(0);
  expect(await readdir(folder.path('late'))).toEqual(['cifar-10-batches-bin']);
});

it('makes its folder again when a process that ends removes it', async () => {
  meanwhile.push(rmdir, rmdir);
  expect(await fetchInto('removed')).toMatchObject({ fetched: true, train: 50 });
  expect(meanwhile).toEqual([]);
  expect(await readdir(folder.path('removed'))).toEqual(['cifar-10-batches-bin']);
});

it('removes the download of a process that was killed when its data set had got its name', async () => {
  await complete('killed');
  const staging = folder.path('killed', 'cifar-10-batches-bin.part');
  await mkdir(staging);
  await writeFile(`${staging}/${ARCHIVE}`, archive);
  const lock = { pid: process.ppid, host: hostname(), started: null, token: 'x' };
  await writeFile(`${staging}/lock`, JSON.stringify(lock));
  expect(await fetchInto('killed')).toMatchObject({ fetched: false, train: 50 });
  // Its process lives.
  expect((await readdir(staging)).toSorted()).toEqual([ARCHIVE, 'lock']);
  await writeFile(`${staging}/lock`, JSON.stringify({ ...lock, pid: spawnSync('true').pid }));
  expect(await fetchInto('killed')).toMatchObject({ fetched: false, train: 50 });
  expect(await readdir(folder.path('killed'))).toEqual(['cifar-10-batches-bin']);
  expect(requests).toBe(0);
});
