// A recording: dispatches resolved once to (pipeline, bind group, workgroups) and replayed as often as wanted.
import { chooseVariant, type Dispatch, type Op, type Precision } from '../ops/op.js';
import { Allocations } from './allocations.js';
import type { Gpu, Slice } from './device.js';
import { DeviceMemoryError, DeviceUseError } from './errors.js';
import type { Kernel } from './pipelines.js';

/** The pass of an op that launches belong to: what profiles count operations and bytes of. */
export interface RecordedCall {
  readonly op: Op<unknown>;
  readonly pass: string;
  readonly shape: unknown;
  /** The variant that was chosen: `winograd`. */
  readonly variant: string;
}

/** One recorded launch. */
export interface Step {
  readonly kernel: Kernel;
  readonly bindGroup: GPUBindGroup;
  readonly workgroups: readonly [number, number, number];
  /** What it belongs to, for profiles: `conv1 forward`. */
  readonly label: string;
  /** The same object in all launches of one pass. */
  readonly call: RecordedCall;
}

interface Pending {
  readonly dispatch: Dispatch;
  readonly call: RecordedCall;
  readonly tensors: Readonly<Record<string, Slice>>;
  readonly label: string;
}

export interface RecordOptions {
  /** The variant to use, by name; otherwise the one of the device's `choices`, or the first usable one. */
  readonly variant?: string;
  readonly label?: string;
}

/** Collects the passes of a plan; `finish` compiles what is missing and returns the steps. */
export class Recorder {
  readonly #gpu: Gpu;
  readonly #precision: Precision;
  readonly #pending: Pending[] = [];
  #scratchWords = 0;

  /** Throws AdapterError where the adapter cannot compute with such a precision. */
  constructor(gpu: Gpu, precision: Precision = 'f32') {
    gpu.requirePrecision(precision);
    this.#gpu = gpu;
    this.#precision = precision;
  }

