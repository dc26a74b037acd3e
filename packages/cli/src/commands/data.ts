// n2n data list, n2n data fetch NAME: the data sets known by name, what there is of them on this machine, and how to get one.
import { readdir, rmdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import {
  DataError,
  defaultDataFolders,
  discardFetched,
  fetchDataset,
  fetchedBytes,
  fetchFolders,
  isDatasetName,
  locateDataset,
  NAMED_DATASETS,
  openFolder,
  prepareFetch,
  PUBLISHED_DATASETS,
  publishedBytes,
  type Dataset,
  type DatasetName,
  type PublishedDataset,
} from '@n2n/trainer';
import { suggestion } from '@n2n/trainer/network';
import { defineCommand } from '../command.js';
import type { Context } from '../context.js';
import { InputError, InterruptedError, UsageError } from '../errors.js';
import { bytes, count } from '../output/format.js';
import { table } from '../output/table.js';
import { acquireLock, type Lock } from '../run/lock.js';
import { optionalText } from '../settings/kinds.js';

/** The folder that data sets are fetched into: the first of those searched. */
const rootOf = (folders: readonly string[]): string => folders[0] ?? '.';

export const dataListCommand = defineCommand({
  name: 'data list',
  about: 'data sets known by name: what is here, where and how large, and where it comes from',
  settings: {},
  async run(context) {
    const folders = defaultDataFolders(context.variables);
    const datasets = await Promise.all(
      Object.keys(NAMED_DATASETS)
        .filter(isDatasetName)
        .map((name) => describe(name, folders)),
    );
    context.output.result({ folders, datasets }, () => readable(datasets, folders));
  },
});

interface Listed {
  readonly name: DatasetName;
  /** Where the name is looked up; null when it is nowhere. */
  readonly folder: string | null;
  /** Of the files in that folder. */
  readonly bytes: number;
  /** What `n2n data fetch` downloads, and how much of that an unfinished attempt has left. */
  readonly downloadBytes: number;
  readonly fetchedBytes: number;
  readonly licence: string;
  readonly homepage: string;
  readonly files: PublishedDataset['files'];
}

async function describe(name: DatasetName, folders: readonly string[]): Promise<Listed> {
  const published = PUBLISHED_DATASETS[name];
  const { licence, homepage, files } = published;
  const folder = (await locateDataset(name, folders)) ?? null;
  return {
    name,
    folder,
    bytes: folder === null ? 0 : await folderBytes(folder),
    downloadBytes: publishedBytes(published),
    fetchedBytes: await fetchedBytes(name, rootOf(folders)),
    licence,
    homepage,
    files,
  };
}

async function folderBytes(folder: string): Promise<number> {
  // A link that leads nowhere has no size.
  const sizes = (await readdir(folder)).map(async (name) => stat(join(folder, name)).catch(() => undefined));
  return (await Promise.all(sizes)).reduce((sum, status) => sum + (status?.isFile() === true ? status.size : 0), 0);
}

function readable(datasets: readonly Listed[], folders: readonly string[]): string {
  const rows = datasets.map(({ name, folder, bytes: size, downloadBytes, fetchedBytes: fetched, licence, homepage }) => {
    const rest = fetched === 0 ? bytes(downloadBytes) : `${bytes(fetched)} of ${bytes(downloadBytes)}`;
    return [name, folder === null ? `${rest} to fetch` : bytes(size), folder ?? '', licence, homepage];
  });
  const columns = [
    { title: 'name' },
    { title: 'size', align: 'right' },
    { title: 'folder' },
    { title: 'licence' },
    { title: 'source' },
  ] as const;
  return `${table(columns, rows)}\nlooked for in ${folders.join(', ')}; n2n data fetch NAME puts one into ${rootOf(folders)}\n`;
}

export const dataFetchCommand = defineCommand({
  name: 'data fetch',
  about: "downloads a data set into N2N_DATA or the user's cache, where --data NAME finds it; goes on with what an earlier call has left",
  arguments: [{ name: '<name>', about: Object.keys(NAMED_DATASETS).join(', ') }],
  settings: {
    mirror: optionalText({
      flags: '--mirror <url>',
      about: "take the files from URL/NAME/FILE in place of the publisher's addresses; the checksums stay",
    }),
  },
  async run(context, { mirror }, [name = '']) {
    if (!isDatasetName(name)) {
      const known = Object.keys(NAMED_DATASETS);
      throw new UsageError(`data fetch got "${name}"${suggestion(name, known)}; it needs one of ${known.join(', ')}`);
    }
    const source = sourceOf(context, name, mirror);
    const folders = defaultDataFolders(context.variables);
    const { dataset, folder, fetched } = await obtain(context, name, folders, source);
    const { train, test, fingerprint } = dataset;
    const document = {
      name,
      folder,
      fetched,
      bytes: await folderBytes(folder),
      train: train.count,
      test: test.count,
      fingerprint,
      licence: source.licence,
    };
    context.output.result(
      document,
      () => `${name} ${fetched ? 'is now in' : 'is already in'} ${folder}: ${describeImages(dataset)}\nlicence: ${source.licence}\n`,
    );
  },
});

interface Obtained {
  readonly dataset: Dataset;
  readonly folder: string;
  /** Whether this command has downloaded it. */
  readonly fetched: boolean;
}

/** Opens the data set where it is, or fetches it. */
async function obtain(context: Context, name: DatasetName, folders: readonly string[], source: PublishedDataset): Promise<Obtained> {
  const root = rootOf(folders);
  const { target, staging } = fetchFolders(name, root);
  const present = await locateDataset(name, folders);
  if (present !== undefined) {
    const dataset = await openPresent(name, present);
    // Where there is nothing to remove, or it cannot be removed, the data set is there all the same.
    if (present === target) await tidy(name, root, source).catch(() => undefined);
    return { dataset, folder: present, fetched: false };
  }
  return whileLocked(await lockPrepared(name, root), staging, async () => {
    // Another process may have fetched it since.
    const since = await locateDataset(name, folders);
    if (since === undefined) return { dataset: await fetchInto(context, name, root, source), folder: target, fetched: true };
    const dataset = await openPresent(name, since);
    if (since === target) await discardFetched(name, root, source);
    return { dataset, folder: since, fetched: false };
  });
}

/** Nothing that is there is replaced: it may be the user's own. */
async function openPresent(name: DatasetName, folder: string): Promise<Dataset> {
  try {
    return await openFolder(name, folder);
  } catch (error) {
    if (!(error instanceof DataError)) throw error;
    throw new InputError(`${error.message}; remove ${folder} to fetch ${name} anew`, { cause: error });
  }
}

const describeImages = ({ train, test, channels, height, width }: Dataset): string =>
  `${count(train.count)} + ${count(test.count)} images of ${channels}x${height}x${width}`;

/** The published data set, its files at the mirror where there is one. Throws UsageError. */
function sourceOf({ published }: Context, name: DatasetName, mirror: string | undefined): PublishedDataset {
  const source = published?.[name] ?? PUBLISHED_DATASETS[name];
  if (mirror === undefined) return source;
  if (!URL.canParse(mirror) || !/^https?:$/.test(new URL(mirror).protocol)) {
    throw new UsageError(`--mirror got "${mirror}"; it needs an address that begins with http:// or https://`);
  }
  const base = mirror.replace(/\/+$/, '');
  return { ...source, files: source.files.map((file) => ({ ...file, urls: [`${base}/${name}/${file.name}`] })) };
}

/** More processes than will end just then. */
const LOCK_ATTEMPTS = 10;

/** Makes and locks the staging folder. Between the two, a process that has just ended may remove it. */
async function lockPrepared(name: DatasetName, root: string): Promise<Lock> {
  for (let attempt = 1; ; attempt++) {
    const { staging } = await prepareFetch(name, root);
    try {
      return await acquireLock(staging);
    } catch (error) {
      const isGone = error instanceof Error && 'code' in error && error.code === 'ENOENT';
      if (!isGone || attempt === LOCK_ATTEMPTS) throw error;
    }
  }
}

/** Does the work and gives the staging folder back. */
async function whileLocked<T>(lock: Lock, staging: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } finally {
    await lock.release();
    // Only when it is empty: what an unfinished attempt has left is for the next one.
    await rmdir(staging).catch(() => undefined);
  }
}

/** Removes what a process has left that was killed when its data set had got its name, unless another process is at it. */
async function tidy(name: DatasetName, root: string, source: PublishedDataset): Promise<void> {
  const { staging } = fetchFolders(name, root);
  await whileLocked(await acquireLock(staging), staging, () => discardFetched(name, root, source));
}

/** Fetches into the locked staging folder. An interruption keeps what came and says so. */
async function fetchInto(context: Context, name: DatasetName, root: string, source: PublishedDataset): Promise<Dataset> {
  context.output.note(`fetching ${name} (${bytes(publishedBytes(source))}; licence: ${source.licence}) of ${source.homepage}`);
  const progress = context.output.progress(`fetching ${name}`, 'bytes');
  try {
    return await fetchDataset(name, root, {
      source,
      signal: context.signal,
      onProgress: (there, total) => progress.update(there, total, `${bytes(there)} of ${bytes(total)}`),
    });
  } catch (error) {
    if (!(error instanceof InterruptedError)) throw error;
    const kept = bytes(await fetchedBytes(name, root, source));
    throw new InterruptedError(error.signalName, `${error.message}; ${kept} are kept, and n2n data fetch ${name} goes on from there`);
  }
}
