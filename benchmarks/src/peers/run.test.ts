// The comparison with other engines, on made-up engines: what is measured, what is refused, what is reported.
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { peerCases } from './cases.js';
import { EngineProcess } from './child.js';
import type { EngineDeclaration } from './engines.js';
import { checkedDeviation, runPeerBench, type PeerReport } from './run.js';

let folder: string;
let script: string;

/** Speaks the protocol; its variant says how it behaves. Prints on stdout, as libraries do. */
const ENGINE = `
import { writeFileSync, writeSync } from 'node:fs';
import { createInterface } from 'node:readline';
let variant;
let units = 0;
for await (const line of createInterface({ input: process.stdin })) {
  const request = JSON.parse(line);
  console.log('{"ok": false, "error": "a library prints"}');
  let reply = { ok: true };
  if (request.do === 'open') {
    variant = request.variant;
    if (variant === 'absent') { console.error('Error: no such library'); process.exit(3); }
    const adapter = { vendor: 'v', architecture: 'a', device: 'd', description: 'driver 1', software: true };
    reply.info = { version: '1', device: variant === 'n2n' ? JSON.stringify(adapter) : variant === 'elsewhere' ? 'driver 2' : 'driver 1' };
  }
  if (request.do === 'prepare' && variant === 'inference') reply = { ok: false, error: 'does not train', unsupported: true };
  if (request.do === 'prepare' && variant === 'silent') continue;
  if (request.do === 'check') writeFileSync(request.out, new Uint8Array(new Float32Array([1, variant === 'wrong' ? 2.2 : 2]).buffer));
  if (request.do === 'measure') {
    if (variant === 'crash') process.abort();
    units += 1;
    reply = { ok: true, elapsedMs: { n2n: 10, slow: 40 }[variant] + units, units: 2 };
  }
  writeSync(3, JSON.stringify(reply) + '\\n');
}
`;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'n2n-peers-test-'));
  script = join(folder, 'engine.mjs');
  await writeFile(script, ENGINE);
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const engine = (name: string, more: Partial<EngineDeclaration> = {}): EngineDeclaration => ({
  name,
  command: process.execPath,
  args: [script],
  variant: name,
  ...more,
});

const options = { adapter: 'any', python: 'python3', filter: 'gemm/512', engines: [], repetitions: 3, minimumMs: 1 };
const limits = { answerLimitMs: 20_000, timeLimitMs: 60_000 };

