// Starting a run: everything that can be refused is refused before the run directory is made.
import type { Gpu } from '@n2n/kernels';
import { checkSearch } from '@n2n/agent';
import type { Dataset } from '@n2n/trainer';
import { COMPRESS, VALIDATION_FRACTION } from '../budgets.js';
import { UsageError } from '../errors.js';
import { adapterRecord } from '../output/adapter.js';
import { configurationSha256, RUN_FORMAT, sha256, type Configuration, type RunRecord } from '../run/record.js';
import { Run } from '../run/run.js';
import { choicesSha256 } from '../tuning/store.js';
import { VERSION } from '../version.js';
import { augments } from './network.js';
import { searchOptions } from './search.js';
import { checkBatch, choose, divide } from './split.js';
import { POLICIES_FILE, type Transfer } from './transfer.js';

/** How many training images judge candidates when --validation does not say. */
export const defaultValidation = (images: number): number =>
  Math.min(COMPRESS.validation, Math.max(1, Math.round(VALIDATION_FRACTION * images)));

/** How many views an image gets when --views does not say. */
export const defaultViews = (flags: Parameters<typeof augments>[0]): number => (augments(flags) ? COMPRESS.views : 0);

/** Throws what the search would throw later: UsageError, SelectionError, ConfigurationError. */
export function checkConfiguration(configuration: Configuration, dataset: Dataset, transfer?: Transfer): void {
  const { validation, subset, seed, batch, views } = configuration;
  checkSearch(searchOptions(configuration), transfer?.policies);
  if (views > 0 && !augments(configuration)) {
    throw new UsageError(
      `--views got ${views}, but without augmentation every view is the image itself; it needs --crop-padding, --flip or --cutout, or 0`,
    );
  }
  const options = { validation, classes: dataset.classes, seed };
  const { train } = divide(dataset.train, options);
  checkBatch(batch, choose(train, dataset.train, subset, options).length);
}

/** Makes the run directory, locked by this process. */
export async function createRun(
  path: string,
  command: RunRecord['command'],
  configuration: Configuration,
  dataset: Dataset,
  gpu: Gpu,
  files: { readonly teacher?: Uint8Array; readonly transfer?: Transfer | undefined } = {},
): Promise<Run> {
  const { teacher, transfer } = files;
  const record: RunRecord = {
    format: RUN_FORMAT,
    command,
    createdAt: new Date().toISOString(),
    versions: { n2n: VERSION, node: process.versions.node },
    adapter: adapterRecord(gpu.adapter),
    kernels: { choices: gpu.choices, sha256: choicesSha256(gpu.choices) },
    data: { name: dataset.name, fingerprint: dataset.fingerprint },
    teacherSha256: teacher === undefined ? null : sha256(teacher),
    configuration,
    configurationSha256: configurationSha256(configuration),
  };
  return Run.create(path, record, {
    ...(teacher === undefined ? {} : { 'teacher.safetensors': teacher }),
    ...(transfer === undefined ? {} : { [POLICIES_FILE]: transfer.content }),
  });
}
