// What a run that exists goes on with: its data and its adapter, both as they were when it began.
import type { Gpu } from '@n2n/kernels';
import type { Dataset } from '@n2n/trainer';
import type { Context } from '../context.js';
import { adapterRecord } from '../output/adapter.js';
import type { Run } from '../run/run.js';
import { checkSameAdapter, checkSameData, sameChoices } from '../run/same.js';
import { openData } from '../sources/data.js';

/** Opens both. Throws InputError or UsageError that names what has changed. */
export async function reopen(context: Context, { folder, record }: Run): Promise<{ readonly dataset: Dataset; readonly gpu: Gpu }> {
  const { configuration } = record;
  const dataset = await openData(configuration.data, configuration);
  checkSameData(folder, record, dataset);
  const gpu = await context.openGpu(configuration.adapter, sameChoices(folder, record));
  checkSameAdapter(folder, record, adapterRecord(gpu.adapter));
  return { dataset, gpu };
}
