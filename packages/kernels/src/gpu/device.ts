// One device, opened with the adapter's own limits, that fails loudly: an uncaptured error or a loss poisons it, and every
// later await throws instead of returning garbage.
import { performance } from 'node:perf_hooks';
import type { Choices, DeviceTraits, Precision } from '../ops/op.js';
import { AdapterError, DeviceLostError, DeviceMemoryError, DeviceUseError } from './errors.js';
import { gpuInstance, wantedAdapter, type InstanceOptions } from './instance.js';
import { PipelineCache } from './pipelines.js';
import { sparingly } from './wait.js';

/** A range of a buffer, in bytes. */
export interface Slice {
  readonly buffer: GPUBuffer;
  readonly offset: number;
  readonly size: number;
}

export interface AdapterDescription {
  readonly vendor: string;
  readonly architecture: string;
  readonly device: string;
  readonly description: string;
  readonly software: boolean;
}

export interface GpuStatistics {
  pipelinesCompiled: number;
  dispatches: number;
  submits: number;
  readonly bytesAllocated: number;
}

/** `prefer`: `cpu` asks for a software adapter and refuses another, `gpu` refuses a software one. */
export type OpenOptions = InstanceOptions;

const WANTED_FEATURES: readonly GPUFeatureName[] = [
  'subgroups',
  'shader-f16',
  'timestamp-query',
  'chromium-experimental-subgroup-matrix' as GPUFeatureName,
];

/** Requested at the adapter's own values: WebGPU's defaults are far lower. */
const WANTED_LIMITS = [
  'maxStorageBufferBindingSize',
  'maxBufferSize',
  'maxStorageBuffersPerShaderStage',
  'maxComputeWorkgroupStorageSize',
  'maxComputeInvocationsPerWorkgroup',
  'maxComputeWorkgroupSizeX',
  'maxComputeWorkgroupSizeY',
  'maxComputeWorkgroupsPerDimension',
  'maxUniformBufferBindingSize',
  'minStorageBufferOffsetAlignment',
  'minUniformBufferOffsetAlignment',
] as const;

/** Uploads and read-backs go in pieces: mapping 2 GiB at once crashes the binding. */
const TRANSFER_BYTES = 64 * 2 ** 20;

/**
 * Opens the adapter. Throws AdapterError when there is none to the caller's liking. All devices of a process come from one Dawn
 * instance: a later call with another `adapter` or `prefer` gets the first call's adapter, and is refused when it is of the other kind.
 */
export async function openDevice(options: OpenOptions = {}): Promise<Gpu> {
  const adapter = await requestAdapter(options);
  if (adapter === null) {
    throw new AdapterError(
      'no WebGPU adapter: no usable Vulkan driver was found. Install a GPU driver, or the software driver ' +
        '(Debian, Ubuntu: mesa-vulkan-drivers 23 or later, 25.0.7 is tested, and libvulkan1), then run "n2n doctor".',
    );
  }
  const { info } = adapter;
  const software = /llvmpipe|lavapipe|swiftshader|software/i.test(`${info.vendor} ${info.architecture} ${info.device} ${info.description}`);
  if (options.prefer === 'gpu' && software) throw new AdapterError(`the only adapter is a software one (${info.description})`);
  if (options.prefer === 'cpu' && !software)
    throw new AdapterError(`a software adapter was asked for; the one found is ${info.description}`);
  const limits: Record<string, number> = {};
  for (const name of WANTED_LIMITS) limits[name] = adapter.limits[name] ?? 0;
  const device = await adapter.requestDevice({
    requiredFeatures: WANTED_FEATURES.filter((feature) => adapter.features.has(feature)),
    requiredLimits: limits,
  });
  return new Gpu(device, info, software);
}

/** One of the forms of product that an adapter's matrix units take; the type declarations do not have it yet. */
interface MatrixConfig {
  readonly M: number;
  readonly N: number;
  readonly K: number;
  readonly componentType: string;
  readonly resultComponentType: string;
}

