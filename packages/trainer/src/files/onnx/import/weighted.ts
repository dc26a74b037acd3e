// Operators with weights over features: Gemm, MatMul, BatchNormalization.
import { channelsOf } from '../../../network/index.js';
import type { Importer, Table } from './importer.js';
import type { Operator } from './operator.js';
import type { Feature, Value } from './values.js';

/** A vector as ONNX's matrix products take it: [N, F]. */
function matrixInput(operator: Operator, importer: Importer): Feature {
  const x = importer.feature(operator, 0);
  if (x.shape.kind !== 'vector' || x.dims.length !== 1)
    return operator.fail(`reads [N, ${x.dims.join(', ')}], needs a flattened [N, features]`);
  return x;
}

/** [out, in] weights from [in, out] (or [out, in] when `transposed`) in the file, columns in the spec's order of features. */
function linearWeight(
  operator: Operator,
  data: Float32Array,
  dims: readonly number[],
  transposed: boolean,
  x: Feature,
): { weight: Float32Array; outputs: number } {
  if (dims.length !== 2) return operator.fail(`has weights of [${dims.join(', ')}], needs two dimensions`);
  const [rows = 0, columns = 0] = dims;
  const [outputs, inputs] = transposed ? [rows, columns] : [columns, rows];
  if (inputs !== channelsOf(x.shape))
    operator.fail(`has weights of [${dims.join(', ')}] for ${channelsOf(x.shape)} features; they must agree`);
  if (transposed && x.flattenedLast === undefined) return { weight: data, outputs };
  const { channels, positions } = x.flattenedLast ?? { channels: inputs, positions: 1 };
  const weight = new Float32Array(data.length);
  for (let c = 0; c < channels; c++) {
    for (let p = 0; p < positions; p++) {
      const [ours, theirs] = [c * positions + p, p * channels + c];
      for (let o = 0; o < outputs; o++) weight[o * inputs + ours] = data[transposed ? o * inputs + theirs : theirs * outputs + o]!;
    }
  }
  return { weight, outputs };
}

function gemm(operator: Operator, importer: Importer): Value {
  const x = matrixInput(operator, importer);
  if (operator.int('transA', 0) !== 0) operator.fail('transposes its input (transA)');
  const [alpha, beta] = [operator.float('alpha', 1), operator.float('beta', 1)];
  const { data, dims } = importer.floats(operator, 1);
  const { weight, outputs } = linearWeight(operator, data, dims, operator.int('transB', 0) !== 0, x);
  const scaled = alpha === 1 ? weight : weight.map((value) => value * alpha);
  if (!importer.hasInput(operator, 2)) return importer.add(operator, 'linear', { features: outputs, bias: false }, [x], [scaled]);
  const added = importer.floats(operator, 2);
  const row = added.dims.slice(0, -1).every((size) => size === 1);
  if (!row || (added.data.length !== outputs && added.data.length !== 1)) {
    return operator.fail(`adds [${added.dims.join(', ')}], needs one value for each of ${outputs} outputs`);
  }
  const bias = Float32Array.from({ length: outputs }, (_, o) => beta * added.data[added.data.length === 1 ? 0 : o]!);
  return importer.add(operator, 'linear', { features: outputs, bias: true }, [x], [scaled, bias]);
}

function matMul(operator: Operator, importer: Importer): Value {
  const x = matrixInput(operator, importer);
  const { data, dims } = importer.floats(operator, 1);
  const { weight, outputs } = linearWeight(operator, data, dims, false, x);
  return importer.add(operator, 'linear', { features: outputs, bias: false }, [x], [weight]);
}

function batchNormalization(operator: Operator, importer: Importer): Value {
  const x = importer.feature(operator, 0);
  if (operator.int('training_mode', 0) !== 0) operator.fail('is in training mode; export the network for inference');
  if (operator.int('spatial', 1) !== 1) operator.fail('normalises each position by itself (spatial 0); n2n knows one mean a channel');
  if (x.channelsLast || x.flattenedLast !== undefined) operator.fail('reads channels that are not in front');
  const tensors = [1, 2, 3, 4].map((index) => importer.floats(operator, index).data);
  if (tensors[3]?.some((variance) => variance < 0) === true) operator.fail('has a negative variance');
  // ONNX's momentum is the share of the old statistics.
  const momentum = Math.min(1, Math.max(0, 1 - operator.decimal('momentum', 0.9)));
  const attributes = { epsilon: operator.decimal('epsilon', 1e-5), momentum: Number(momentum.toPrecision(12)) };
  return { ...importer.add(operator, 'batch-norm', attributes, [x], tensors), dims: x.dims };
}

export const weightedTable: Table = {
  Gemm: { attributes: ['alpha', 'beta', 'transA', 'transB'], read: gemm },
  MatMul: { attributes: [], read: matMul },
  BatchNormalization: {
    attributes: ['epsilon', 'momentum', 'spatial', 'training_mode'],
    read: batchNormalization,
  },
};
