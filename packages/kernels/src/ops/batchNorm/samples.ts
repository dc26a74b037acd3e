// Shapes that batchNorm is tested and timed on.
import type { BatchNormShape } from './index.js';

export const samples: readonly BatchNormShape[] = [
  { rows: 7 * 7 * 5, channels: 16, epsilon: 1e-5, momentum: 0.1 },
  { rows: 4001, channels: 3, epsilon: 1e-5, momentum: 0.1 }, // several chunks, the last short
  { rows: 9000, channels: 1, epsilon: 1e-3, momentum: 1 },
  { rows: 169, channels: 10, epsilon: 1e-5, momentum: 0.01 },
  { rows: 500, channels: 5, epsilon: 1e-5, momentum: 0 },
  { rows: 97, channels: 260, epsilon: 1e-5, momentum: 0.1 }, // 65 vectors: two blocks, uneven
  { rows: 601, channels: 132, epsilon: 1e-5, momentum: 0.1 }, // more chunks than a workgroup has lanes
  // Two rows: with a small epsilon dx is the difference of nearly equal numbers, in any precision.
  { rows: 2, channels: 6, epsilon: 0.5, momentum: 0.1 },
  { rows: 1, channels: 4, epsilon: 1e-5, momentum: 0.1 },
  // Few rows: the more values a channel has, the likelier a central difference steps over a kink of the ReLU.
  ...[
    { rows: 245, channels: 16 },
    { rows: 169, channels: 10 },
    { rows: 83, channels: 3 },
    { rows: 7, channels: 260 },
  ].flatMap(({ rows, channels }) =>
    [{ relu: true }, { residual: true }, { relu: true, residual: true }, { relu: true, residual: true, twoReaders: true }].map((form) => ({
      rows,
      channels,
      epsilon: 1e-3,
      momentum: 0.1,
      ...form,
    })),
  ),
];

export const benchmarks: Readonly<Record<string, BatchNormShape>> = {
  '64x28x28x16': { rows: 64 * 28 * 28, channels: 16, epsilon: 1e-5, momentum: 0.1 },
  'relu/64x28x28x16': { rows: 64 * 28 * 28, channels: 16, epsilon: 1e-5, momentum: 0.1, relu: true },
  'sum-relu/64x28x28x16': { rows: 64 * 28 * 28, channels: 16, epsilon: 1e-5, momentum: 0.1, relu: true, residual: true },
};