describe('runPeerBench', () => {
  it('measures who does the same work, and says why it does not measure the others', async () => {
    const engines = [
      engine('n2n'),
      engine('slow', { sameAdapter: true }),
      engine('wrong'),
      engine('inference'),
      engine('crash'),
      engine('absent'),
      engine('elsewhere', { sameAdapter: true }),
      engine('missing', { command: join(folder, 'no-such-command') }),
    ];
    const counts: number[] = [];
    const onCase = async ({ results }: PeerReport): Promise<void> => void counts.push(results.length);
    const report = await runPeerBench({ ...options, ...limits, onCase }, engines);
    expect(counts).toEqual([2]);
    expect(report.adapter).toMatchObject({ description: 'driver 1', software: true });
    expect(report.results).toEqual([
      {
        engine: 'n2n',
        name: 'gemm/512',
        bestMs: 5.5,
        medianMs: 6,
        samplesMs: [5.5, 6, 6.5],
        gflops: (2 * 512 ** 3) / 5.5 / 1e6,
        ratio: 1,
        deviation: 0,
      },
      expect.objectContaining({ engine: 'slow', bestMs: 20.5, samplesMs: [20.5, 21, 21.5], ratio: 20.5 / 5.5 }),
    ]);
    expect(report.failures).toEqual([
      { engine: 'wrong', name: 'gemm/512', reason: expect.stringMatching(/differs from n2n by 0\.10/), unsupported: false },
      { engine: 'inference', name: 'gemm/512', reason: 'does not train', unsupported: true },
      { engine: 'crash', name: 'gemm/512', reason: expect.stringMatching(/process ended \(SIGABRT\)/), unsupported: false },
    ]);
    expect(report.unavailable).toEqual([
      { engine: 'absent', reason: 'its process ended (exit code 3): Error: no such library' },
      { engine: 'elsewhere', reason: expect.stringMatching(/it got the adapter driver 2, n2n has driver 1/) },
      { engine: 'missing', reason: expect.stringMatching(/ENOENT/) },
    ]);
  });

  it('gives up an engine that does not answer, and leaves out cases over the time limit', async () => {
    const silent = await runPeerBench({ ...options, ...limits, answerLimitMs: 1500 }, [engine('n2n'), engine('silent')]);
    expect(silent.failures).toEqual([
      { engine: 'silent', name: 'gemm/512', reason: 'no answer to "prepare" in 1.5 s', unsupported: false },
    ]);
    expect(silent.results).toHaveLength(1);
    const late = await runPeerBench({ ...options, ...limits, timeLimitMs: -1 }, [engine('n2n'), engine('slow')]);
    expect(late).toMatchObject({ results: [], skipped: ['gemm/512'] });
  });

  it('measures the engines asked for, and n2n', async () => {
    const report = await runPeerBench({ ...options, ...limits, engines: ['slo'] }, [engine('n2n'), engine('slow'), engine('wrong')]);
    expect(report.engines.map((one) => one.engine)).toEqual(['n2n', 'slow']);
  });

  it('stops with its processes when told', async () => {
    const stop = new AbortController();
    const running = runPeerBench({ ...options, ...limits, signal: stop.signal, onProgress: () => stop.abort(new Error('stopped')) }, [
      engine('n2n'),
    ]);
    await expect(running).rejects.toThrow('stopped');
  });
});

describe('EngineProcess', () => {
  it('answers nothing after its end', async () => {
    const process = new EngineProcess(engine('n2n'));
    await process.ask({ do: 'open', variant: 'n2n', flags: [] }, 20_000);
    await process.close();
    expect(process.running).toBe(false);
    await expect(process.ask({ do: 'release' }, 20_000)).rejects.toThrow(/process ended/);
  });
});

describe('checkedDeviation', () => {
  it('is relative to the largest value, and refuses other work', () => {
    expect(checkedDeviation(Float32Array.of(0, 10.5), Float32Array.of(0.25, 10), 0.06)).toBeCloseTo(0.05, 6);
    expect(() => checkedDeviation(Float32Array.of(0, 10.5), Float32Array.of(0, 10), 0.04)).toThrow(/not the same work/);
    expect(() => checkedDeviation(Float32Array.of(NaN, 10), Float32Array.of(0, 10), 0.04)).toThrow(/not the same work/);
    expect(() => checkedDeviation(Float32Array.of(1), Float32Array.of(1, 2), 1)).toThrow(/computes 1 values where n2n computes 2/);
  });
});

describe('peerCases', () => {
  it('have the names of n2n bench, once each', () => {
    const names = peerCases.map(({ name }) => name);
    expect(new Set(names).size).toBe(names.length);
    for (const name of [
      'gemm/1024',
      'conv3x3/64x16x28x28-32/weight-gradient',
      'step/mnist-cnn/64',
      'step/resnet18/16',
      'eval/mnist-cnn/500',
    ]) {
      expect(names).toContain(name);
    }
  });

  it('write the inputs of a network in the shapes of its tensors', async () => {
    const written = await peerCases.find(({ name }) => name === 'step/mnist-cnn/64')!.write(folder);
    if (written.kind !== 'step') throw new Error(`got ${written.kind}`);
    expect(written.inputs.x.shape).toEqual([64, 1, 28, 28]);
    expect(written.weights['conv2.weight']!.shape).toEqual([32, 16, 3, 3]);
    expect(written.nodes.map(({ type }) => type)).toContain('batch-norm');
    expect(JSON.parse(JSON.stringify(written))).toEqual(written);
  });
});
