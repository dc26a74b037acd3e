// --data, opened.
import { NAMED_DATASETS, openDataset, type Dataset } from '@n2n/trainer';
import { UsageError } from '../errors.js';

export async function openData(name: string | undefined, classes: number): Promise<Dataset> {
  if (name === undefined) {
    throw new UsageError(`--data is missing; it needs a name (${Object.keys(NAMED_DATASETS).join(', ')}) or the path of a data set`);
  }
  return openDataset(name, { classes });
}
