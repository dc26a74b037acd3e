// Damaged and hostile model files: each is read or refused with ModelFileError, at once and without filling memory. What is
// drawn is keyed, so a failing case can be rerun by its name.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { zooSpec } from '../network/index.js';
import { keyedRandom, type RandomStream } from '../random.js';
import { onnxFixture, plainPreprocessing } from '../testing/onnx.js';
import { initialWeights } from '../train/initial.js';
import { ModelFileError } from './error.js';
import { encodeModel, loadModel } from './model.js';
import { loadOnnx } from './onnx/index.js';

const folder = mkdtempSync(join(tmpdir(), 'n2n-fuzz-'));
afterAll(() => rmSync(folder, { recursive: true }));

/** Files of each format. */
const CASES = 200;
/** Of this process's time, for the machine may be busy; a case takes a few milliseconds. */
const MOST_MS = 1000;
const MOST_GROWTH_BYTES = 256 * 2 ** 20;

type Mutation = (bytes: Uint8Array, random: RandomStream) => Uint8Array;

const splice = (bytes: Uint8Array, at: number, remove: number, insert: Uint8Array): Uint8Array =>
  Uint8Array.from(Buffer.concat([bytes.subarray(0, at), insert, bytes.subarray(at + remove)]));

/** A place in the file: half of the time in its first part, where structure is densest. */
const place = (bytes: Uint8Array, random: RandomStream): number =>
  random.int(2) === 0 ? random.int(Math.min(bytes.length, 600)) : random.int(bytes.length);

const mutations: Readonly<Record<string, Mutation>> = {
  truncated: (bytes, random) => bytes.slice(0, random.int(bytes.length)),
  'bits flipped': (bytes, random) => {
    const copy = bytes.slice();
    for (let i = 0; i <= random.int(8); i++) copy[place(bytes, random)]! ^= 1 << random.int(8);
    return copy;
  },
  'bytes replaced': (bytes, random) => {
    const copy = bytes.slice();
    const at = place(bytes, random);
    for (let i = at; i < Math.min(copy.length, at + 1 + random.int(12)); i++) copy[i] = random.int(256);
    return copy;
  },
  'lengths blown up': (bytes, random) => {
    const copy = bytes.slice();
    copy.fill(0xff, place(bytes, random), undefined);
    return random.int(2) === 0 ? copy : splice(bytes, place(bytes, random), 1, Uint8Array.of(0xff, 0xff, 0xff, 0xff, 0x0f));
  },
  'a part twice': (bytes, random) => {
    const at = place(bytes, random);
    return splice(bytes, at, 0, bytes.slice(at, at + 1 + random.int(200)));
  },
  'a part left out': (bytes, random) => splice(bytes, place(bytes, random), 1 + random.int(100), new Uint8Array(0)),
  'nested in itself': (bytes, random) => splice(bytes, place(bytes, random), 0, bytes),
};

interface Tally {
  refused: number;
  read: number;
}

/** Loads a file; anything but a model or a ModelFileError is a defect. */
async function attempt(load: (path: string) => Promise<unknown>, path: string, tally: Tally): Promise<keyof Tally> {
  const [start, before] = [process.cpuUsage(), process.memoryUsage().rss];
  let outcome: keyof Tally;
  try {
    await load(path);
    tally.read++;
    outcome = 'read';
  } catch (error) {
    expect(error).toBeInstanceOf(ModelFileError);
    expect((error as Error).message.length).toBeLessThan(4000);
    tally.refused++;
    outcome = 'refused';
  }
  const { user, system } = process.cpuUsage(start);
  expect((user + system) / 1000).toBeLessThan(MOST_MS);
  expect(process.memoryUsage().rss - before).toBeLessThan(MOST_GROWTH_BYTES);
  return outcome;
}

function safetensorsBytes(): Uint8Array {
  const spec = zooSpec('mnist-cnn@0.25', { channels: 1, height: 8, width: 8, classes: 3 });
  return encodeModel({ spec, weights: initialWeights(spec, 1), preprocessing: plainPreprocessing(1) }, 'test');
}

const names = ['residual', 'residual-bn', 'squeeze', 'mobile', 'dense', 'plain'];
const formats = [
  { format: 'onnx', load: loadOnnx, sources: names.map((name) => Uint8Array.from(readFileSync(onnxFixture(name).path))) },
  { format: 'safetensors', load: loadModel, sources: [safetensorsBytes()] },
] as const;

describe.each(formats)('$format', ({ format, load, sources }) => {
  const tally: Tally = { refused: 0, read: 0 };
  const kinds = Object.keys(mutations);
  beforeAll(async () => {
    // Compiles what the first case would have to wait for.
    writeFileSync(join(folder, `whole.${format}`), sources[0]);
    await load(join(folder, `whole.${format}`));
  });

  it.each(Array.from({ length: CASES }, (_, i) => [i, kinds[i % kinds.length]!] as const))('case %i, %s', async (i, kind) => {
    const random = keyedRandom(11, `${format}/${kind}`, i);
    const source = sources[Math.floor(i / kinds.length) % sources.length]!;
    const path = join(folder, `${i}.${format}`);
    writeFileSync(path, mutations[kind]!(source, random));
    expect(await attempt(load, path, tally)).toMatch(/^(read|refused)$/);
  });

  it('refuses most of them, and not for the sake of refusing', () => {
    expect(tally.refused + tally.read).toBe(CASES);
    expect(tally.refused).toBeGreaterThan(CASES / 2);
    expect(tally.read).toBeGreaterThan(0);
  });
});
