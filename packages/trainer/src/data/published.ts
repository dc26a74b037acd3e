// Where the named data sets are published, and how a download is known to be right. The checksums are the publishers' own or,
// where they give none, those that torchvision checks against; sizes are those of the same files.
import { CIFAR10, CIFAR100, cifarFiles, type CifarLayout } from './cifar.js';
import { IDX_FILES } from './idx.js';
import type { DatasetName } from './named.js';

export interface PublishedFile {
  readonly name: string;
  /** Addresses of the same bytes, tried in this order. */
  readonly urls: readonly string[];
  /** MD5 (hex) of the file as published: it tells damage and mix-ups, which is all that it is for. */
  readonly md5: string;
  readonly sizeBytes: number;
}

export interface PublishedDataset {
  readonly homepage: string;
  /** What the publisher says of its use. */
  readonly licence: string;
  readonly files: readonly PublishedFile[];
  /** Where the file is a .tar.gz: the folder in it, and which of that folder's files make the data set. */
  readonly archive?: { readonly folder: string; readonly files: readonly string[] };
}

type Row = readonly [name: string, sizeBytes: number, md5: string];

const filesAt = (bases: readonly string[], rows: readonly Row[]): PublishedFile[] =>
  rows.map(([name, sizeBytes, md5]) => ({ name, sizeBytes, md5, urls: bases.map((base) => `${base}/${name}`) }));

const { trainImages, trainLabels, testImages, testLabels } = IDX_FILES;

export const PUBLISHED_DATASETS: Readonly<Record<DatasetName, PublishedDataset>> = {
  mnist: {
    homepage: 'http://yann.lecun.com/exdb/mnist',
    licence: 'CC BY-SA 3.0 (Yann LeCun, Corinna Cortes)',
    // The authors' own server often refuses; the first address is the copy that PyTorch keeps.
    files: filesAt(
      ['https://ossci-datasets.s3.amazonaws.com/mnist', 'http://yann.lecun.com/exdb/mnist'],
      [
        [`${trainImages}.gz`, 9_912_422, 'f68b3c2dcbeaaa9fbdd348bbdeb94873'],
        [`${trainLabels}.gz`, 28_881, 'd53e105ee54ea40749a09fcbcd1e9432'],
        [`${testImages}.gz`, 1_648_877, '9fb629c4189551a2d022fa330f9573f3'],
        [`${testLabels}.gz`, 4_542, 'ec29112dd5afa0611ce80d1b7f02629c'],
      ],
    ),
  },
  'fashion-mnist': {
    homepage: 'https://github.com/zalandoresearch/fashion-mnist',
    licence: 'MIT (Zalando SE)',
    files: filesAt(
      [
        'http://fashion-mnist.s3-website.eu-central-1.amazonaws.com',
        'https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion',
      ],
      [
        [`${trainImages}.gz`, 26_421_880, '8d4fb7e6c68d591d4c3dfef9ec88bf0d'],
        [`${trainLabels}.gz`, 29_515, '25c81989df183df01b3e8a0aad5dffbe'],
        [`${testImages}.gz`, 4_422_102, 'bef4ecab320f06d8554ea6380940ec79'],
        [`${testLabels}.gz`, 5_148, 'bb300cfdad3c16e7a12a480ee83cd310'],
      ],
    ),
  },
  cifar10: cifar(CIFAR10, ['cifar-10-binary.tar.gz', 170_052_171, 'c32a1d4ab5d03f1284b67883e8d87530']),
  cifar100: cifar(CIFAR100, ['cifar-100-binary.tar.gz', 168_513_733, '03b5dce01913d631647c71ecec9e9cb8']),
  svhn: {
    homepage: 'http://ufldl.stanford.edu/housenumbers',
    licence: 'for non-commercial use only (Netzer et al. 2011)',
    files: filesAt(
      ['http://ufldl.stanford.edu/housenumbers'],
      [
        ['train_32x32.mat', 182_040_794, 'e26dedcc434d2e4c54c9b2d4a06d8373'],
        ['test_32x32.mat', 64_275_384, 'eb5a983be6a315427106f1b164d9cef3'],
      ],
    ),
  },
};

function cifar(layout: CifarLayout, archive: Row): PublishedDataset {
  return {
    homepage: 'https://www.cs.toronto.edu/~kriz/cifar.html',
    licence: 'none stated; the authors ask to cite Krizhevsky 2009',
    files: filesAt(['https://www.cs.toronto.edu/~kriz'], [archive]),
    archive: { folder: layout.folder, files: cifarFiles(layout) },
  };
}
