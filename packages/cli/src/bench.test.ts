// n2n bench: result documents, tables, saved files, comparison and its exit code.
import { readFile, writeFile } from 'node:fs/promises';
import type { Provenance } from '@n2n/benchmarks';
import type { Measurement, ProfileRow } from '@n2n/kernels';
import { afterAll, describe, expect, it } from 'vitest';
import { peerTables, profileTables, resultTable } from './commands/bench-report.js';
import { readResults, saveResults } from './commands/bench-results.js';
import { n2n, n2nJson, temporaryFolder } from './testing/cli.js';

const folder = await temporaryFolder();
afterAll(folder.remove);

const adapter = { vendor: 'mesa', architecture: '', device: 'llvmpipe (LLVM 15)', description: 'driver 1', software: true };
const run: Provenance = {
  date: '2026-03-04T05:06:07.000Z',
  commit: { hash: 'abc', dirty: false },
  versions: { node: '20.19.0', webgpu: '0.6.2' },
  machine: { cpu: 'x', cores: 2, memoryBytes: 1, platform: 'linux x64' },
  load: [0, 0, 0],
};
const samples = (centre: number): number[] => Array.from({ length: 9 }, (_, i) => centre * (1 + (i - 4) * 0.004));
const result = (name: string, centre: number, more: Partial<Measurement> = {}): Measurement => ({
  name,
  medianMs: centre,
  p10Ms: centre * 0.9,
  p90Ms: centre * 1.1,
  noise: 0.02,
  samplesMs: samples(centre),
  encodeMs: centre * 0.01,
  ...more,
});

describe('tables', () => {
  it('sets results beside the roof of the same run', () => {
    const results = [
      result('gemm/512', 10, { gflops: 30, gbps: 0.5 }),
      result('copyish', 10, { gbps: 5 }),
      result('roof/multiply-add', 10, { gflops: 20, samplesMs: [5, 10, 10] }),
      result('roof/copy', 10, { gbps: 10, samplesMs: [10] }),
    ];
    const lines = resultTable(results).split('\n');
    expect(lines[0]).toMatch(/of roof/);
    expect(lines[2]).toMatch(/gemm\/512 +10.0 ms +9.00 ms +11.0 ms +2.0 % +30.0 +0.500 +75 % +1.0 %/);
    expect(lines[3]).toMatch(/copyish .* 50 %/);
    expect(resultTable(results.slice(0, 2))).not.toContain('of roof');
  });

  it('shows a profile by pass, op and kernel', () => {
    const row: ProfileRow = {
      elapsedMs: 2,
      share: 0.5,
      launches: 3,
      flops: 1e6,
      bytes: 1e6,
      gflops: 0.5,
      gbps: 0.5,
      roofShare: 0.25,
      bound: 'memory',
    };
    const small = { ...row, share: 0.001 };
    const pass = { label: 'conv1 forward', op: 'conv2d', pass: 'forward', variant: 'winograd', shape: {}, ...row };
    const text = profileTables({
      name: 'step/x/1',
      roof: { gflops: 40, gbps: 10 },
      profile: {
        elapsedMs: 4,
        passes: [pass, { ...pass, label: 'tiny forward', ...small }],
        ops: [{ name: 'conv2d forward', ...row }],
        kernels: [{ name: 'conv2d/forward.winograd', ...row }],
      },
    });
    expect(text).toContain('step/x/1: 4.00 ms in 6 launches; roof 40.0 GFLOP/s, 10.0 GB/s');
    expect(text).toMatch(/conv1 forward +winograd +2.00 ms +50 % +3 +0.500 +0.500 +25 % +memory/);
    expect(text).not.toContain('tiny forward');
    expect(text).toContain('(and 1 of less than 0.5 % each)');
    expect(text).toContain('conv2d/forward.winograd');
  });
});

