// Opens a data set: by name, from a folder or from a file.
import { stat } from 'node:fs/promises';
import { basename, join, resolve } from 'node:path';
import { DataError, describeDataset, type Dataset, type DecodedDataset } from './dataset.js';
import { findLayout, type ReadOptions } from './layouts.js';
import { defaultDataFolders, IDX_DESCRIPTION, isDatasetName, NAMED_DATASETS, searchedFolders, type DatasetName } from './named.js';
import { IMAGE_DEFAULTS, readImages, type ImageOptions } from './images.js';
import { readNpzDataset } from './npz.js';
import { isFolder, listFolder } from './read.js';
import { listTar } from './tar-images.js';

export interface OpenOptions {
  /** Classes of IDX and .npz files, 1..256, default 10: these formats do not say. Other layouts and named data sets have their own. */
  readonly classes?: number;
  /** Where named data sets are looked for first; default: the folder in N2N_DATA, then n2n/data in the user's cache. */
  readonly folders?: readonly string[];
  /** What the images of an image folder or archive become. */
  readonly images?: Partial<ImageOptions>;
}

/**
 * Opens a data set: a name (NAMED_DATASETS), a folder whose files say what it is, a .npz file or a
 * TAR of images. A name wins over a folder of
 * the same name (`./mnist` is the folder). Everything is read and checked: a `DataError` names the file, what was found and
 * what is needed.
 */
export async function openDataset(nameOrPath: string, options: OpenOptions = {}): Promise<Dataset> {
  const classes = options.classes ?? 10;
  if (!Number.isInteger(classes) || classes < 1 || classes > 256) {
    throw new RangeError(`openDataset: classes is ${classes}; labels are single bytes, so it must be an integer in 1..256`);
  }
  if (isDatasetName(nameOrPath)) return openNamed(nameOrPath, options.folders ?? defaultDataFolders());
  const path = resolve(nameOrPath);
  const decoded = await readPath(path, nameOrPath, { classes, images: { ...IMAGE_DEFAULTS, ...options.images } });
  return describeDataset(decoded, basename(path));
}

/** The folder that holds a named data set, or undefined when none of the searched ones exists. */
export async function locateDataset(name: DatasetName, folders: readonly string[] = defaultDataFolders()): Promise<string | undefined> {
  for (const folder of searchedFolders(name, folders)) if (await isFolder(folder)) return folder;
  return undefined;
}

async function openNamed(name: DatasetName, folders: readonly string[]): Promise<Dataset> {
  const source = NAMED_DATASETS[name];
  const folder = await locateDataset(name, folders);
  if (folder === undefined) {
    const searched = searchedFolders(name, folders).join(', ');
    const target = join(folders[0] ?? '.', source.folder);
    throw new DataError(name, `this data set is not on this machine; searched ${searched}. ${source.advice(target)}`);
  }
  return openFolder(name, folder);
}

/** Opens the named data set that the folder must hold. */
export async function openFolder(name: DatasetName, folder: string): Promise<Dataset> {
  const source = NAMED_DATASETS[name];
  const decoded = await readFolder(folder, { classes: source.classNames.length, images: IMAGE_DEFAULTS });
  if (decoded.decoding !== source.decoding) {
    throw new DataError(folder, `holds another data set (${decoded.decoding}) in the place of ${name} (${source.decoding})`);
  }
  return describeDataset(decoded, name, source.classNames);
}

/** Decodes what the path holds; `given` is what the user wrote, for the error when there is nothing. */
async function readPath(path: string, given: string, options: ReadOptions): Promise<DecodedDataset> {
  if (await isFolder(path)) return readFolder(path, options);
  if (path.endsWith('.npz')) return readNpzDataset(path, options.classes);
  if (/\.(tar|tar\.gz|tgz)$/.test(path)) return readImages(await listTar(path), options.images);
  const known = Object.keys(NAMED_DATASETS).join(', ');
  try {
    await stat(path);
  } catch {
    throw new DataError(given, `is neither a folder nor a data set known by name (${known})`);
  }
  throw new DataError(
    given,
    `is a file of an unknown kind; give a .npz file, a .tar of images, the folder with the data set's files, or a name (${known})`,
  );
}

async function readFolder(folder: string, options: ReadOptions): Promise<DecodedDataset> {
  const read = await findLayout(folder);
  if (read !== undefined) return read(options);
  throw foreignFolder(folder, await listFolder(folder));
}

function foreignFolder(folder: string, names: ReadonlySet<string>): DataError {
  const listed = [...names].sort().slice(0, 5).join(', ') + (names.size > 5 ? ', ...' : '');
  const found = names.size === 0 ? 'is empty' : `holds ${listed}`;
  const isPython = ['cifar-10-batches-py', 'cifar-100-python', 'data_batch_1'].some((name) => names.has(name));
  return new DataError(
    folder,
    `${found}; a data set is ${IDX_DESCRIPTION}; the binary files of CIFAR-10 or CIFAR-100; SVHN's .mat files; a .npz file; or folders of PNG or JPEG images, one a class.` +
      (isPython ? ' These are CIFAR for Python: the binary version is needed.' : ''),
  );
}
