// The `matrix` variants without matrix units: their arithmetic runs on this adapter with the matrix builtins written out in
// scalar code. That their shaders are valid, gpu/driverless.test.ts shows.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, describe, expect, it } from 'vitest';
import { openDevice } from '../../gpu/device.js';
import { loadWgsl } from '../../gpu/pipelines.js';
import { runCase } from '../../testing/conformance.js';
import { chooseVariant, type DeviceTraits, type Op, type Variant } from '../op.js';
import { conv2d, type Conv2dShape } from './index.js';

const gpu = await openDevice();
const folder = mkdtempSync(join(tmpdir(), 'n2n-matrix-'));
afterAll(() => {
  gpu.close();
  rmSync(folder, { recursive: true });
});

const passes = ['forward', 'input-gradient', 'weight-gradient'] as const;
const tensorCores: DeviceTraits = { subgroupSize: 32, f16: true, matrixUnits: true, kind: 'gpu', maxWorkgroups: 65_535 };
const matrix = (passName: string): Variant<Conv2dShape> => conv2d.passes[passName]!.variants.find(({ name }) => name === 'matrix')!;
const dense = conv2d.samples.filter(({ groups }) => groups === 1);

/** An operand is where it lies in workgroup memory; a lane keeps the elements lane, lane + 32, ... of a sum. */
const EMULATION = `
struct Operand { at: u32, row: u32, column: u32 }
alias Sum = array<f32, 8>;
var<private> own_lane: u32;
fn operand(at: u32, stride: u32, by_row: bool) -> Operand {
  return Operand(at, select(1u, stride, by_row), select(stride, 1u, by_row));
}
fn multiply(a: Operand, b: Operand, sum: Sum) -> Sum {
  var m = sum;
  for (var i = own_lane; i < 4096u; i += 32u) { // one loop: nested ones would be unrolled, and compile for minutes
    let e = i % 256u;
    let k = i / 256u;
    m[e / 32u] += f32(rows[a.at + e / 16u * a.row + k * a.column]) * f32(columns[b.at + k * b.row + e % 16u * b.column]);
  }
  return m;
}
fn keep_patch(at: u32, sum: Sum) {
  var m = sum;
  for (var e = own_lane; e < 256u; e += 32u) { patches[at + e] = m[e / 32u]; }
}
`;

/** Replaces what must be there; a pattern that no longer fits its shader is an error. */
function rewrite(code: string, pattern: RegExp | string, by: string): string {
  const result = code.replaceAll(pattern, by);
  if (result === code) throw new Error(`the emulation finds no ${String(pattern)}`);
  return result;
}

/** A copy of a shader that multiplies matrices in scalar code, and whose subgroups are runs of 32 invocations. */
function emulated(wgsl: URL): URL {
  const load = /subgroupMatrixLoad<(?:Left, (row|col)_major>\(&rows|Right, (row|col)_major>\(&columns), ([^,]+), (\d+u)\)/g;
  let code = loadWgsl({ wgsl }).replaceAll(
    load,
    (_, left: string | undefined, right: string | undefined, at: string, stride: string) =>
      `operand(${at}, ${stride}, ${(left ?? right) === 'row'})`,
  );
  code = rewrite(code, /enable (subgroups|chromium_experimental_subgroup_matrix);\n/g, '');
  code = rewrite(code, /alias \w+ = subgroup_matrix_\w+<f(16|32), 16, 16>;\n/g, '');
  code = rewrite(code, 'subgroupMatrixMultiplyAccumulate(', 'multiply(');
  code = rewrite(code, /subgroupMatrixStore<row_major>\(&patches, ([^,]+), ([^,]+), 16u\)/g, 'keep_patch($1, $2)');
  code = rewrite(
    code,
    /@builtin\(subgroup_id\) subgroup: u32, @builtin\(subgroup_invocation_id\) lane: u32\) \{/g,
    ') {\n  let subgroup = index / 32u;\n  let lane = index % 32u;\n  own_lane = lane;',
  );
  expect(code).not.toMatch(/subgroupMatrix|subgroup_/);
  const file = join(folder, basename(wgsl.pathname));
  writeFileSync(file, code + EMULATION);
  return pathToFileURL(file);
}

describe('conv2d matrix', () => {
  it.each(passes)('%s is chosen by name only, and only with matrix units', (passName) => {
    for (const shape of dense) {
      expect(chooseVariant(conv2d, passName, shape, tensorCores).name).toBe('tiled');
      expect(chooseVariant(conv2d, passName, shape, tensorCores, { wanted: 'matrix' }).name).toBe('matrix');
      for (const device of [gpu.traits, { ...tensorCores, matrixUnits: false }, { ...tensorCores, subgroupSize: 64 }]) {
        if (device === gpu.traits && gpu.traits.matrixUnits === true) continue;
        expect(() => chooseVariant(conv2d, passName, shape, device, { wanted: 'matrix' })).toThrow(/no usable variant \(matrix\)/);
      }
    }
  });

  const emulation: Op<Conv2dShape> = {
    ...conv2d,
    passes: Object.fromEntries(
      passes.map((passName) => {
        const variant: Variant<Conv2dShape> = {
          ...matrix(passName),
          usable: () => true,
          dispatches: (shape, device) => {
            const [product, ...rest] = matrix(passName).dispatches(shape, device);
            return [{ ...product!, wgsl: emulated(product!.wgsl) }, ...rest];
          },
        };
        return [passName, { ...conv2d.passes[passName]!, variants: [variant] }];
      }),
    ),
  };
  const base = dense[0]!;
  const shapes: Conv2dShape[] = [
    { ...base, bias: true },
    { ...base, channels: 5, filters: 7, stride: [2, 2], bias: true },
    { ...base, channels: 104, filters: 98, kernel: [1, 1], padding: [0, 0, 0, 0], bias: true },
    { ...base, batch: 3, channels: 12, filters: 134, kernel: [2, 3], stride: [1, 2], padding: [0, 1, 2, 3] },
  ];
  const cases = passes.flatMap((passName) => shapes.map((shape) => [passName, JSON.stringify(shape), shape] as const));
  it.skipIf(!gpu.traits.f16).each(cases)('%s computes within its tolerance, emulated: %s', async (passName, _, shape) => {
    const { tolerance } = matrix(passName);
    for (const { error, ...rest } of await runCase(gpu, { op: emulation, passName, shape, variant: 'matrix' })) {
      expect(error, JSON.stringify(rest)).toBeLessThan(tolerance!);
      expect(error).toBeGreaterThan(1e-6); // rounded to f16 indeed
    }
  });
});
