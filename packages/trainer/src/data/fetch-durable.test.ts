// A power cut loses what was not flushed: in which order a fetched data set is put on the disk, named, and its download removed.
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { expect, it, onTestFinished, vi } from 'vitest';
import { openFetchSetup } from '../testing/file-server.js';
import { fetchDataset } from './fetch.js';
import { PUBLISHED_DATASETS } from './published.js';

const steps = vi.hoisted(() => [] as string[]);

vi.mock(import('node:fs/promises'), async (importOriginal) => {
  const original = await importOriginal();
  const open: typeof original.open = async (path, ...rest) => {
    const handle = await original.open(path, ...rest);
    const sync = handle.sync.bind(handle);
    handle.sync = () => {
      steps.push(`flush ${String(path)}`);
      return sync();
    };
    return handle;
  };
  const rename: typeof original.rename = (from, to) => {
    steps.push(`name ${String(to)}`);
    return original.rename(from, to);
  };
  const remove: typeof original.rm = (path, options) => {
    steps.push(`remove ${String(path)}`);
    return original.rm(path, options);
  };
  return { ...original, open, rename, rm: remove };
});

it('flushes files that are published as they are, and the folders they lie in, before the download is removed', async () => {
  const { folder, server, close } = await openFetchSetup();
  onTestFinished(close);
  const images = Uint8Array.of(0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 2, 1, 2, 3, 4);
  const labels = Uint8Array.of(0, 0, 8, 1, 0, 0, 0, 2, 3, 9);
  const files = PUBLISHED_DATASETS['fashion-mnist'].files.map(({ name }) => {
    const bytes = name.includes('images') ? images : labels;
    server.serve(`/${name}`, bytes);
    return { name, urls: [server.url(`/${name}`)], md5: createHash('md5').update(bytes).digest('hex'), sizeBytes: bytes.length };
  });
  await fetchDataset('fashion-mnist', folder, { source: { ...PUBLISHED_DATASETS['fashion-mnist'], files } });
  const staging = join(folder, 'fashion-mnist.part');
  const named = steps.indexOf(`name ${join(folder, 'fashion-mnist')}`);
  const ready = join(staging, 'ready');
  expect(steps.slice(0, named)).toEqual(
    expect.arrayContaining([...files.map(({ name }) => `flush ${join(ready, name)}`), `flush ${ready}`]),
  );
  const after = steps.slice(named + 1);
  expect(after[0]).toBe(`flush ${folder}`);
  expect(after).toEqual(expect.arrayContaining(files.map(({ name }) => `remove ${join(staging, name)}`)));
});
