// The images of a set that is not on the device: those of the coming steps are uploaded into a ring while the steps before run.
import { VOID_IMAGE, type Allocations, type Gpu, type Slice } from '@n2n/kernels';
import type { DeviceImages } from './images.js';
import { MOST_STEPS_A_SUBMIT } from './run.js';

/** Bytes of a ring, at most; one step needs what it needs. */
const RING_BYTES = 64 * 2 ** 20;

export class ImageStream {
  #order: Uint32Array = new Uint32Array();
  /** Steps of the order that were uploaded, those overwritten included. */
  #uploaded = 0;
  readonly #host: Uint8Array;

  private constructor(
    private readonly gpu: Gpu,
    private readonly images: DeviceImages,
    private readonly batch: number,
    /** Steps that the ring holds. */
    readonly ring: number,
    /** [ring, batch] images, each on a stride of whole words. */
    readonly slice: Slice,
  ) {
    this.#host = new Uint8Array(batch * images.stride);
  }

  /** For steps of `batch` images of a set that is not resident. */
  static async create(gpu: Gpu, owned: Allocations, images: DeviceImages, batch: number): Promise<ImageStream> {
    const stepBytes = batch * images.stride;
    const most = Math.floor(Math.min(gpu.limits.maxStorageBufferBindingSize, images.memoryBytes, RING_BYTES) / stepBytes);
    const ring = Math.max(1, Math.min(2 * MOST_STEPS_A_SUBMIT, most));
    return new ImageStream(gpu, images, batch, ring, await owned.allocate(ring * stepBytes, 'images of the coming steps'));
  }

  /** Steps that one submit may take: half of the ring, so that the other half is filled meanwhile. */
  get ahead(): number {
    return Math.max(1, Math.floor(this.ring / 2));
  }

  /** Begins an order, pairs (image, view) of whole steps. */
  begin(order: Uint32Array): void {
    this.#order = order;
    this.#uploaded = 0;
    this.upload(this.ahead);
  }

  /**
   * Sees that the steps before `end`, at most `ring` of them from the first still to run, are on the device. Uploads are queued
   * behind the work submitted before, so that a place in the ring is overwritten only after its step has run.
   */
  upload(end: number): void {
    const last = Math.min(end, this.#order.length / (2 * this.batch));
    for (; this.#uploaded < last; this.#uploaded++) {
      this.#collect(this.#uploaded);
      this.gpu.write(this.slice, this.#host, (this.#uploaded % this.ring) * this.#host.length);
    }
  }

  /** Puts the images of a step side by side; what a void entry's place holds does not matter. */
  #collect(step: number): void {
    const { pixels, imageBytes, stride } = this.images;
    for (let i = 0; i < this.batch; i++) {
      const image = this.#order[2 * (step * this.batch + i)]!;
      if (image === VOID_IMAGE) continue;
      this.#host.set(pixels.subarray(image * imageBytes, (image + 1) * imageBytes), i * stride);
    }
  }
}
