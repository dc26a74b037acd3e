// A split of a data set for the device: labels as words; pixels as bytes in shards under the binding limit or, where they do not
// fit, on the host, from where feeds stream them.
import { Allocations, DeviceMemoryError, type Gpu, type Slice } from '@n2n/kernels';
import type { Split } from '../data/index.js';

export interface ImageGeometry {
  readonly channels: number;
  readonly height: number;
  readonly width: number;
}

/** A part of a table with a row an image: images first .. first + count - 1. */
export interface Shard {
  readonly first: number;
  readonly count: number;
  readonly slice: Slice;
}

/** Room for `count` images of `stride` bytes each, in as few parts as can be bound. */
export async function allocateShards(gpu: Gpu, owned: Allocations, count: number, stride: number, label: string): Promise<Shard[]> {
  const most = Math.max(1, Math.floor(gpu.limits.maxStorageBufferBindingSize / stride));
  const shards: Shard[] = [];
  for (let first = 0; first < count; first += most) {
    const part = Math.min(most, count - first);
    shards.push({ first, count: part, slice: await owned.allocate(part * stride, `${label} from ${first}`) });
  }
  return shards;
}

export class DeviceImages {
  private constructor(
    readonly geometry: ImageGeometry,
    readonly count: number,
    /** Each image on a stride of a multiple of 4 bytes, channel planes as in the file; undefined where they stay on the host. */
    readonly shards: readonly Shard[] | undefined,
    /** u32 [count] */
    readonly labels: Slice,
    /** On the host: [count, channels, height, width]. */
    readonly pixels: Uint8Array,
    /** What they may take on the device. */
    readonly memoryBytes: number,
    private readonly owned: Allocations,
  ) {}

  /**
   * `memoryBytes` is what the images may take on the device. A set that needs more, or more than the device has, is streamed:
   * results are the same, bit for bit.
   */
  static async create(gpu: Gpu, split: Split, geometry: ImageGeometry, memoryBytes = Infinity): Promise<DeviceImages> {
    return Allocations.create(gpu, async (owned) => {
      const labels = await owned.allocate(split.count * 4, 'labels');
      gpu.write(labels, Uint32Array.from(split.labels));
      const resident = split.count * strideOf(geometry) <= memoryBytes ? await upload(gpu, split, geometry) : undefined;
      if (resident !== undefined) owned.adopt(resident.owned);
      return new DeviceImages(geometry, split.count, resident?.shards, labels, split.images, memoryBytes, owned);
    });
  }

  /** Bytes of an image on the host. */
  get imageBytes(): number {
    return bytesOf(this.geometry);
  }

  /** Bytes from one image to the next on the device. */
  get stride(): number {
    return strideOf(this.geometry);
  }

  async destroy(): Promise<void> {
    await this.owned.destroy();
  }
}

const bytesOf = ({ channels, height, width }: ImageGeometry): number => channels * height * width;
const strideOf = (geometry: ImageGeometry): number => Math.ceil(bytesOf(geometry) / 4) * 4;

/** Undefined where the device has not the memory. */
async function upload(
  gpu: Gpu,
  split: Split,
  geometry: ImageGeometry,
): Promise<{ readonly shards: readonly Shard[]; readonly owned: Allocations } | undefined> {
  const [bytes, stride] = [bytesOf(geometry), strideOf(geometry)];
  try {
    return await Allocations.create(gpu, async (owned) => {
      const shards = await allocateShards(gpu, owned, split.count, stride, 'images');
      for (const { first, count, slice } of shards) {
        gpu.write(slice, strided(split.images.subarray(first * bytes, (first + count) * bytes), bytes, stride));
      }
      return { shards, owned };
    });
  } catch (error) {
    if (!(error instanceof DeviceMemoryError)) throw error;
    gpu.check(); // memory that ran out outside of an allocation has voided the device
    return undefined;
  }
}

function strided(images: Uint8Array, bytes: number, stride: number): Uint8Array {
  if (bytes === stride) return images;
  const count = images.length / bytes;
  const result = new Uint8Array(count * stride);
  for (let i = 0; i < count; i++) result.set(images.subarray(i * bytes, (i + 1) * bytes), i * stride);
  return result;
}
