// What a command gets from the process it runs in: streams, environment, the stop signal and the device.
import { openDevice, type Choices, type Gpu, type OpenOptions, type Precision } from '@n2n/kernels';
import type { PUBLISHED_DATASETS } from '@n2n/trainer';
import { adapterRecord } from './output/adapter.js';
import { Output, type OutputOptions, type Streams } from './output/output.js';
import { readTuning, tuningFolder, tuningPath, type Tuning } from './tuning/store.js';

export interface CliEnvironment extends Streams {
  readonly variables: NodeJS.ProcessEnv;
  /** Aborts with an InterruptedError when the process is asked to stop. */
  readonly signal: AbortSignal;
  /** Program and first arguments that start this command line anew, for what needs a process of its own. */
  readonly self?: readonly [string, ...string[]];
  /** In place of opening a device, for tests that lose one. */
  readonly open?: (options: OpenOptions) => Promise<Gpu>;
  /** In place of the published data sets, for tests that have a server of their own. */
  readonly published?: Partial<typeof PUBLISHED_DATASETS>;
}

interface Given {
  readonly origins?: ReadonlyMap<string, string>;
  readonly imageBytes?: number;
}

export class Context {
  readonly output: Output;
  readonly variables: NodeJS.ProcessEnv;
  readonly signal: AbortSignal;
  readonly self: CliEnvironment['self'];
  readonly published: CliEnvironment['published'];
  /** Where the value of each setting and argument came from, by name. */
  readonly origins: ReadonlyMap<string, string>;
  /** What a set of images may take on the device. */
  readonly imageBytes: number;
  readonly #open: (options: OpenOptions) => Promise<Gpu>;
  #gpu: Gpu | undefined;
  #tuning: Tuning | undefined;

  constructor(environment: CliEnvironment, options: OutputOptions, { origins = new Map(), imageBytes = Infinity }: Given = {}) {
    this.output = new Output(environment, options);
    this.variables = environment.variables;
    this.signal = environment.signal;
    this.self = environment.self;
    this.published = environment.published;
    this.origins = origins;
    this.imageBytes = imageBytes;
    this.#open = environment.open ?? openDevice;
  }

  /**
   * Opens the device; the one opened before is closed. `adapter` is `any`, `cpu` (a software adapter), `gpu` (a real one)
   * or a part of the adapter's name. `choices`: of kernel variants; those of this machine's tuning unless told. Throws AdapterError.
   */
  async openGpu(adapter: string, choices?: Choices): Promise<Gpu> {
    this.closeGpu();
    const options: OpenOptions = adapter === 'any' || adapter === 'cpu' || adapter === 'gpu' ? { prefer: adapter } : { adapter };
    this.#gpu = await this.#open(options);
    const { adapter: found } = this.#gpu;
    const path = this.tuningPath(found);
    this.#tuning = path === undefined ? undefined : await readTuning(path, adapterRecord(found), (line) => this.output.note(line));
    this.#gpu.choices = choices ?? this.#tuning?.choices ?? {};
    return this.#gpu;
  }

  /** Before training on `gpu`. Throws AdapterError where it cannot train so; says where it can, but slowly. */
  checkPrecision(gpu: Gpu, precision: Precision): void {
    gpu.requirePrecision(precision);
    if (precision === 'mixed' && gpu.adapter.software) {
      this.output.note('mixed precision is for GPUs: on a software adapter like this one it is many times slower than f32');
    }
  }

  /** What `n2n tune` found for the opened adapter, its driver and this version, if it ran. */
  get tuning(): Tuning | undefined {
    return this.#tuning;
  }

  /** The file of an adapter's tuning; undefined where no cache directory is known. */
  tuningPath(adapter: Gpu['adapter']): string | undefined {
    const folder = tuningFolder(this.variables);
    return folder === undefined ? undefined : tuningPath(folder, adapterRecord(adapter));
  }

  /** Lets the process end by itself: a live device keeps it, and exiting with one can abort it. */
  closeGpu(): void {
    this.#gpu?.close();
    this.#gpu = undefined;
  }
}
