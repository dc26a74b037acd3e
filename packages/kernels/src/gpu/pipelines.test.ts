// The loader and the pipeline cache: constants by name, one compilation a kernel, errors that say where.
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, describe, expect, it } from 'vitest';
import { openDevice } from './device.js';
import { DeviceUseError } from './errors.js';
import { kernelLabel, loadWgsl } from './pipelines.js';

const gpu = await openDevice();
const directory = await mkdtemp(join(tmpdir(), 'n2n-wgsl-'));
afterAll(async () => {
  gpu.close();
  await rm(directory, { recursive: true });
});

async function wgsl(name: string, code: string): Promise<URL> {
  const path = join(directory, name);
  await writeFile(path, code);
  return pathToFileURL(path);
}

const KERNEL = `
// const TILE = 1u; in a comment stays
const TILE = 8u;
const SLOPE: f32 = -0.01;
const TILE_ROWS = 4;
alias Word = vec4f;
@group(0) @binding(0) var<storage, read_write> y: array<f32>;
@compute @workgroup_size(1) fn main() { y[0] = SLOPE * f32(TILE) + f32(TILE_ROWS); }
@compute @workgroup_size(1) fn other() { y[0] = 1.0; }
`;

describe('loadWgsl', () => {
  it('replaces declared constants by name and keeps their type', async () => {
    const code = loadWgsl({ wgsl: await wgsl('constants.wgsl', KERNEL), constants: { TILE: 16, SLOPE: 0.2 } });
    expect(code).toContain('\nconst TILE = 16u;');
    expect(code).toContain('const SLOPE: f32 = 0.2;');
    expect(code).toContain('const TILE_ROWS = 4;');
    expect(code).toContain('// const TILE = 1u;');
  });

  it('throws on a name that is not declared, naming file and constant', async () => {
    const file = await wgsl('unknown.wgsl', KERNEL);
    expect(() => loadWgsl({ wgsl: file, constants: { TILES: 16 } })).toThrow(/unknown\.wgsl declares no constant "TILES"/);
    expect(() => loadWgsl({ wgsl: file, constants: { TIL: 16 } })).toThrow(DeviceUseError);
    expect(() => loadWgsl({ wgsl: file, aliases: { Words: 'f32' } })).toThrow(/unknown\.wgsl declares no alias "Words"/);
  });

  it('replaces aliases, and enables f16 for those that need it without moving a line', async () => {
    const file = await wgsl('aliases.wgsl', KERNEL);
    expect(loadWgsl({ wgsl: file, aliases: { Word: 'vec4u' } })).toBe(KERNEL.replace('vec4f', 'vec4u'));
    const code = loadWgsl({ wgsl: file, aliases: { Word: 'vec4h' } });
    expect(code).toBe(`enable f16; ${KERNEL.replace('vec4f', 'vec4h')}`);
  });
});

describe('the pipeline cache', () => {
  it('compiles a kernel once a file, entry point and set of constants and aliases', async () => {
    const file = await wgsl('cached.wgsl', KERNEL);
    const before = gpu.statistics.pipelinesCompiled;
    const [first, again] = await Promise.all([gpu.pipelines.get({ wgsl: file }), gpu.pipelines.get({ wgsl: file })]);
    expect(again).toBe(first);
    expect(await gpu.pipelines.get({ wgsl: file, entryPoint: 'main', constants: {} })).toBe(first);
    expect(gpu.statistics.pipelinesCompiled).toBe(before + 1);
    await gpu.pipelines.get({ wgsl: file, entryPoint: 'other' });
    await gpu.pipelines.get({ wgsl: file, constants: { TILE: 16 } });
    await gpu.pipelines.get({ wgsl: file, aliases: { Word: 'vec4u' } });
    expect(gpu.statistics.pipelinesCompiled).toBe(before + 4);
    expect(kernelLabel({ wgsl: file, entryPoint: 'other' })).toMatch(/\/cached:other$/);
  });

  it('reports a fault in a shader with its line, and leaves the device usable', async () => {
    const file = await wgsl('fault.wgsl', '\n@compute @workgroup_size(1) fn main() {\n  let x: f32 = 1u;\n}\n');
    await expect(gpu.pipelines.get({ wgsl: file })).rejects.toThrow(/\/fault, line 3: /);
    const missing = await wgsl('entry.wgsl', '@compute @workgroup_size(1) fn main() {}\n');
    await expect(gpu.pipelines.get({ wgsl: missing, entryPoint: 'nothing' })).rejects.toThrow(/entry:nothing: /);
    await gpu.done();
  });
});
