// Images that a small network can learn in seconds, for tests.
import type { Split } from '../data/index.js';
import { keyedRandom } from '../random.js';

/** Noisy images of `classes` patterns of 4x4 blocks; image i shows pattern i mod `classes`. */
export function patterns(count: number, classes: number, channels: number, side: number): Split {
  const bytes = channels * side * side;
  const prototypes = Array.from({ length: classes }, (_, c) => keyedRandom(7, 'prototype', c));
  const faces = prototypes.map((stream) => Array.from({ length: 64 }, () => stream.int(200)));
  const block = (p: number): number => Math.floor(p / side / 4) * 8 + Math.floor((p % side) / 4);
  const images = new Uint8Array(count * bytes);
  const labels = new Uint8Array(count);
  for (let i = 0; i < count; i++) {
    const noise = keyedRandom(7, 'noise', i);
    labels[i] = i % classes;
    for (let p = 0; p < bytes; p++) images[i * bytes + p] = faces[i % classes]![block(p)]! + noise.int(56);
  }
  return { count, images, labels };
}
