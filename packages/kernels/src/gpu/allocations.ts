// What one object holds on the device: freed together when the object goes, and at once when it fails halfway through its making.
import type { Gpu, Slice } from './device.js';

/** Something that holds memory of its own. */
export interface Destroyable {
  destroy(): Promise<void>;
}

export class Allocations {
  readonly #gpu: Gpu;
  readonly #slices: Slice[] = [];
  readonly #parts: Destroyable[] = [];

  constructor(gpu: Gpu) {
    this.#gpu = gpu;
  }

  /**
   * What `make` returns; the object keeps the allocations and destroys them when it goes. Should `make` throw, what it had
   * allocated and adopted by then is freed. Where even that fails the device is void, and its failure is the one thrown.
   */
  static async create<T>(gpu: Gpu, make: (owned: Allocations) => Promise<T>): Promise<T> {
    const owned = new Allocations(gpu);
    try {
      return await make(owned);
    } catch (error) {
      await owned.destroy();
      throw error;
    }
  }

  /** Like Gpu.allocate. */
  async allocate(bytes: number, label: string): Promise<Slice> {
    return this.own(await this.#gpu.allocate(bytes, label));
  }

  /** Takes over a whole buffer. */
  own(slice: Slice): Slice {
    this.#slices.push(slice);
    return slice;
  }

  /** Takes over an object, to be destroyed before the buffers are freed. */
  adopt<T extends Destroyable>(part: T): T {
    this.#parts.push(part);
    return part;
  }

  async destroy(): Promise<void> {
    for (const part of this.#parts.splice(0)) await part.destroy();
    await this.#gpu.free(...this.#slices.splice(0));
  }
}
