// Fetches a named data set: downloads its files, unpacks what is packed, reads it as a user would, and only then moves it to where
// the name finds it. Until then everything lies in `FOLDER.part`, which the next attempt goes on from.
import { constants, copyFile, mkdir, open, rename, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { flushFolder, writing } from '../files/atomic.js';
import { DataError, type Dataset } from './dataset.js';
import { bytesThere, download, downloadPaths, type DownloadOptions } from './download.js';
import { NAMED_DATASETS, type DatasetName } from './named.js';
import { openFolder } from './open.js';
import { PUBLISHED_DATASETS, type PublishedDataset } from './published.js';
import { errorCode } from './read.js';
import { readTar } from './tar.js';

export interface FetchOptions extends Omit<DownloadOptions, 'onBytes'> {
  /** In place of the published addresses. */
  readonly source?: PublishedDataset;
  /** Called with the bytes that are there and those that there will be, over all files. */
  readonly onProgress?: (bytes: number, total: number) => void;
}

/** Where a data set lies in one of the searched folders, and what is being fetched of it. */
export function fetchFolders(name: DatasetName, root: string): { readonly target: string; readonly staging: string } {
  const target = join(root, NAMED_DATASETS[name].folder);
  return { target, staging: `${target}.part` };
}

/** Where the data set's files are put together. */
const readyOf = (staging: string): string => join(staging, 'ready');

/** The same as fetchFolders, with the folder for what is being fetched made. Throws FileWriteError. */
export async function prepareFetch(name: DatasetName, root: string): Promise<ReturnType<typeof fetchFolders>> {
  const folders = fetchFolders(name, root);
  await writing(folders.staging, () => mkdir(folders.staging, { recursive: true }));
  return folders;
}

/** Bytes of all files of a data set, as published. */
export const publishedBytes = ({ files }: PublishedDataset): number => files.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);

/** Bytes that an unfinished attempt has left. */
export async function fetchedBytes(name: DatasetName, root: string, source = PUBLISHED_DATASETS[name]): Promise<number> {
  const { staging } = fetchFolders(name, root);
  const sizes = await Promise.all(source.files.map((file) => bytesThere(join(staging, file.name))));
  return sizes.reduce((sum, size) => sum + size, 0);
}

/**
 * Puts the data set into its folder below `root`, which must not exist yet, and returns it. One process at a time. Throws DataError
 * when a file cannot be had or is not what it should be, FileWriteError, and the signal's reason when aborted: what came is kept.
 */
export async function fetchDataset(name: DatasetName, root: string, options: FetchOptions = {}): Promise<Dataset> {
  const { source = PUBLISHED_DATASETS[name], onProgress, ...downloading } = options;
  const { target, staging } = await prepareFetch(name, root);
  const total = publishedBytes(source);
  let before = 0;
  for (const file of source.files) {
    const path = join(staging, file.name);
    onProgress?.(before + (await bytesThere(path)), total);
    const done = before;
    await download(file, path, { ...downloading, onBytes: (bytes) => onProgress?.(done + bytes, total) });
    before += file.sizeBytes;
  }
  const ready = readyOf(staging);
  await writing(ready, () => unpack(source, staging, ready));
  options.signal?.throwIfAborted();
  const dataset = await openFolder(name, ready);
  await writing(target, () => moveInPlace(ready, target));
  // The download goes only when a power cut cannot take what was made of it.
  await flushFolder(dirname(target));
  await discardFetched(name, root, source);
  return dataset;
}

/** Removes everything that an attempt to fetch the data set has left, but not the folder itself. One process at a time. */
export async function discardFetched(name: DatasetName, root: string, source = PUBLISHED_DATASETS[name]): Promise<void> {
  const { staging } = fetchFolders(name, root);
  const paths = source.files.flatMap((file) => downloadPaths(join(staging, file.name)));
  for (const path of [...paths, readyOf(staging)]) await writing(path, () => rm(path, { recursive: true, force: true }));
}

/** Makes `ready` hold the data set's files and nothing else, all of it on the disk. */
async function unpack({ files, archive }: PublishedDataset, staging: string, ready: string): Promise<void> {
  await rm(ready, { recursive: true, force: true });
  await mkdir(ready);
  for (const { name } of files) {
    const path = join(staging, name);
    // A copy, by reference where the file system can: the download stays until the data set has been read.
    if (archive === undefined) await copyDurably(path, join(ready, name));
    else await unpackArchive(path, archive, ready);
  }
  await flushFolder(ready);
}

async function copyDurably(from: string, to: string): Promise<void> {
  await copyFile(from, to, constants.COPYFILE_FICLONE);
  const copy = await open(to, 'r+');
  try {
    await copy.sync();
  } finally {
    await copy.close();
  }
}

async function unpackArchive(path: string, archive: NonNullable<PublishedDataset['archive']>, ready: string): Promise<void> {
  const entries = await readTar(path);
  for (const name of archive.files) {
    const inner = `${archive.folder}/${name}`;
    const entry = entries.find((each) => each.kind === 'file' && each.path === inner);
    if (entry === undefined) throw new DataError(path, `holds no ${inner}, which the data set is made of`);
    await writeFile(join(ready, name), entry.bytes, { flush: true });
  }
}

async function moveInPlace(ready: string, target: string): Promise<void> {
  try {
    await rename(ready, target);
  } catch (error) {
    const code = errorCode(error);
    if (code !== 'ENOTEMPTY' && code !== 'EEXIST' && code !== 'ENOTDIR') throw error;
    throw new DataError(target, 'came into being while the data set was fetched; move it away, and fetch again');
  }
}
