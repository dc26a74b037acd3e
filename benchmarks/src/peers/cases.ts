// The work that engines are compared at, and its inputs as files.
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { keyedRandom } from '@n2n/trainer';
import { analyse, INPUT_ID } from '@n2n/trainer/network';
import type { NamedCase } from '@n2n/kernels';
import { BENCH_MEAN, BENCH_STD, stepCases, stepData, type StepCase } from '../steps.js';
import type { ConvCase, GemmCase, NetworkCase, PeerCase, TensorFile } from './protocol.js';

/** A case before its inputs are written. */
export interface PeerCaseDeclaration extends NamedCase {
  /** Floating-point operations of one unit of work; 0 where samples are counted. */
  readonly flops: number;
  /** Samples of one unit of work. */
  readonly samples?: number;
  /**
   * Largest |difference| from n2n over the largest |value| that passes as the same work. Sums of float32 in another order, as
   * Winograd's transforms, stay far below; a wrong stride or a missing term is far above.
   */
  readonly tolerance: number;
  /** Writes the inputs into the folder. */
  write(folder: string): Promise<PeerCase>;
}

const MATRIX_TOLERANCE = 5e-4;
const NETWORK_TOLERANCE = 2e-3;

const gemm = (size: number): PeerCaseDeclaration => ({
  name: `gemm/${size}`,
  flops: 2 * size ** 3,
  tolerance: MATRIX_TOLERANCE,
  async write(folder): Promise<GemmCase> {
    const inputs = { a: await normal(folder, 'a', [size, size]), b: await normal(folder, 'b', [size, size]) };
    return { kind: 'gemm', name: this.name, size, inputs };
  },
});

const conv = (batch: number, channels: number, size: number, filters: number): PeerCaseDeclaration[] =>
  (['forward', 'input-gradient', 'weight-gradient'] as const).map((pass) => ({
    name: `conv3x3/${batch}x${channels}x${size}x${size}-${filters}/${pass}`,
    flops: 2 * batch * size ** 2 * filters * channels * 9,
    tolerance: MATRIX_TOLERANCE,
    async write(folder): Promise<ConvCase> {
      const inputs = {
        x: await normal(folder, 'x', [batch, channels, size, size]),
        weight: await normal(folder, 'weight', [filters, channels, 3, 3]),
        dy: await normal(folder, 'dy', [batch, filters, size, size]),
      };
      return { kind: 'conv', name: this.name, pass, batch, channels, size, filters, inputs };
    },
  }));

function network(name: string): PeerCaseDeclaration[] {
  const found = stepCases.find((one) => one.name === name);
  if (found === undefined) return [];
  return [
    {
      name,
      ...(found.heavy !== undefined && { heavy: found.heavy }),
      flops: 0,
      samples: found.batch,
      tolerance: NETWORK_TOLERANCE,
      write: (folder) => writeNetwork(found, folder),
    },
  ];
}

const heavy = (cases: readonly PeerCaseDeclaration[]): PeerCaseDeclaration[] =>
  cases.map((one) => ({ ...one, heavy: one.name.split('/').slice(0, 2).join('/') }));

export const peerCases: readonly PeerCaseDeclaration[] = [
  gemm(512),
  gemm(1024),
  ...conv(64, 16, 28, 32),
  ...conv(64, 64, 16, 64),
  ...network('step/mnist-cnn/64'),
  ...network('eval/mnist-cnn/500'),
  ...network('step/resnet18/16'),
  ...heavy([gemm(4096), ...conv(256, 64, 32, 64), ...conv(256, 128, 16, 128), ...conv(256, 256, 8, 256), ...conv(256, 512, 4, 512)]),
  ...network('step/resnet18/256'),
];

/** The rates and steps of the check: enough for a wrong gradient to show in the losses. */
const CHECK = { momentum: 0.9, checkRate: 0.05, checkSteps: 3, timedRate: 1e-5 };

async function writeNetwork(stepCase: StepCase, folder: string): Promise<NetworkCase> {
  const { spec, split, weights } = stepData(stepCase);
  const { batch, channels, size, kind, name } = stepCase;
  const x = Float32Array.from(split.images, (pixel) => (pixel / 255 - BENCH_MEAN) / BENCH_STD);
  const files: Record<string, TensorFile> = {};
  for (const { node, parameters } of analyse(spec).nodes) {
    for (const { name: parameter, shape } of parameters) {
      const tensor = `${node.id}.${parameter}`;
      files[tensor] = await store(folder, tensor, weights.get(tensor)!, shape);
    }
  }
  return {
    kind,
    name,
    network: spec.name,
    batch,
    classes: spec.classes,
    nodes: spec.nodes.map(({ id, type, inputs, attributes }) => ({ id, type, inputs, attributes })),
    inputId: INPUT_ID,
    inputs: {
      x: await store(folder, 'x', x, [batch, channels, size, size]),
      labels: await store(folder, 'labels', Int32Array.from(split.labels), [batch]),
    },
    weights: files,
    ...CHECK,
  };
}

const normal = (folder: string, name: string, shape: readonly number[]): Promise<TensorFile> => {
  const draw = keyedRandom(1, `peer-${name}`);
  const values = Float32Array.from({ length: shape.reduce((product, length) => product * length, 1) }, () => draw.normal());
  return store(folder, name, values, shape);
};

/** Writes a tensor's words as `<folder>/<name>.bin`. */
export async function store(
  folder: string,
  name: string,
  values: Float32Array | Int32Array,
  shape: readonly number[],
): Promise<TensorFile> {
  const file = join(folder, `${name}.bin`);
  await writeFile(file, new Uint8Array(values.buffer, values.byteOffset, values.byteLength));
  return { file, shape };
}