function hasMatrixUnits({ features, limits }: GPUDevice, info: GPUAdapterInfo): boolean {
  const wanted = ['shader-f16', 'subgroups', 'chromium-experimental-subgroup-matrix'];
  if (!wanted.every((feature) => features.has(feature)) || limits.maxComputeWorkgroupStorageSize < 32_768) return false;
  const { subgroupMatrixConfigs: configs = [] } = info as { readonly subgroupMatrixConfigs?: Iterable<MatrixConfig> };
  return [...configs].some(
    ({ M, N, K, componentType, resultComponentType }) =>
      M === 16 && N === 16 && K === 16 && componentType === 'f16' && resultComponentType === 'f32',
  );
}

/** Null when there is no adapter at all; where there are some and none has the wanted name, Dawn throws. */
async function requestAdapter(options: OpenOptions): Promise<GPUAdapter | null> {
  const instance = gpuInstance(options);
  try {
    return await instance.requestAdapter({ powerPreference: 'high-performance' });
  } catch (error) {
    const name = wantedAdapter(options);
    const what = name === undefined ? 'no usable adapter' : `no adapter with "${name}" in its name`;
    const said = error instanceof Error ? error.message : String(error);
    throw new AdapterError(`${what} was found; the WebGPU binding says: ${said}`, { cause: error });
  }
}

export class Gpu {
  readonly adapter: AdapterDescription;
  readonly traits: DeviceTraits;
  /** A tuner's choices of variants, which recordings made from now on follow; set it before the first one. */
  choices: Choices = {};
  readonly pipelines: PipelineCache;
  readonly statistics = { pipelinesCompiled: 0, dispatches: 0, submits: 0, bytesAllocated: 0 };
  readonly #device: GPUDevice;
  #failure: Error | undefined;
  #closed = false;

