// A split of a data set on the device: pixels as bytes in shards under the binding limit, labels as words.
import { Allocations, type Gpu, type Slice } from '@n2n/kernels';
import type { Split } from '../data/index.js';

export interface ImageGeometry {
  readonly channels: number;
  readonly height: number;
  readonly width: number;
}

/** Images first .. first + count - 1, each on a stride of a multiple of 4 bytes, channel planes as in the file. */
export interface Shard {
  readonly first: number;
  readonly count: number;
  readonly slice: Slice;
}

export class DeviceImages {
  private constructor(
    readonly geometry: ImageGeometry,
    readonly count: number,
    readonly shards: readonly Shard[],
    /** u32 [count] */
    readonly labels: Slice,
    private readonly owned: Allocations,
  ) {}

  static async create(gpu: Gpu, split: Split, geometry: ImageGeometry): Promise<DeviceImages> {
    const bytes = geometry.channels * geometry.height * geometry.width;
    const stride = Math.ceil(bytes / 4) * 4;
    const perShard = Math.floor(gpu.limits.maxStorageBufferBindingSize / stride);
    return Allocations.create(gpu, async (owned) => {
      const shards: Shard[] = [];
      for (let first = 0; first < split.count; first += perShard) {
        const count = Math.min(perShard, split.count - first);
        const slice = await owned.allocate(count * stride, `images from ${first}`);
        gpu.write(slice, strided(split.images.subarray(first * bytes, (first + count) * bytes), bytes, stride));
        shards.push({ first, count, slice });
      }
      const labels = await owned.allocate(split.count * 4, 'labels');
      gpu.write(labels, Uint32Array.from(split.labels));
      return new DeviceImages(geometry, split.count, shards, labels, owned);
    });
  }

  async destroy(): Promise<void> {
    await this.owned.destroy();
  }
}

function strided(images: Uint8Array, bytes: number, stride: number): Uint8Array {
  if (bytes === stride) return images;
  const count = images.length / bytes;
  const result = new Uint8Array(count * stride);
  for (let i = 0; i < count; i++) result.set(images.subarray(i * bytes, (i + 1) * bytes), i * stride);
  return result;
}
