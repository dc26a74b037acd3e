// Data sets: MNIST and Fashion-MNIST (IDX files), CIFAR-10 (binary files), by name or from a folder.
export { DataError, type Dataset, type Split } from './dataset.js';
export { defaultDataFolders, isDatasetName, NAMED_DATASETS, openDataset, type DatasetName, type OpenOptions } from './open.js';
export { SelectionError, splitValidation, subset, type ValidationOptions } from './select.js';