  constructor(device: GPUDevice, info: GPUAdapterInfo, software: boolean) {
    this.#device = device;
    this.adapter = {
      vendor: info.vendor,
      architecture: info.architecture,
      device: info.device,
      description: info.description,
      software,
    };
    const { subgroupMinSize: least, subgroupMaxSize: most } = info;
    this.traits = {
      subgroupSize: device.features.has('subgroups') && least !== undefined && least === most ? least : 0,
      f16: device.features.has('shader-f16'),
      kind: software ? 'cpu' : 'gpu',
      matrixUnits: hasMatrixUnits(device, info),
      maxWorkgroups: device.limits.maxComputeWorkgroupsPerDimension,
      storageBuffers: device.limits.maxStorageBuffersPerShaderStage,
    };
    this.pipelines = new PipelineCache(device, this.statistics, () => this.check());
    device.addEventListener('uncapturederror', (event) => {
      event.preventDefault(); // else Dawn prints on stdout, where JSON results go
      const { error } = event;
      const memory = error instanceof GPUOutOfMemoryError;
      this.poison(memory ? new DeviceMemoryError(error.message) : new DeviceUseError(error.message));
    });
    void device.lost.then((loss) => {
      if (!this.#closed) this.poison(new DeviceLostError(`the device was lost (${loss.reason}): ${loss.message}`));
    });
  }

  get features(): ReadonlySet<string> {
    return this.#device.features;
  }

  get limits(): GPUSupportedLimits {
    return this.#device.limits;
  }

  /** The WebGPU device, for encoders and queries. */
  get raw(): GPUDevice {
    return this.#device;
  }

  /** Marks everything on this device as void; the first failure is the one reported. */
  poison(failure: Error): void {
    this.#failure ??= failure;
  }

  /** Throws when the device was lost, misused or closed. */
  check(): void {
    if (this.#failure !== undefined) throw this.#failure;
    if (this.#closed) throw new DeviceUseError('the device is closed');
  }

  /** Throws AdapterError where this adapter cannot compute with such a precision. */
  requirePrecision(precision: Precision): void {
    if (precision === 'f32' || this.traits.f16) return;
    const { description, device } = this.adapter;
    throw new AdapterError(
      `mixed precision needs 16-bit floats in shaders (shader-f16), which ${description || device} does not offer; use f32, or another adapter`,
    );
  }

  /** The alignment of slices in bytes: any slice starting at a multiple may be bound. */
  get alignment(): number {
    return Math.max(16, this.#device.limits.minStorageBufferOffsetAlignment);
  }

  /** A zero-filled storage buffer. Throws DeviceMemoryError over the adapter's limit or when memory is short. */
  async allocate(bytes: number, label: string): Promise<Slice> {
    this.check();
    const size = Math.max(16, Math.ceil(bytes / 16) * 16);
    const most = this.#device.limits.maxBufferSize;
    if (size > most) throw new DeviceMemoryError(`buffer "${label}" needs ${size} bytes; this adapter allows ${most}`);
    this.#device.pushErrorScope('out-of-memory');
    const usage = GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_SRC | GPUBufferUsage.COPY_DST;
    const buffer = this.#device.createBuffer({ size, usage, label });
    const error = await this.#device.popErrorScope();
    this.check();
    if (error !== null) throw new DeviceMemoryError(`buffer "${label}" of ${size} bytes: ${error.message}`);
    this.statistics.bytesAllocated += size;
    return { buffer, offset: 0, size };
  }

  /** Returns buffers' memory to the driver; await it, as memory is only freed by a later submit. */
  async free(...slices: readonly Slice[]): Promise<void> {
    for (const { buffer } of slices) {
      this.statistics.bytesAllocated -= buffer.size;
      buffer.destroy();
    }
    this.#device.queue.submit([]);
    await this.done();
  }

  /** Writes 4-byte-aligned data at the start of a slice. */
  write(target: Slice, data: Float32Array | Uint32Array | Uint8Array, offset = 0): void {
    this.check();
    if (offset + data.byteLength > target.size) {
      throw new DeviceUseError(`write of ${data.byteLength} bytes at ${offset} into a slice of ${target.size}`);
    }
    for (let at = 0; at < data.byteLength; at += TRANSFER_BYTES) {
      const bytes = Math.min(TRANSFER_BYTES, data.byteLength - at);
      this.#device.queue.writeBuffer(target.buffer, target.offset + offset + at, data.buffer, data.byteOffset + at, bytes);
    }
  }

  /** Copies a slice back. Waits for all work submitted before. */
  async read(source: Slice): Promise<Float32Array> {
    return new Float32Array(await this.readBytes(source));
  }

  async readBytes(source: Slice): Promise<ArrayBuffer> {
    const result = new Uint8Array(source.size);
    for (let at = 0; at < source.size; at += TRANSFER_BYTES) {
      const size = Math.min(TRANSFER_BYTES, source.size - at);
      const staging = this.#device.createBuffer({ size, usage: GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST });
      const encoder = this.#device.createCommandEncoder();
      encoder.copyBufferToBuffer(source.buffer, source.offset + at, staging, 0, size);
      this.submit(encoder);
      try {
        await sparingly(staging.mapAsync(GPUMapMode.READ));
      } catch (error) {
        await this.#settle();
        this.check();
        throw error;
      }
      this.check();
      result.set(new Uint8Array(staging.getMappedRange()), at);
      staging.unmap();
      staging.destroy();
    }
    return result.buffer;
  }

  submit(encoder: GPUCommandEncoder): void {
    this.check();
    this.#device.queue.submit([encoder.finish()]);
    this.statistics.submits += 1;
  }

  /** Resolves when everything submitted has run; throws what went wrong until then. */
  async done(): Promise<void> {
    await sparingly(this.#device.queue.onSubmittedWorkDone());
    await this.#settle();
    this.check();
  }

  /** Milliseconds of wall time that `work` and everything it submits take. */
  async time(work: () => void): Promise<number> {
    await this.done();
    const start = performance.now();
    work();
    await this.done();
    return performance.now() - start;
  }

  /** Errors and losses arrive in later turns of the event loop. */
  async #settle(): Promise<void> {
    await new Promise((resolve) => setImmediate(resolve));
  }

  /** Destroys the device; the process can then end by itself. Safe to call twice. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#device.destroy();
  }
}
