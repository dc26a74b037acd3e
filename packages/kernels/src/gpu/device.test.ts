// The device: it fails loudly, once, and for everybody; buffers keep their limits; data comes back as written.
import { afterAll, describe, expect, it } from 'vitest';
import { openDevice, type Gpu } from './device.js';
import { DeviceLostError, DeviceMemoryError, DeviceUseError } from './errors.js';

const gpu = await openDevice();
afterAll(() => gpu.close());

/** A device of its own, for tests that break it. */
async function broken(breakIt: (device: Gpu) => void, test: (device: Gpu) => Promise<void>): Promise<void> {
  const device = await openDevice();
  try {
    breakIt(device);
    await test(device);
  } finally {
    device.close();
  }
}

describe('openDevice', () => {
  it('describes the adapter and asks for its own limits', () => {
    expect(gpu.adapter.description + gpu.adapter.device).not.toBe('');
    expect(gpu.traits.kind).toBe(gpu.adapter.software ? 'cpu' : 'gpu');
    expect(gpu.traits.maxWorkgroups).toBeGreaterThanOrEqual(65_535);
    expect(gpu.traits.storageBuffers).toBe(gpu.limits.maxStorageBuffersPerShaderStage);
    expect(gpu.limits.maxBufferSize).toBeGreaterThan(268_435_456); // WebGPU's default
    expect(gpu.alignment % 16).toBe(0);
  });

  it('refuses an adapter of the other kind', async () => {
    await expect(openDevice({ prefer: gpu.adapter.software ? 'gpu' : 'cpu' })).rejects.toThrow(/software/);
    (await openDevice({ prefer: gpu.adapter.software ? 'cpu' : 'gpu' })).close();
  });
});

describe('a failed device', () => {
  it('is poisoned by an uncaptured error: every later use throws the first one', async () => {
    await broken(
      (device) => device.raw.createBuffer({ size: 16, usage: 0xffff_ffff }),
      async (device) => {
        await expect(device.done()).rejects.toThrow(DeviceUseError);
        expect(() => device.check()).toThrow(DeviceUseError);
        await expect(device.allocate(16, 'a')).rejects.toThrow(DeviceUseError);
        device.poison(new DeviceLostError('later'));
        expect(() => device.check()).toThrow(DeviceUseError);
      },
    );
  });

  it('does not hand back data computed after an error', async () => {
    const device = await openDevice();
    const slice = await device.allocate(16, 'a');
    device.raw.createBuffer({ size: 16, usage: 0xffff_ffff });
    await expect(device.read(slice)).rejects.toThrow(DeviceUseError);
    device.close();
  });

  it('reports a loss as such', async () => {
    await broken(
      (device) => device.raw.destroy(), // as a driver would: not through close()
      async (device) => {
        await expect(device.done()).rejects.toThrow(DeviceLostError);
      },
    );
  });

  it('refuses work once closed, and closes twice', async () => {
    const device = await openDevice();
    const slice = await device.allocate(16, 'a');
    device.close();
    device.close();
    expect(() => device.check()).toThrow('the device is closed');
    expect(() => device.write(slice, new Float32Array(4))).toThrow(DeviceUseError);
    await expect(device.read(slice)).rejects.toThrow(DeviceUseError);
    await expect(device.allocate(16, 'a')).rejects.toThrow('the device is closed');
  });
});

describe('buffers', () => {
  it('are refused over the limit, by name and with both sizes, and the device stays usable', async () => {
    const bytes = gpu.limits.maxBufferSize + 16;
    await expect(gpu.allocate(bytes, 'teacher logits')).rejects.toThrow(DeviceMemoryError);
    await expect(gpu.allocate(bytes, 'teacher logits')).rejects.toThrow(/"teacher logits" needs \d+ bytes; this adapter allows \d+/);
    await gpu.done();
  });

  it('start at zero, are rounded up to 16 bytes, and are counted', async () => {
    const before = gpu.statistics.bytesAllocated;
    const slice = await gpu.allocate(20, 'a');
    expect(slice.size).toBe(32);
    expect([...(await gpu.read(slice))]).toEqual([0, 0, 0, 0, 0, 0, 0, 0]);
    expect(gpu.statistics.bytesAllocated).toBe(before + 32);
    await gpu.free(slice);
    expect(gpu.statistics.bytesAllocated).toBe(before);
  });

  it('give back what was written, at an offset and within a slice', async () => {
    const whole = await gpu.allocate(64, 'a');
    const inner = { buffer: whole.buffer, offset: 16, size: 16 };
    gpu.write(whole, new Uint32Array(16).fill(7));
    gpu.write(inner, Uint32Array.of(1, 2), 4);
    expect([...new Uint32Array(await gpu.readBytes(whole))]).toEqual([7, 7, 7, 7, 7, 1, 2, 7, 7, 7, 7, 7, 7, 7, 7, 7]);
    expect([...new Uint32Array(await gpu.readBytes(inner))]).toEqual([7, 1, 2, 7]);
    expect(() => gpu.write(inner, new Float32Array(4), 4)).toThrow('write of 16 bytes at 4 into a slice of 16');
    // A view into a longer array: only its own part is written.
    gpu.write(whole, new Float32Array(8).fill(5).subarray(4, 5));
    expect([...(await gpu.read(whole))].slice(0, 2)).toEqual([5, new Float32Array(Uint32Array.of(7).buffer)[0]]);
    await gpu.free(whole);
  });

  it('move more than one piece of 64 MiB in each direction', async () => {
    const words = (64 * 2 ** 20) / 4 + 12;
    const data = new Uint32Array(words);
    for (let i = 0; i < words; i++) data[i] = Math.imul(i, 2_654_435_761);
    const slice = await gpu.allocate(words * 4, 'large');
    gpu.write(slice, data);
    const back = new Uint32Array(await gpu.readBytes(slice));
    expect(Buffer.compare(Buffer.from(back.buffer), Buffer.from(data.buffer))).toBe(0);
    await gpu.free(slice);
  });

  it('can be allocated and freed in their thousands', async () => {
    const before = gpu.statistics.bytesAllocated;
    for (let round = 0; round < 8; round++) {
      const slices = await Promise.all(Array.from({ length: 256 }, (_, i) => gpu.allocate(4096, `small ${i}`)));
      await gpu.free(...slices);
    }
    expect(gpu.statistics.bytesAllocated).toBe(before);
  });
});
