// Safetensors: bytes against the published layout, every number format, and files made to mislead a reader.
import { mkdir, mkdtemp, readdir, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { keyedRandom } from '../random.js';
import { FileWriteError, writeFileAtomic } from './atomic.js';
import { ModelFileError } from './error.js';
import { parseStrictJson } from './json-text.js';
import { MAX_MODEL_BYTES } from './bytes.js';
import { MAX_HEADER_BYTES, parseSafetensors, readSafetensors, writeSafetensors } from './safetensors.js';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'n2n-files-'));
});
afterEach(async () => {
  await rm(folder, { recursive: true, force: true });
});

/** A file with this header (JSON, or its text) and data; `length` overrides the header length it states. */
function file(header: unknown, data: Uint8Array = new Uint8Array(), length?: bigint): Uint8Array {
  const text = typeof header === 'string' ? header : JSON.stringify(header);
  const bytes = Buffer.concat([new Uint8Array(8), Buffer.from(text), data]);
  bytes.writeBigUInt64LE(length ?? BigInt(Buffer.byteLength(text)));
  return bytes;
}

const f32 = (shape: unknown, begin: unknown, end: unknown): unknown => ({ dtype: 'F32', shape, data_offsets: [begin, end] });

describe('writing and reading', () => {
  it('writes the published layout: padded header, sorted names, little-endian F32', async () => {
    const path = join(folder, 'a.safetensors');
    const tensors = new Map([
      ['b', { shape: [2, 1], data: Float32Array.of(1, -2) }],
      ['10', { shape: [], data: Float32Array.of(0.5) }],
      ['a', { shape: [0, 3], data: new Float32Array(0) }],
    ]);
    await writeSafetensors(path, tensors, { z: '1', k: 'v' });
    const bytes = await readFile(path);
    const headerBytes = Number(bytes.readBigUInt64LE());
    expect(headerBytes % 8).toBe(0);
    expect(
      bytes
        .subarray(8, 8 + headerBytes)
        .toString()
        .trimEnd(),
    ).toBe(
      '{"__metadata__":{"k":"v","z":"1"},"10":{"dtype":"F32","shape":[],"data_offsets":[0,4]},' +
        '"a":{"dtype":"F32","shape":[0,3],"data_offsets":[4,4]},"b":{"dtype":"F32","shape":[2,1],"data_offsets":[4,12]}}',
    );
    expect(bytes.subarray(8 + headerBytes).toString('hex')).toBe('0000003f' + '0000803f' + '000000c0');
    await writeSafetensors(join(folder, 'b'), new Map([...tensors].reverse()), { k: 'v', z: '1' });
    expect((await readFile(join(folder, 'b'))).equals(bytes)).toBe(true);
    expect((await readdir(folder)).sort()).toEqual(['a.safetensors', 'b']);
  });

  it('reads back the bits, names and texts that it wrote, whatever they are', async () => {
    const path = join(folder, 'a');
    const random = keyedRandom(1, 'round-trip');
    const data = Float32Array.from({ length: 1000 }, () => random.normal());
    data.set([Infinity, -Infinity, -0, 1e-45, 3.4e38], 5);
    // A view into a larger buffer, as slices of an arena are.
    const part = new Float32Array(1010).fill(9);
    part.set(data, 4);
    const tensors = new Map([
      ['__proto__', { shape: [10, 100], data: part.subarray(4, 1004) }],
      ['größe "x"\n', { shape: [1], data: Float32Array.of(7) }],
    ]);
    await writeSafetensors(path, tensors, { ['__proto__']: 'kept', ключ: '\u0000"\\' });
    const read = await readSafetensors(path);
    expect([...read.tensors.keys()].sort()).toEqual([...tensors.keys()].sort());
    expect(read.tensors.get('__proto__')?.shape).toEqual([10, 100]);
    expect(new Uint32Array(read.tensors.get('__proto__')?.data.buffer ?? new ArrayBuffer())).toEqual(new Uint32Array(data.buffer));
    expect(Object.entries(read.metadata)).toEqual(
      expect.arrayContaining([
        ['__proto__', 'kept'],
        ['ключ', '\u0000"\\'],
      ]),
    );
    expect(await readSafetensors(await readFile(path))).toEqual(read);
  });

  it('refuses to write what it could not read', async () => {
    const write = (name: string, shape: number[]): Promise<void> =>
      writeSafetensors(join(folder, 'a'), new Map([[name, { shape, data: new Float32Array(6) }]]));
    await expect(write('w', [2, 2])).rejects.toThrow('tensor "w" has shape [2, 2] and 6 elements');
    await expect(write('w', [-2, -3])).rejects.toThrow('tensor "w" has shape [-2, -3]');
    await expect(write('__metadata__', [6])).rejects.toThrow('"__metadata__" is no name');
    expect(await readdir(folder)).toEqual([]);
  });

  it.each([
    // Bits and values as IEEE 754 and the bfloat16 format define them: one, largest, smallest normal, subnormals, -0, infinity.
    [
      'F16',
      2,
      [0x3c00, 0x7bff, 0x0400, 0x03ff, 0x0001, 0x8000, 0xfc00, 0x3555],
      [1, 65504, 2 ** -14, 1023 * 2 ** -24, 2 ** -24, -0, -Infinity, 0.333251953125],
    ],
    [
      'BF16',
      2,
      [0x3f80, 0x7f7f, 0x0080, 0x0001, 0x8000, 0xff80, 0xc049],
      [1, 255 * 2 ** 120, 2 ** -126, 2 ** -133, -0, -Infinity, -3.140625],
    ],
  ] as const)('reads %s', (dtype, size, bits, values) => {
    const data = new Uint8Array(size * bits.length);
    bits.forEach((word, i) => new DataView(data.buffer).setUint16(size * i, word, true));
    const header = { x: { dtype, shape: [bits.length], data_offsets: [0, data.length] } };
    // An odd header length, so that the data is not aligned.
    const text = JSON.stringify(header);
    const bytes = file(text.length % 2 === 0 ? `${text} ` : text, data);
    expect([...(parseSafetensors(bytes, 'x').tensors.get('x')?.data ?? [])]).toEqual(values);
  });

  it('reads F64, rounded to float32, and F16 not-a-numbers', () => {
    const data = new Uint8Array(16);
    new DataView(data.buffer).setFloat64(0, Math.PI, true);
    new DataView(data.buffer).setFloat64(8, -1e300, true);
    const bytes = file(
      { x: { dtype: 'F64', shape: [2], data_offsets: [0, 16] }, y: { dtype: 'F16', shape: [1], data_offsets: [16, 18] } },
      Buffer.concat([data, Uint8Array.of(0, 0x7e)]),
    );
    const { tensors } = parseSafetensors(bytes, 'x');
    expect([...(tensors.get('x')?.data ?? [])]).toEqual([Math.fround(Math.PI), -Infinity]);
    expect(tensors.get('y')?.data[0]).toBeNaN();
  });
});

