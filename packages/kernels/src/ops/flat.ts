// How elementwise kernels split a flat array of vec4 elements over workgroups of 64 invocations.
import { spread, type DeviceTraits } from './op.js';

const LANES = 64;
/** Vectors an invocation takes: its start costs a software adapter as much as several of them. */
const VECTORS_PER_LANE = { cpu: 32, gpu: 4 } as const;
/** Below this many workgroups the cores of a software adapter would run out of work. */
const WORKGROUPS = { cpu: 32, gpu: 1 } as const;

export interface FlatSlicing {
  /** Vectors of one workgroup, a multiple of 64: a uniform of the kernel. */
  readonly share: number;
  readonly workgroups: readonly [number, number, number];
}

/** Splits `vectors` vec4 elements; workgroups may exceed the work, so kernels guard the tail. */
export function flatSlicing(vectors: number, { kind, maxWorkgroups }: DeviceTraits): FlatSlicing {
  const perLane = Math.ceil(vectors / (LANES * WORKGROUPS[kind]));
  const share = LANES * Math.max(1, Math.min(VECTORS_PER_LANE[kind], perLane));
  return { share, workgroups: spread(Math.ceil(vectors / share), maxWorkgroups) };
}
