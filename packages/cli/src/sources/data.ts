// --data, opened.
import { NAMED_DATASETS, openDataset, type Dataset } from '@n2n/trainer';
import { UsageError } from '../errors.js';

/** What says how the data set is read; what is left out has its default. */
export interface DataOptions {
  readonly classes?: number | undefined;
  /** Height and width. */
  readonly imageSize?: readonly number[] | undefined;
  readonly imageColor?: 'rgb' | 'grey' | undefined;
  readonly testShare?: number | undefined;
  readonly splitSeed?: number | undefined;
}

export async function openData(name: string | undefined, options: DataOptions): Promise<Dataset> {
  if (name === undefined) {
    throw new UsageError(`--data is missing; it needs a name (${Object.keys(NAMED_DATASETS).join(', ')}) or the path of a data set`);
  }
  const { classes, imageSize: [height = 32, width = height] = [], imageColor, testShare = 0.2, splitSeed = 1 } = options;
  const images = { channels: imageColor === 'grey' ? 1 : 3, height, width, testShare, splitSeed } as const;
  return openDataset(name, { ...(classes === undefined ? {} : { classes }), images });
}
