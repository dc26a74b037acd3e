// Batch-norm of a small map, on a software adapter: one launch in place of three, as each costs more than the work.
import { f32, LEAST_STORAGE_BUFFERS, padded, type Dispatch, type Variant } from '../op.js';
import type { BatchNormShape } from './index.js';
import { LANES, type Slicing } from './slicing.js';

/** Workgroups wanted at least when each takes all rows. */
const WHOLE_WORKGROUPS = 4;

/** How one launch splits few rows: over vectors alone. */
function wholeSlicing({ channels }: BatchNormShape): Pick<Slicing, 'vectors' | 'blockVectors' | 'blocks' | 'rowLanes'> {
  const vectors = padded(channels) / 4;
  const blockVectors = Math.min(LANES, Math.max(1, Math.floor(vectors / WHOLE_WORKGROUPS)));
  return { vectors, blockVectors, blocks: Math.ceil(vectors / blockVectors), rowLanes: Math.floor(LANES / blockVectors) };
}

/** Vectors of a map up to which a software adapter takes as long for two launches more as for the work itself. */
const MOST_WHOLE_VECTORS = 8192;

/** All of a pass in one launch. */
const whole = (file: URL, bind: readonly string[], last: (shape: BatchNormShape) => Dispatch['uniforms']): Variant<BatchNormShape> => ({
  name: 'whole',
  usable: ({ rows, channels, residual }, { kind, storageBuffers = LEAST_STORAGE_BUFFERS }) =>
    kind === 'cpu' && bind.length <= storageBuffers && residual !== true && (rows * padded(channels)) / 4 <= MOST_WHOLE_VECTORS,
  dispatches(shape) {
    const { vectors, blockVectors, blocks, rowLanes } = wholeSlicing(shape);
    const uniforms = [shape.rows, vectors, blockVectors, rowLanes, shape.relu === true ? 1 : 0, ...last(shape)];
    return [{ wgsl: file, bind, uniforms, workgroups: [blocks, 1, 1] }];
  },
});
export const wholeForward = whole(
  new URL('./forward.whole.wgsl', import.meta.url),
  ['x', 'gamma', 'beta', 'runningMean', 'runningVariance', 'mean', 'variance', 'y'],
  ({ epsilon, momentum }) => [f32(epsilon), f32(momentum)],
);
export const wholeGradient = whole(
  new URL('./gradient.whole.wgsl', import.meta.url),
  ['x', 'dy', 'gamma', 'beta', 'mean', 'variance', 'dx', 'dgamma', 'dbeta'],
  ({ epsilon }) => [f32(epsilon)],
);