describe('peer table', () => {
  it('sets engines beside n2n, and says who is not in it', () => {
    const one = { name: 'gemm/512', bestMs: 10, medianMs: 11, samplesMs: [10, 11, 12], gflops: 26.8, ratio: 1, deviation: 0 };
    const text = peerTables({
      adapter,
      engines: [],
      skipped: [],
      results: [
        { engine: 'n2n', ...one },
        { engine: 'jax-webgpu', ...one, bestMs: 50, ratio: 5, deviation: 2e-7 },
      ],
      failures: [
        { engine: 'tfjs-webgpu', name: 'gemm/512', reason: 'differs', unsupported: false },
        { engine: 'ort-cpu-1', name: 'gemm/512', reason: 'does not train', unsupported: true },
      ],
      unavailable: [
        { engine: 'torch-cpu-1', reason: 'no torch' },
        { engine: 'torch-cpu-2', reason: 'no torch' },
      ],
    });
    expect(text).toMatch(/n2n +10.0 ms +11.0 ms +26.8\n/);
    expect(text).toMatch(/jax-webgpu +50.0 ms +11.0 ms +26.8 +5.00x +2.0e-7\n/);
    expect(text).toContain('Not measured:\ntfjs-webgpu, gemm/512: differs\n');
    expect(text).toContain('Cannot run here:\ntorch-cpu-1, torch-cpu-2: no torch\n');
    expect(text).not.toContain('does not train');
  });
});

describe('result files', () => {
  it('go on with the file of the same adapter, day and commit, and leave others alone', async () => {
    const target = folder.path('results');
    const first = await saveResults({ adapter, run, results: [result('a', 1), result('b', 1)] }, target);
    expect(first).toMatch(/llvmpipe-llvm-15-2026-03-04\.json$/);
    expect(await saveResults({ adapter, run, results: [result('b', 2), result('c', 2)] }, target)).toBe(first);
    const merged = await readResults(first);
    expect(merged.results.map(({ name, samplesMs }) => [name, samplesMs[4]])).toEqual([
      ['a', 1],
      ['b', 2],
      ['c', 2],
    ]);
    const other = { ...run, commit: { hash: 'def', dirty: false } };
    expect(await saveResults({ adapter, run: other, results: [result('a', 3)] }, target)).toMatch(/2026-03-04-2\.json$/);
    expect((await readResults(first)).results).toHaveLength(3);
  });

  it('are refused with what is wrong with them', async () => {
    await writeFile(folder.path('old.json'), JSON.stringify({ adapter, results: [{ name: 'a', medianMs: 3 }] }));
    await expect(readResults(folder.path('old.json'))).rejects.toThrow(/old\.json: "results\.0\.samplesMs": .*measure again/);
    await expect(readResults(folder.path('none.json'))).rejects.toThrow(/none\.json.*needs a file that n2n bench --json wrote/);
  });
});

describe('bench compare', () => {
  const write = async (name: string, results: readonly Measurement[]): Promise<string> => {
    await writeFile(folder.path(name), JSON.stringify({ adapter, run, results }));
    return folder.path(name);
  };

  it('ends with 7 on a regression and names it, and with 0 without one', async () => {
    const before = await write('before.json', [result('a', 10), result('b', 10), result('gone', 1)]);
    const after = await write('after.json', [result('a', 12), result('b', 10.1)]);
    const slower = await n2n(['bench', 'compare', before, after]);
    expect(slower.code).toBe(7);
    expect(slower.stdout).toMatch(/a +10.0 ms +12.0 ms +\+20.0 % +\S.* slower/);
    expect(slower.stderr).toMatch(/n2n: slower by more than 5 %.*: a\n/);
    expect(slower.stderr).toContain('before.json: gone');
    expect((await n2n(['bench', 'compare', before, after, '--threshold', '25'])).code).toBe(0);
    expect((await n2n(['bench', 'compare', before, after, '--filter', 'b'])).code).toBe(0);
    expect((await n2n(['bench', 'compare', after, before])).code).toBe(0);
    const json = await n2n(['bench', 'compare', before, after, '--json']);
    expect(json.code).toBe(7);
    expect(JSON.parse(json.stdout)).toMatchObject({ regressions: ['a'], results: [{ name: 'a', verdict: 'slower' }, { verdict: 'same' }] });
  });

  it('refuses files that are no results or have nothing in common', async () => {
    const a = await write('a.json', [result('a', 10)]);
    const b = await write('b.json', [result('b', 10)]);
    expect(await n2n(['bench', 'compare', a, folder.path('missing.json')])).toMatchObject({ code: 3, stdout: '' });
    expect(await n2n(['bench', 'compare', a, b])).toMatchObject({ code: 3, stdout: '' });
    expect(await n2n(['bench', 'compare', a, a, '--filter', 'x'])).toMatchObject({ code: 2, stdout: '' });
  });
});

