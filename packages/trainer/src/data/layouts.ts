// The layouts in which a folder may hold a data set, and which of them one has.
import { join } from 'node:path';
import { CIFAR10, CIFAR100, cifarFiles, readCifarDataset, type CifarLayout } from './cifar.js';
import { DataError, type DecodedDataset } from './dataset.js';
import { IDX_FILES, idxFileNames, readIdxDataset, type IdxPaths } from './idx.js';
import { listImages, readImages, type ImageOptions } from './images.js';
import { readNpzDataset } from './npz.js';
import { isFolder, listFolder } from './read.js';
import { readSvhnDataset, SVHN_FILES } from './svhn.js';

/** What a layout's files leave open. */
export interface ReadOptions {
  /** Classes where the files do not say. */
  readonly classes: number;
  /** What images become, and how they are divided where they are not. */
  readonly images: ImageOptions;
}

type Reader = (options: ReadOptions) => Promise<DecodedDataset>;

interface Layout {
  /** "IDX files" */
  readonly title: string;
  /** How to read the data set that a folder with entries called `names` holds in this layout; undefined when it holds none. */
  find(folder: string, names: ReadonlySet<string>): Promise<Reader | undefined>;
}

const LAYOUTS: readonly Layout[] = [
  { title: 'IDX files', find: findIdx },
  cifarLayout(CIFAR10),
  cifarLayout(CIFAR100),
  {
    title: 'SVHN files',
    find: async (folder, names) => (SVHN_FILES.some((name) => names.has(name)) ? () => readSvhnDataset(folder) : undefined),
  },
  {
    title: 'a .npz file',
    find: async (folder, names) => {
      const [name, ...more] = [...names].filter((entry) => entry.endsWith('.npz')).sort();
      if (name === undefined) return undefined;
      if (more.length > 0) throw new DataError(folder, `holds ${[name, ...more].join(', ')}; give one of these files`);
      return ({ classes }) => readNpzDataset(join(folder, name), classes);
    },
  },
];

/** How to read what the folder holds, or undefined when it is no data set. Throws DataError when it is several. */
export async function findLayout(folder: string): Promise<Reader | undefined> {
  const names = await listFolder(folder);
  let found: { title: string; read: Reader } | undefined;
  for (const { title, find } of LAYOUTS) {
    const read = await find(folder, names);
    if (read === undefined) continue;
    if (found !== undefined) throw new DataError(folder, `holds both ${found.title} and ${title}; give a folder with one data set`);
    found = { title, read };
  }
  return found?.read ?? findImages(folder);
}

/** Asked last: it looks into every folder inside. */
async function findImages(folder: string): Promise<Reader | undefined> {
  const listing = await listImages(folder);
  return listing.entries.length > 0 ? ({ images }) => readImages(listing, images) : undefined;
}

async function findIdx(folder: string, names: ReadonlySet<string>): Promise<Reader | undefined> {
  const present = (name: string): string | undefined => idxFileNames(name).find((variant) => names.has(variant));
  if (Object.values(IDX_FILES).every((name) => present(name) === undefined)) return undefined;
  const path = (name: string): string => {
    const found = present(name);
    if (found !== undefined) return join(folder, found);
    throw new DataError(
      join(folder, name),
      `does not exist, while other IDX files of the data set do; it may be called ${idxFileNames(name).join(', ')}`,
    );
  };
  return ({ classes }) => {
    const paths: IdxPaths = {
      trainImages: path(IDX_FILES.trainImages),
      trainLabels: path(IDX_FILES.trainLabels),
      testImages: path(IDX_FILES.testImages),
      testLabels: path(IDX_FILES.testLabels),
    };
    return readIdxDataset(paths, classes);
  };
}

/** The files lie in the folder itself, or in the subfolder that the published archive makes. */
function cifarLayout(layout: CifarLayout): Layout {
  const files = cifarFiles(layout);
  return {
    title: `${layout.title} binary files`,
    async find(folder, names) {
      if (files.some((name) => names.has(name))) return () => readCifarDataset(layout, folder);
      const inner = join(folder, layout.folder);
      if (!names.has(layout.folder) || !(await isFolder(inner))) return undefined;
      const innerNames = await listFolder(inner);
      return files.some((name) => innerNames.has(name)) ? () => readCifarDataset(layout, inner) : undefined;
    },
  };
}