  /**
   * Adds one pass of an op. `tensors` maps the declaration's tensor names to slices; each must be at least as long as the
   * declaration says. Throws ShapeError or DeviceUseError with the op, the tensor, what it got and what it needs.
   */
  add<S>(op: Op<S>, passName: string, shape: S, tensors: Readonly<Record<string, Slice>>, options: RecordOptions = {}): void {
    op.check(shape);
    const request = { wanted: options.variant, precision: this.#precision, choices: this.#gpu.choices };
    const variant = chooseVariant(op, passName, shape, this.#gpu.traits, request);
    const bound: Record<string, Slice> = {};
    for (const declaration of op.passes[passName]?.tensors ?? []) {
      const slice = tensors[declaration.name];
      if (slice === undefined) {
        if (declaration.optional?.(shape) === true) continue;
        throw new DeviceUseError(`${op.name} ${passName}: tensor "${declaration.name}" is missing`);
      }
      const bytes = declaration.words(shape) * 4;
      if (slice.size < bytes) {
        throw new DeviceUseError(`${op.name} ${passName}: "${declaration.name}" got ${slice.size} bytes, needs ${bytes}`);
      }
      const most = this.#gpu.limits.maxStorageBufferBindingSize;
      if (bytes > most) {
        throw new DeviceMemoryError(
          `${op.name} ${passName}: "${declaration.name}" has ${bytes} bytes; this adapter binds at most ${most}. Use a smaller batch.`,
        );
      }
      bound[declaration.name] = { buffer: slice.buffer, offset: slice.offset, size: Math.max(4, bytes) };
    }
    this.#scratchWords = Math.max(this.#scratchWords, variant.scratchWords?.(shape, this.#gpu.traits) ?? 0);
    const label = `${options.label ?? op.name} ${passName}`;
    const call: RecordedCall = { op, pass: passName, shape, variant: variant.name };
    for (const dispatch of variant.dispatches(shape, this.#gpu.traits)) this.#pending.push({ dispatch, call, tensors: bound, label });
  }

  /** Bytes of scratch memory the recording will take, shared by all its passes. */
  get scratchBytes(): number {
    return this.#scratchWords * 4;
  }

  async finish(label: string): Promise<Recording> {
    return Allocations.create(this.#gpu, async (owned) => {
      const scratch = this.#scratchWords > 0 ? await owned.allocate(this.scratchBytes, `${label} scratch`) : undefined;
      const { offsets, bytes } = packUniforms(this.#pending, this.#gpu.limits.minUniformBufferOffsetAlignment);
      const uniforms = this.#uniformBuffer(bytes, owned, label);
      const kernels = await Promise.all(this.#pending.map(({ dispatch }) => this.#gpu.pipelines.get(dispatch)));
      const steps = this.#pending.map(({ dispatch, call, tensors, label: stepLabel }, index): Step => {
        const kernel = kernels[index]!;
        const entries: GPUBindGroupEntry[] = dispatch.bind.map((name, position) => {
          const slice = name === 'scratch' ? scratch : tensors[name];
          if (slice === undefined) throw new DeviceUseError(`${kernel.label}: nothing is bound to "${name}"`);
          return { binding: position + 1, resource: slice };
        });
        if (dispatch.uniforms.length > 0) {
          const size = Math.ceil(dispatch.uniforms.length / 4) * 16;
          entries.push({ binding: 0, resource: { buffer: uniforms, offset: offsets[index]!, size } });
        }
        const bindGroup = this.#gpu.raw.createBindGroup({ layout: kernel.layout, entries, label: stepLabel });
        return { kernel, bindGroup, workgroups: dispatch.workgroups, label: stepLabel, call };
      });
      return new Recording(this.#gpu, steps, owned, label);
    });
  }

  #uniformBuffer(bytes: ArrayBuffer, owned: Allocations, label: string): GPUBuffer {
    const buffer = this.#gpu.raw.createBuffer({
      size: Math.max(16, bytes.byteLength),
      usage: GPUBufferUsage.UNIFORM | GPUBufferUsage.COPY_DST,
      label: `${label} uniforms`,
    });
    this.#gpu.statistics.bytesAllocated += buffer.size;
    owned.own({ buffer, offset: 0, size: buffer.size });
    this.#gpu.raw.queue.writeBuffer(buffer, 0, bytes);
    return buffer;
  }
}

function packUniforms(pending: readonly Pending[], alignment: number): { offsets: number[]; bytes: ArrayBuffer } {
  const offsets: number[] = [];
  let size = 0;
  for (const { dispatch } of pending) {
    offsets.push(size);
    size += Math.ceil((dispatch.uniforms.length * 4) / Math.max(16, alignment)) * Math.max(16, alignment);
  }
  const bytes = new ArrayBuffer(size);
  const view = new DataView(bytes);
  pending.forEach(({ dispatch }, index) => {
    dispatch.uniforms.forEach((value, position) => {
      const at = offsets[index]! + position * 4;
      if (typeof value === 'number') view.setUint32(at, value, true);
      else view.setFloat32(at, value.f32, true);
    });
  });
  return { offsets, bytes };
}

export class Recording {
  readonly steps: readonly Step[];
  readonly label: string;
  readonly #gpu: Gpu;
  readonly #owned: Allocations;

  constructor(gpu: Gpu, steps: readonly Step[], owned: Allocations, label: string) {
    this.#gpu = gpu;
    this.steps = steps;
    this.#owned = owned;
    this.label = label;
  }

  /** Runs the steps into an open compute pass. */
  encode(pass: GPUComputePassEncoder): void {
    encodeSteps(pass, this.steps);
    this.#gpu.statistics.dispatches += this.steps.length;
  }

  /** Submits the steps `times` times in one command buffer. */
  replay(times = 1): void {
    const encoder = this.#gpu.raw.createCommandEncoder();
    const pass = encoder.beginComputePass();
    for (let i = 0; i < times; i++) this.encode(pass);
    pass.end();
    this.#gpu.submit(encoder);
  }

  /** Frees scratch and uniforms; the recording must not be used again. */
  async destroy(): Promise<void> {
    await this.#owned.destroy();
  }
}

function encodeSteps(pass: GPUComputePassEncoder, steps: readonly Step[]): void {
  let current: GPUComputePipeline | undefined;
  for (const step of steps) {
    if (step.kernel.pipeline !== current) pass.setPipeline((current = step.kernel.pipeline));
    pass.setBindGroup(0, step.bindGroup);
    pass.dispatchWorkgroups(...step.workgroups);
  }
}

/** Runs the steps of several recordings in turn: step 1 of each, step 2 of each, ... so that small ones can overlap. */
export function encodeInterleaved(gpu: Gpu, pass: GPUComputePassEncoder, recordings: readonly Recording[]): void {
  const longest = Math.max(0, ...recordings.map((recording) => recording.steps.length));
  for (let i = 0; i < longest; i++) {
    const row = recordings.flatMap((recording) => recording.steps[i] ?? []);
    encodeSteps(pass, row);
    gpu.statistics.dispatches += row.length;
  }
}