describe('measurement', () => {
  const quick = ['--repetitions', '2', '--warm-up', '0', '--minimum-ms', '0'];

  it('profiles a step: every pass of it, its share, its rates, the roof of the same rounds', async () => {
    const document = await n2nJson(['bench', 'step', '--profile', '--filter', 'step/mnist-cnn/64', ...quick]);
    const [step] = document['results'] as Record<string, unknown>[];
    expect(step).toMatchObject({
      name: 'step/mnist-cnn/64',
      samplesMs: [expect.any(Number), expect.any(Number)],
      memory: { activationBytes: expect.any(Number) },
      roof: { gflops: expect.any(Number), gbps: expect.any(Number) },
    });
    const { passes, ops, kernels } = step!['profile'] as Record<string, (ProfileRow & { label: string; name: string })[]>;
    const labels = passes!.map(({ label }) => label);
    for (const label of ['conv1 forward', 'conv2 weight-gradient', 'conv3 input-gradient', 'fc forward']) expect(labels).toContain(label);
    for (const rows of [passes!, ops!, kernels!]) expect(rows.reduce((sum, { share }) => sum + share, 0)).toBeCloseTo(1, 6);
    // 2 operations for each of 64 x 14 x 14 x 32 x 16 x 9 multiply-adds
    expect(passes!.find(({ label }) => label === 'conv2 forward')!.flops).toBe(2 * 64 * 14 * 14 * 32 * 16 * 9);
    expect(document['run']).toMatchObject({ versions: { webgpu: '0.6.2' }, machine: { cores: expect.any(Number) } });
  });

  it('measures steps in mixed precision under a name of their own', async () => {
    const document = await n2nJson([
      'bench',
      'step',
      '--filter',
      'mnist-cnn/64',
      '--precision',
      'mixed',
      '--profile',
      ...quick,
      '--repetitions',
      '1',
    ]);
    const [step, ...others] = document['results'] as { name: string; profile: { passes: { label: string; variant: string }[] } }[];
    expect(others).toEqual([]);
    expect(step!.name).toBe('step/mnist-cnn/64/mixed');
    expect(step!.profile.passes.find(({ label }) => label === 'conv2 weight-gradient')!.variant).toMatch(/^(half|matrix)$/);
  });

  it('measures kernels with the roof whatever the filter, and says what to doubt', async () => {
    const { code, stdout, stderr } = await n2n(['bench', 'all', '--filter', 'gemm/512', '--noise-limit', '0', ...quick, '--json']);
    expect(code).toBe(0);
    const { results } = JSON.parse(stdout) as { results: { name: string }[] };
    expect(results.map(({ name }) => name)).toEqual(['gemm/512', 'roof/multiply-add', 'roof/copy']);
    expect(stderr).toMatch(/warning: \d of 3 cases vary by more than 0 %/);
    await writeFile(folder.path('measured.json'), stdout);
    const compared = await n2n(['bench', 'compare', folder.path('measured.json'), folder.path('measured.json')]);
    expect(compared).toMatchObject({ code: 0 });
    expect(compared.stderr).toMatch(/too few repetitions/);
    expect(await readFile(folder.path('measured.json'), 'utf8')).toBe(stdout);
  });

  it('refuses a filter that leaves nothing', async () => {
    expect(await n2n(['bench', 'peers', '--filter', 'gem/512'])).toMatchObject({ code: 2, stdout: '' });
    expect(await n2n(['bench', 'peers', '--engines', 'torch,jx'])).toMatchObject({
      code: 2,
      stderr: expect.stringMatching(/--engines got "jx".*there are n2n, tfjs-webgpu/),
    });
    expect(await n2n(['bench', 'all', '--filter', 'gem/512'])).toMatchObject({ code: 2, stdout: '' });
    expect(await n2n(['bench', 'ops', '--filter', '256x512', '--adapter', 'cpu'])).toMatchObject({
      code: 2,
      stderr: expect.stringMatching(/too large for a software adapter; name one in full: conv3x3\/256x512x4x4-512\/forward/),
    });
  });
});
