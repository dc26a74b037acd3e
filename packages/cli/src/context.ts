// What a command gets from the process it runs in: streams, environment, the stop signal and the device.
import { openDevice, type Gpu, type OpenOptions } from '@n2n/kernels';
import { Output, type OutputOptions, type Streams } from './output/output.js';

export interface CliEnvironment extends Streams {
  readonly variables: NodeJS.ProcessEnv;
  /** Aborts with an InterruptedError when the process is asked to stop. */
  readonly signal: AbortSignal;
  /** In place of opening a device, for tests that lose one. */
  readonly open?: (options: OpenOptions) => Promise<Gpu>;
}

export class Context {
  readonly output: Output;
  readonly variables: NodeJS.ProcessEnv;
  readonly signal: AbortSignal;
  /** Where the value of each setting and argument came from, by name. */
  readonly origins: ReadonlyMap<string, string>;
  readonly #open: (options: OpenOptions) => Promise<Gpu>;
  #gpu: Gpu | undefined;

  constructor(environment: CliEnvironment, options: OutputOptions, origins: ReadonlyMap<string, string> = new Map()) {
    this.output = new Output(environment, options);
    this.variables = environment.variables;
    this.signal = environment.signal;
    this.origins = origins;
    this.#open = environment.open ?? openDevice;
  }

  /**
   * Opens the device; the one opened before is closed. `adapter` is `any`, `cpu` (a software adapter), `gpu` (a real one)
   * or a part of the adapter's name. Throws AdapterError.
   */
  async openGpu(adapter: string): Promise<Gpu> {
    this.closeGpu();
    const options: OpenOptions = adapter === 'any' || adapter === 'cpu' || adapter === 'gpu' ? { prefer: adapter } : { adapter };
    this.#gpu = await this.#open(options);
    return this.#gpu;
  }

  /** Lets the process end by itself: a live device keeps it, and exiting with one can abort it. */
  closeGpu(): void {
    this.#gpu?.close();
    this.#gpu = undefined;
  }
}
