// Time on the device itself, by timestamp queries: of a whole recording, and of each of its steps. Wall time also holds the
// submit and the wait; these figures do not.
import type { Gpu, Slice } from './device.js';
import { DeviceUseError } from './errors.js';
import type { Recording, Step } from './recording.js';

/** Most queries of a set. */
const MOST_QUERIES = 4096;

export interface StepTime {
  /** What the step belongs to: `conv1 forward`. */
  readonly label: string;
  /** The kernel: `conv2d/forward.subgroup`. */
  readonly kernel: string;
  readonly elapsedMs: number;
}

/** Whether the adapter can time its own work. */
export const hasTimestamps = (gpu: Gpu): boolean => gpu.features.has('timestamp-query');

/** Device milliseconds of one replay. Throws DeviceUseError without timestamp queries. */
export async function timeRecording(gpu: Gpu, recording: Recording): Promise<number> {
  return (await timePasses(gpu, [(pass) => recording.encode(pass)]))[0]!;
}

/**
 * Device milliseconds of each step of one replay, in order. Each step gets a pass of its own, so that steps do not overlap and
 * their sum may exceed the time of the recording. Throws DeviceUseError without timestamp queries.
 */
export async function timeSteps(gpu: Gpu, recording: Recording): Promise<StepTime[]> {
  const times = await timePasses(
    gpu,
    recording.steps.map((step) => (pass) => encodeStep(gpu, pass, step)),
  );
  return recording.steps.map(({ label, kernel }, index) => ({ label, kernel: kernel.label, elapsedMs: times[index]! }));
}

function encodeStep(gpu: Gpu, pass: GPUComputePassEncoder, { kernel, bindGroup, workgroups }: Step): void {
  pass.setPipeline(kernel.pipeline);
  pass.setBindGroup(0, bindGroup);
  pass.dispatchWorkgroups(...workgroups);
  gpu.statistics.dispatches += 1;
}

async function timePasses(gpu: Gpu, passes: readonly ((pass: GPUComputePassEncoder) => void)[]): Promise<number[]> {
  if (!hasTimestamps(gpu)) {
    throw new DeviceUseError(`${gpu.adapter.description || gpu.adapter.device} has no timestamp queries; measure wall time instead`);
  }
  const times: number[] = [];
  for (let at = 0; at < passes.length; at += MOST_QUERIES / 2)
    times.push(...(await timeSome(gpu, passes.slice(at, at + MOST_QUERIES / 2))));
  return times;
}

async function timeSome(gpu: Gpu, passes: readonly ((pass: GPUComputePassEncoder) => void)[]): Promise<number[]> {
  const count = passes.length * 2;
  const querySet = gpu.raw.createQuerySet({ type: 'timestamp', count });
  const buffer = gpu.raw.createBuffer({
    size: count * 8,
    usage: GPUBufferUsage.QUERY_RESOLVE | GPUBufferUsage.COPY_SRC,
    label: 'timestamps',
  });
  const resolved: Slice = { buffer, offset: 0, size: buffer.size };
  const encoder = gpu.raw.createCommandEncoder();
  passes.forEach((encode, index) => {
    const timestampWrites = { querySet, beginningOfPassWriteIndex: index * 2, endOfPassWriteIndex: index * 2 + 1 };
    const pass = encoder.beginComputePass({ timestampWrites });
    encode(pass);
    pass.end();
  });
  encoder.resolveQuerySet(querySet, 0, count, buffer, 0);
  gpu.submit(encoder);
  try {
    const stamps = new BigUint64Array(await gpu.readBytes(resolved)); // nanoseconds
    return passes.map((_, index) => Number(stamps[index * 2 + 1]! - stamps[index * 2]!) / 1e6);
  } finally {
    querySet.destroy();
    buffer.destroy();
  }
}