describe('damaged and hostile files', () => {
  const four = new Uint8Array(4);
  it.each<[string, Uint8Array, string]>([
    ['nothing', new Uint8Array(0), 'holds 0 bytes; a safetensors file begins with 8 bytes'],
    ['a cut length', new Uint8Array(7), 'holds 7 bytes'],
    [
      'a header beyond the limit',
      file('{}', four, BigInt(MAX_HEADER_BYTES) + 1n),
      'ask for a header of 100000001 bytes, and at most 100000000 are allowed',
    ],
    ['the largest length', file('{}', four, 2n ** 64n - 1n), 'ask for a header of 18446744073709552000 bytes'],
    [
      'a header beyond the file',
      file('{}', four, 7n),
      'truncated or no safetensors file: its first 8 bytes ask for a header of 7 bytes, but 6 follow',
    ],
    ['no object', file('[1]'), 'does not begin with "{"'],
    ['an empty header', file(''), 'does not begin with "{"'],
    ['broken JSON', file('{"a":'), 'its header is not valid JSON'],
    ['broken UTF-8', file('{"\xff"}').fill(0xff, 10, 11), 'its header is not valid UTF-8'],
    [
      'a tensor twice',
      file('{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"\\u0061":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}', four),
      'is not valid JSON (the key "a" comes twice in one object',
    ],
    [
      'offsets twice',
      file('{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4],"data_offsets":[0,4]}}', four),
      'the key "data_offsets" comes twice',
    ],
    ['metadata that is a list', file({ __metadata__: ['x'] }), '__metadata__ is ["x"]; it must be an object of texts'],
    ['metadata that is a number', file({ __metadata__: { a: 1 } }), '__metadata__ entry "a" is 1; it must be a text'],
    ['a tensor that is null', file({ a: null }), 'tensor "a" is described by null'],
    [
      'an unknown property',
      file({ a: { dtype: 'F32', shape: [1], data_offsets: [0, 4], x: 1 } }, four),
      'tensor "a" has the unknown property "x"',
    ],
    ['no dtype', file({ a: { shape: [1], data_offsets: [0, 4] } }, four), 'tensor "a" has dtype missing; n2n reads F64, F32, F16, BF16'],
    [
      'integers',
      file({ a: { dtype: 'I64', shape: [1], data_offsets: [0, 8] } }, new Uint8Array(8)),
      'tensor "a" has dtype "I64"; n2n reads',
    ],
    ['a dtype of Object', file({ a: { dtype: 'toString', shape: [1], data_offsets: [0, 4] } }, four), 'has dtype "toString"'],
    ['a negative dimension', file({ a: f32([-1, -1], 0, 4) }, four), 'tensor "a" has shape [-1,-1]; it must be a list'],
    ['a fraction of a dimension', file({ a: f32([0.5, 2], 0, 4) }, four), 'tensor "a" has shape [0.5,2]'],
    ['65 dimensions', file({ a: f32(new Array(65).fill(1), 0, 4) }, four), 'it must be a list of at most 64 integers'],
    ['dimensions whose product wraps round', file({ a: f32([2 ** 32, 2 ** 32], 0, 4) }, four), 'which takes 73786976294838210000 bytes'],
    ['infinite dimensions and a zero', file({ a: f32([...new Array<number>(30).fill(2 ** 52), 0], 0, 0) }), 'takes NaN bytes'],
    [
      'a shape that does not fit its bytes',
      file({ a: f32([2], 0, 4) }, four),
      'tensor "a" has shape [2] in F32, which takes 8 bytes, but data_offsets [0, 4] give 4',
    ],
    ['three offsets', file({ a: { dtype: 'F32', shape: [1], data_offsets: [0, 4, 4] } }, four), 'tensor "a" has data_offsets [0,4,4]'],
    ['negative offsets', file({ a: f32([1], -4, 0) }, four), 'tensor "a" has data_offsets [-4,0]'],
    ['offsets backwards', file({ a: f32([0], 4, 0) }, four), 'the end must not come before the begin'],
    ['a cut tensor', file({ a: f32([2], 0, 8) }, four), 'truncated: tensor "a" ends at byte 8 of the data, but the file holds 4'],
    [
      'overlapping tensors',
      file({ a: f32([2], 0, 8), b: f32([1], 4, 8) }, new Uint8Array(8)),
      'tensor "b" begins at byte 4 of the data, inside another one that ends at 8',
    ],
    ['one tensor under two names', file({ a: f32([1], 0, 4), b: f32([1], 0, 4) }, four), 'tensor "b" begins at byte 0'],
    [
      'a hole',
      file({ a: f32([1], 0, 4), b: f32([1], 8, 12) }, new Uint8Array(12)),
      'no tensor covers bytes 4 to 8 of the data, before "b"',
    ],
    ['bytes at the end', file({ a: f32([1], 0, 4) }, new Uint8Array(5)), 'has 1 bytes after its last tensor'],
  ])('%s', (_, bytes, message) => {
    const parse = (): unknown => parseSafetensors(bytes, '/x/model.safetensors');
    expect(parse).toThrow(ModelFileError);
    expect(parse).toThrow(message);
    expect(parse).toThrow('/x/model.safetensors: ');
  });

  it('missing files, folders and files over the limit', async () => {
    await expect(readSafetensors(join(folder, 'no'))).rejects.toThrow(`${join(folder, 'no')}: does not exist`);
    await expect(readSafetensors(folder)).rejects.toThrow('is not a regular file');
    // Sparse: it takes no room on the disk.
    await writeFile(join(folder, 'big'), '');
    await truncate(join(folder, 'big'), MAX_MODEL_BYTES + 1);
    await expect(readSafetensors(join(folder, 'big'))).rejects.toThrow(`holds ${MAX_MODEL_BYTES + 1} bytes; at most`);
  });

  it('500 mutated files give tensors or a ModelFileError, in bounded time', async () => {
    const path = join(folder, 'a');
    await writeSafetensors(
      path,
      new Map([
        ['conv.weight', { shape: [2, 3], data: new Float32Array(6) }],
        ['b', { shape: [1], data: new Float32Array(1) }],
      ]),
      { a: 'b' },
    );
    const original = new Uint8Array(await readFile(path));
    const started = performance.now();
    let refused = 0;
    for (let trial = 0; trial < 500; trial++) {
      const random = keyedRandom(1, 'mutations', trial);
      const bytes = random.int(5) === 0 ? original.slice(0, random.int(original.length)) : original.slice();
      for (let i = random.int(4); i >= 0 && bytes.length > 0; i--)
        bytes[random.int(bytes.length)] = random.int(2) === 0 ? random.int(256) : 0x20 + random.int(95);
      try {
        parseSafetensors(bytes, 'fuzz');
      } catch (error) {
        expect(error, `trial ${trial}: ${String(error)}`).toBeInstanceOf(ModelFileError);
        refused += 1;
      }
    }
    expect(refused).toBeGreaterThan(250);
    expect(performance.now() - started).toBeLessThan(5_000);
  });

  it('a header of a million brackets neither overflows nor takes long', () => {
    const started = performance.now();
    expect(() => parseSafetensors(file(`{"a":${'['.repeat(1e6)}`), 'x')).toThrow(ModelFileError);
    expect(() => parseSafetensors(file(`{"a":${'['.repeat(1e6)}${']'.repeat(1e6)}}`), 'x')).toThrow(ModelFileError);
    expect(performance.now() - started).toBeLessThan(5_000);
  });
});

