// n2n doctor: what this machine has and what it lacks. Exit code 4 when there is no usable adapter.
import { access, constants } from 'node:fs/promises';
import { availableParallelism, totalmem } from 'node:os';
import { resolve } from 'node:path';
import { AdapterError, type Gpu } from '@n2n/kernels';
import { DataError, NAMED_DATASETS, openDataset } from '@n2n/trainer';
import { defineCommand } from '../command.js';
import type { Context } from '../context.js';
import { adapterName, adapterRecord, type AdapterRecord } from '../output/adapter.js';
import { bytes, count } from '../output/format.js';
import { adapter } from '../settings/settings.js';
import { VERSION } from '../version.js';

interface AdapterReport extends AdapterRecord {
  readonly features: readonly string[];
  /** Lanes, or 0 when the adapter has no subgroups of one fixed size. */
  readonly subgroupSize: number;
  readonly limits: Readonly<Record<string, number>>;
}

interface DataReport {
  readonly name: string;
  readonly found: boolean;
  readonly detail: string;
}

const LIMITS = [
  'maxBufferSize',
  'maxStorageBufferBindingSize',
  'maxStorageBuffersPerShaderStage',
  'maxComputeWorkgroupStorageSize',
  'maxComputeInvocationsPerWorkgroup',
  'maxComputeWorkgroupsPerDimension',
  'minStorageBufferOffsetAlignment',
] as const;

export const doctorCommand = defineCommand({
  name: 'doctor',
  about: 'what this machine has: adapter, driver, data sets, permissions',
  settings: { adapter },
  async run(context, values) {
    const found = await findAdapter(context, values.adapter);
    const report = {
      version: VERSION,
      node: process.versions.node,
      platform: `${process.platform} ${process.arch}`,
      cores: availableParallelism(),
      memoryBytes: totalmem(),
      adapter: found instanceof AdapterError ? null : found,
      tuning: tuningReport(context),
      data: await findData(),
      runs: { folder: resolve('runs'), writable: await isWritable(resolve('runs')) },
    };
    context.output.result(report, () => readable(report));
    if (found instanceof AdapterError) throw found;
  },
});

interface TuningReport {
  readonly measuredAt: string;
  /** Classes of shapes measured, and those with another variant than the built-in one. */
  readonly classes: number;
  readonly changed: number;
}

function tuningReport({ tuning }: Context): TuningReport | null {
  if (tuning === undefined) return null;
  return { measuredAt: tuning.measuredAt, classes: tuning.cases.length, changed: Object.keys(tuning.choices).length };
}

type Report = { readonly adapter: AdapterReport | null; readonly tuning: TuningReport | null; readonly data: readonly DataReport[] } & {
  readonly version: string;
  readonly node: string;
  readonly platform: string;
  readonly cores: number;
  readonly memoryBytes: number;
  readonly runs: { readonly folder: string; readonly writable: boolean };
};

async function findAdapter(context: Context, wanted: string): Promise<AdapterReport | AdapterError> {
  try {
    return describe(await context.openGpu(wanted));
  } catch (error) {
    if (error instanceof AdapterError) return error;
    throw error;
  }
}

function describe(gpu: Gpu): AdapterReport {
  return {
    ...adapterRecord(gpu.adapter),
    features: [...gpu.features].sort(),
    subgroupSize: gpu.traits.subgroupSize,
    limits: Object.fromEntries(LIMITS.map((name) => [name, gpu.limits[name]])),
  };
}

async function findData(): Promise<DataReport[]> {
  const reports: DataReport[] = [];
  for (const name of Object.keys(NAMED_DATASETS)) {
    try {
      const { train, test, channels, height, width } = await openDataset(name);
      reports.push({ name, found: true, detail: `${count(train.count)} + ${count(test.count)} images of ${channels}x${height}x${width}` });
    } catch (error) {
      if (!(error instanceof DataError)) throw error;
      reports.push({ name, found: false, detail: error.message.replace(`${name}: `, '') });
    }
  }
  return reports;
}

/** Whether the folder, or the nearest that exists above it, may be written. */
async function isWritable(folder: string): Promise<boolean> {
  try {
    await access(folder, constants.W_OK | constants.X_OK);
    return true;
  } catch (error) {
    const parent = resolve(folder, '..');
    return (error as NodeJS.ErrnoException).code === 'ENOENT' && parent !== folder && isWritable(parent);
  }
}

function readable(report: Report): string {
  const { adapter: found, tuning } = report;
  const device =
    found === null
      ? ['adapter    none']
      : [
          `adapter    ${adapterName(found)}`,
          `features   ${found.features.join(', ')}`,
          `subgroups  ${found.subgroupSize === 0 ? 'none of one fixed size' : `${found.subgroupSize} lanes`}`,
          ...Object.entries(found.limits).map(([name, value]) => `limit      ${name} ${count(value)}`),
          tuning === null
            ? 'tuning     none: kernels by the built-in order of preference; n2n tune measures them'
            : `tuning     of ${tuning.measuredAt}: ${tuning.classes} classes of shapes, ${tuning.changed} with another kernel than built in`,
        ];
  return [
    `n2n        ${report.version}`,
    `node       ${report.node} on ${report.platform}, ${report.cores} cores, ${bytes(report.memoryBytes)} of memory`,
    ...device,
    ...report.data.map(({ name, found: there, detail }) => `data       ${name}: ${there ? detail : `not found. ${detail}`}`),
    `runs       ${report.runs.folder} ${report.runs.writable ? 'can be written' : 'cannot be written by this user'}`,
  ]
    .map((line) => `${line}\n`)
    .join('');
}
