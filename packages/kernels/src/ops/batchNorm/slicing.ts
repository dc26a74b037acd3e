// How the kernels of batchNorm split [rows, vectors] over workgroups.
import { padded } from '../op.js';
import type { BatchNormShape } from './index.js';

export interface Slicing {
  /** vec4 elements a row. */
  readonly vectors: number;
  /** Vectors that one workgroup covers, at most 64; the workgroups' second dimension walks the blocks. */
  readonly blockVectors: number;
  readonly blocks: number;
  /** Rows that the 64 lanes of a workgroup read at a time. */
  readonly rowLanes: number;
  /** Rows of one workgroup, and the number of such chunks; the last may be shorter, none is empty. */
  readonly chunkRows: number;
  readonly chunks: number;
  /** Lanes that share the chunks of a vector when their sums are put together; a power of two, at most 64. */
  readonly chunkLanes: number;
}

/** Invocations of a workgroup. */
export const LANES = 64;

/** `coarse` balances the few cores of a software adapter, `fine` fills a GPU. */
export type Grain = 'coarse' | 'fine';
const WORKGROUPS: Record<Grain, number> = { coarse: 32, fine: 512 };
/** Rows a lane reads at least, so that its per-channel loads and the sum over lanes weigh little. */
const ROWS_PER_LANE: Record<Grain, number> = { coarse: 16, fine: 8 };
/** Few chunks are added up by one lane: a step of the tree is a barrier, which costs a software adapter several loads. */
const CHUNK_LANES: Record<Grain, number> = { coarse: 1, fine: 32 };

export function slice({ rows, channels }: BatchNormShape, grain: Grain): Slicing {
  const vectors = padded(channels) / 4;
  const blocks = Math.ceil(vectors / LANES);
  const blockVectors = Math.ceil(vectors / blocks);
  const rowLanes = Math.floor(LANES / blockVectors);
  const wanted = Math.ceil(rows / Math.max(1, Math.floor(WORKGROUPS[grain] / blocks)));
  const step = 4 * rowLanes; // the kernels take 4 rows an iteration
  const chunkRows = Math.ceil(Math.max(wanted, ROWS_PER_LANE[grain] * rowLanes) / step) * step;
  return { vectors, blockVectors, blocks, rowLanes, chunkRows, chunks: Math.ceil(rows / chunkRows), chunkLanes: CHUNK_LANES[grain] };
}