describe('parseStrictJson', () => {
  it.each([
    ['{"a":1,"b":{"a":1},"c":[{"a":1},{"a":2}]}', undefined],
    ['{"a":"a","b":["a","a"],"c":"\\"a\\":"}', undefined],
    ['{"a\\\\":1,"a":2}', undefined],
    ['{"a":[1,{"x":1,"y":[],"x":2}]}', 'x'],
    ['{"a":{},"b":[],"a":1}', 'a'],
    ['{"\\n":1,"\\u000a":1}', '\n'],
    [' { "q" : "{" , "q" : 1 } ', 'q'],
  ])('%s', (text, key) => {
    const parse = (): unknown => parseStrictJson(text);
    if (key === undefined) expect(parse()).toEqual(JSON.parse(text));
    else expect(parse).toThrow(`the key ${JSON.stringify(key)} comes twice`);
  });
});

describe('writeFileAtomic', () => {
  it('replaces a file whole and leaves nothing else', async () => {
    const path = join(folder, 'f');
    await writeFileAtomic(path, 'old and long');
    await writeFileAtomic(path, [Buffer.from('ne'), Buffer.from('w')]);
    expect(await readFile(path, 'utf8')).toBe('new');
    expect(await readdir(folder)).toEqual(['f']);
  });

  it('names what is in the way, and leaves nothing behind', async () => {
    await expect(writeFileAtomic(join(folder, 'no', 'f'), 'x')).rejects.toThrow(
      `the folder ${join(folder, 'no')} does not exist; make it first`,
    );
    await writeFile(join(folder, 'f'), 'x');
    await expect(writeFileAtomic(join(folder, 'f', 'g'), 'x')).rejects.toThrow('f is not a folder');
    const target = join(folder, 'target');
    await writeFileAtomic(join(folder, 'x'), 'x');
    await mkdir(target);
    const error: unknown = await writeFileAtomic(target, 'x').catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(FileWriteError);
    expect(error).toMatchObject({ path: target, message: expect.stringContaining('it is a folder; give a file name') });
    expect((await readdir(folder)).sort()).toEqual(['f', 'target', 'x']);
  });
});
