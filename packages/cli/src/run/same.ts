// Whether a run can go on where it stopped: only with the same configuration, version, adapter and data does it come to the
// same bits. What differs is refused by name.
import { unknownChoices, type Choices } from '@n2n/kernels';
import type { Dataset } from '@n2n/trainer';
import { InputError, UsageError } from '../errors.js';
import { adapterName, type AdapterRecord } from '../output/adapter.js';
import { choicesSha256 } from '../tuning/store.js';
import { VERSION } from '../version.js';
import { configurationSha256, type RunRecord } from './record.js';

/** Before anything is opened. Throws UsageError. */
export function checkSameConfiguration(folder: string, { configuration, configurationSha256: expected, versions }: RunRecord): void {
  if (configurationSha256(configuration) !== expected) {
    throw new UsageError(
      `the configuration in ${folder}/run.json has changed since the run began; put it back, or begin a new run with the new one`,
    );
  }
  if (versions.n2n !== VERSION) {
    throw new UsageError(
      `the run ${folder} was begun by n2n ${versions.n2n}, this is ${VERSION}; go on with that version, or begin a new run`,
    );
  }
}

/** Throws InputError. */
export function checkSameData(folder: string, { data }: RunRecord, dataset: Dataset): void {
  if (dataset.fingerprint === data.fingerprint) return;
  throw new InputError(
    `the data set "${data.name}" has changed since the run ${folder} began (fingerprint ${dataset.fingerprint.slice(0, 16)}, then ` +
      `${data.fingerprint.slice(0, 16)}); put the data back, or begin a new run`,
  );
}

/** Another adapter or driver rounds differently. Throws UsageError. */
export function checkSameAdapter(folder: string, { adapter }: RunRecord, found: AdapterRecord): void {
  const same = (Object.keys(adapter) as (keyof AdapterRecord)[]).every((key) => adapter[key] === found[key]);
  if (same) return;
  throw new UsageError(
    `the run ${folder} was begun on ${adapterName(adapter)}; this is ${adapterName(found)}. Go on with that adapter and driver (--adapter), or begin a new run`,
  );
}

/**
 * The choices of kernels that the run began with, which it goes on with whatever tuning the machine has by now. Throws UsageError when
 * they were changed or name a variant that this version does not have.
 */
export function sameChoices(folder: string, { kernels }: RunRecord): Choices {
  if (kernels === undefined) return {};
  if (choicesSha256(kernels.choices) !== kernels.sha256) {
    throw new UsageError(
      `the choices of kernels in ${folder}/run.json have changed since the run began; put them back, or begin a new run`,
    );
  }
  const [unknown] = unknownChoices(kernels.choices);
  if (unknown === undefined) return kernels.choices;
  throw new UsageError(`the run ${folder} was begun with kernels that this n2n does not have (${unknown}); begin a new run`);
}
