// Data sets by name (MNIST, Fashion-MNIST, CIFAR-10, CIFAR-100, SVHN), from a folder or from a file.
export { DataError, type Dataset, type Split } from './dataset.js';
export { defaultDataFolders, isDatasetName, NAMED_DATASETS, type DatasetName } from './named.js';
export { discardFetched, fetchDataset, fetchedBytes, fetchFolders, prepareFetch, publishedBytes } from './fetch.js';
export { locateDataset, openDataset, openFolder, type OpenOptions } from './open.js';
export { PUBLISHED_DATASETS, type PublishedDataset } from './published.js';
export { SelectionError, splitValidation, subset, type ValidationOptions } from './select.js';
