// Data files for tests: written by SciPy and NumPy (data/fixtures.py), and small ones in the published layouts.
import { readFileSync } from 'node:fs';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type { RandomStream } from '../random.js';

export type Files = Readonly<Record<string, Uint8Array>>;

/** A file of data/<table>.json. */
export function fixture(table: 'files' | 'images', name: string): Uint8Array {
  const all = JSON.parse(readFileSync(new URL(`./data/${table}.json`, import.meta.url), 'utf8')) as Record<string, string>;
  const text = all[name];
  if (text === undefined) throw new Error(`testing/data/${table}.json has no "${name}"; write it anew`);
  return new Uint8Array(Buffer.from(text, 'base64'));
}

/** The pixels of fixtures.py as [count, channels, height, width]. */
export function fixturePixels(count: number, channels: number, height: number, width: number): Uint8Array {
  const images = new Uint8Array(count * channels * height * width);
  let i = 0;
  for (let n = 0; n < count; n++) {
    for (let c = 0; c < channels; c++) {
      for (let h = 0; h < height; h++) for (let w = 0; w < width; w++, i++) images[i] = (7 * h + 3 * w + 50 * c + 11 * n) % 256;
    }
  }
  return images;
}

/** A new empty folder. */
export async function dataFolder(): Promise<{ path: string; write: (files: Files) => Promise<void>; remove: () => Promise<void> }> {
  const path = await mkdtemp(join(tmpdir(), 'n2n-data-'));
  return {
    path,
    async write(files) {
      for (const [name, bytes] of Object.entries(files)) {
        await mkdir(dirname(join(path, name)), { recursive: true });
        await writeFile(join(path, name), bytes);
      }
    },
    remove: () => rm(path, { recursive: true, force: true }),
  };
}

/** Records of CIFAR-100: coarse label i mod 20, fine label i mod 100, each plane i + its number. */
export function cifar100Records(count: number): Uint8Array {
  const bytes = new Uint8Array(count * 3074);
  for (let i = 0; i < count; i++) {
    bytes[i * 3074] = i % 20;
    bytes[i * 3074 + 1] = i % 100;
    for (let c = 0; c < 3; c++) bytes.fill(i + c, i * 3074 + 2 + c * 1024, i * 3074 + 2 + (c + 1) * 1024);
  }
  return bytes;
}

/** Cuts, extends, or overwrites one to three bytes, half of them near the begin, where headers are. */
export function mutate(bytes: Uint8Array, random: RandomStream): Uint8Array {
  const kind = random.int(4);
  if (kind === 0) return bytes.subarray(0, random.int(bytes.length));
  if (kind === 1) return Buffer.concat([bytes, Uint8Array.from({ length: 1 + random.int(40) }, () => random.int(256))]);
  const changed = Uint8Array.from(bytes);
  for (let i = random.int(3); i >= 0; i--) {
    const near = kind === 2 ? Math.min(200, bytes.length) : bytes.length;
    changed[random.int(near)] = random.int(256);
  }
  return changed;
}

/** A ustar archive; a name that ends in "/" is a folder. */
export function tarOf(files: Files): Uint8Array {
  const blocks = Object.entries(files).flatMap(([name, bytes]) => {
    const header = Buffer.alloc(512);
    header.write(name, 0);
    header.write('0000644\0', 100);
    header.write(`${bytes.length.toString(8).padStart(11, '0')}\0`, 124);
    header.write('        ', 148);
    header.write(name.endsWith('/') ? '5' : '0', 156);
    header.write('ustar\u000000', 257);
    const sum = header.reduce((total, byte) => total + byte, 0);
    header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148);
    return [header, bytes, Buffer.alloc((512 - (bytes.length % 512)) % 512)];
  });
  return Buffer.concat([...blocks, Buffer.alloc(1024)]);
}
