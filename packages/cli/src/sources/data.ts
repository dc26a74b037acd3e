// --data, opened.
import { openDataset, type Dataset } from '@n2n/trainer';
import { UsageError } from '../errors.js';

export async function openData(name: string | undefined, classes: number): Promise<Dataset> {
  if (name === undefined) throw new UsageError('--data is missing; it needs mnist, fashion-mnist, cifar10 or a folder with a data set');
  return openDataset(name, { classes });
}
