// Model files on the command line: .onnx and .safetensors alike, with the preprocessing that goes with them.
import { loadSource, type Dataset, type LoadedSource, type Model, type Preprocessing } from '@n2n/trainer';
import { UsageError } from '../errors.js';
import type { Output } from '../output/output.js';
import { checkFits } from './network.js';

/** --mean and --std. */
export interface PreprocessingFlags {
  readonly mean: readonly number[] | undefined;
  readonly std: readonly number[] | undefined;
}

/** Reads a model file and says what was left out in reading it. */
export async function openSource(output: Output, path: string): Promise<LoadedSource> {
  const source = await loadSource(path);
  for (const note of source.notes) output.note(`${path}: ${note}`);
  return source;
}

/**
 * A model to run on a data set. Preprocessing comes from the flags, else from the file, else from the data set's training images,
 * which is said. Throws UsageError when the model does not fit the data set or the flags do not fit its channels.
 */
export function modelFor(output: Output, path: string, source: LoadedSource, flags: PreprocessingFlags, dataset: Dataset): Model {
  const { spec, weights, preprocessing: own } = source;
  checkFits(spec, dataset);
  const mean = perChannel('--mean', flags.mean, dataset.channels) ?? own?.mean;
  const std = perChannel('--std', flags.std, dataset.channels) ?? own?.std;
  const missing = [...(mean === undefined ? ['mean'] : []), ...(std === undefined ? ['std'] : [])];
  if (missing.length > 0) {
    const values = missing.map(
      (name) => `--${name} ${(name === 'mean' ? dataset.mean : dataset.std).map((value) => value.toFixed(4)).join(',')}`,
    );
    output.note(`${path}: does not say how pixels become inputs; taking ${values.join(' ')} from the training images of ${dataset.name}`);
  }
  return { spec, weights, preprocessing: { mean: mean ?? dataset.mean, std: std ?? dataset.std } };
}

/** The flags, or what the file says; throws UsageError where neither does. */
export function statedPreprocessing({ spec, preprocessing }: LoadedSource, path: string, flags: PreprocessingFlags): Preprocessing {
  const { channels } = spec.input;
  const mean = perChannel('--mean', flags.mean, channels) ?? preprocessing?.mean;
  const std = perChannel('--std', flags.std, channels) ?? preprocessing?.std;
  if (mean !== undefined && std !== undefined) return { mean, std };
  throw new UsageError(
    `${path} does not say how pixels become inputs; give --mean and --std (--mean 0 --std 1 where the network takes pixels scaled to 0..1)`,
  );
}

/** One value for all channels counts for each. */
function perChannel(flag: string, values: readonly number[] | undefined, channels: number): readonly number[] | undefined {
  if (values === undefined || values.length === channels) return values;
  const [only] = values;
  if (values.length === 1 && only !== undefined) return Array.from({ length: channels }, () => only);
  throw new UsageError(`${flag} got ${values.length} values; the images have ${channels} channels, so it needs 1 or ${channels}`);
}
