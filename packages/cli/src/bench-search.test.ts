// n2n bench search: the ways it compares, on a tiny budget; what is counted, what is refused, what is reported.
import { spawnSync } from 'node:child_process';
import { EngineError } from '@n2n/benchmarks';
import { describe, expect, it } from 'vitest';
import type { CandidateOutcome } from '@n2n/trainer';
import { n2n, n2nJson } from './testing/cli.js';
import { sameBits, type SearchEngine, type SearchEngineName } from './workflow/search-engines.js';
import { ratiosOf, runRounds } from './workflow/search-rounds.js';

const tiny = ['--teacher', 'plain-5@0.5', '--students', '3', '--cohort', '2', '--subset', '100', '--batch', '20', '--validation', '20'];
/** The Python that may have PyTorch. */
const python = process.env['N2N_PYTHON'] ?? 'python3';
const withTorch = spawnSync(python, ['-c', 'import torch']).status === 0;

interface Document {
  readonly results: readonly { engine: string; name: string; candidatesPerHour: number; seconds: number; candidates: number }[];
  readonly ratios: Readonly<Record<string, number>>;
  readonly identicalBits: boolean | null;
  readonly unavailable: readonly { engine: string; reason: string }[];
  readonly training: { steps: number };
}

describe('n2n bench search', () => {
  it('measures every way of n2n, and says that there is no PyTorch', async () => {
    const found = (await n2nJson(['bench', 'search', ...tiny, '--python', 'no-such-python'])) as unknown as Document;
    expect(found.results.map(({ engine }) => engine)).toEqual(['n2n', 'n2n-halving', 'one-at-a-time-cached', 'one-at-a-time']);
    for (const { name, candidates, candidatesPerHour, seconds } of found.results) {
      expect({ name, candidates }).toEqual({ name: 'search/plain-5@0.5', candidates: 3 });
      expect(candidatesPerHour).toBeCloseTo((3600 * 3) / seconds, 6);
    }
    expect(found.training.steps).toBe(10);
    expect(found.identicalBits).toBe(true);
    expect(found.unavailable).toEqual([{ engine: 'torch-2', reason: expect.stringMatching(/ENOENT/) }]);
    expect(Object.keys(found.ratios)).toContain('n2n-halving/one-at-a-time');
  });

  it.skipIf(!withTorch)('has PyTorch train the same students, which it checks', async () => {
    const { code, stdout } = await n2n(['bench', 'search', ...tiny, '--engines', 'torch', '--python', python, '--students', '2']);
    expect(code).toBe(0);
    expect(stdout).toMatch(/^torch-2 +2 .*PyTorch, two threads/m);
    expect(stdout).toMatch(/cohort and alone: not compared/);
  });

  it('refuses ways that it does not have, and a subset too small for the check', async () => {
    expect(await n2n(['bench', 'search', '--engines', 'jax'])).toMatchObject({
      code: 2,
      stderr: expect.stringMatching(/--engines got "jax".*there are n2n, n2n-halving/),
    });
    expect(await n2n(['bench', 'search', '--subset', '50'])).toMatchObject({ code: 2, stderr: expect.stringMatching(/--subset got 50/) });
  });
});

const student = (hash: string): Parameters<SearchEngine['judge']>[0][number] => ({ hash, spec: undefined as never });
const outcome = (hash: string, loss: number, weight = 1): CandidateOutcome => ({
  hash,
  accuracy: 0.5,
  loss,
  seconds: 1,
  steps: 4,
  rungs: [],
  weights: new Map([['conv.weight', Float32Array.of(weight)]]),
});

/** Takes `seconds` in turn for its groups. */
function engine(seconds: readonly number[], seen: string[] = [], loss = 1): SearchEngine {
  let turn = 0;
  return {
    check: async () => loss,
    judge: async (students) => {
      seen.push(students.map(({ hash }) => hash).join(''));
      const taken = seconds[turn++];
      if (taken === undefined) throw new EngineError('gone', false);
      return { seconds: taken, outcomes: students.map(({ hash }) => outcome(hash, loss)) };
    },
    close: async () => undefined,
  };
}

describe('runRounds', () => {
  const students = ['a', 'b', 'c'].map(student);
  const options = { groupSize: 2, repetitions: 2, timeLimitMs: Infinity };

  it("takes the least time of each group, all groups' sum, and leaves out who gives up", async () => {
    const seen: string[] = [];
    const engines = new Map<SearchEngineName, SearchEngine>([
      ['n2n', engine([4, 3, 2, 5], seen)],
      ['one-at-a-time-cached', engine([9, 9, 8, 7])],
      ['torch-2', engine([1])],
    ]);
    const { results, failed, identicalBits } = await runRounds(engines, students, options);
    expect(seen).toEqual(['ab', 'c', 'ab', 'c']);
    expect(results).toEqual([
      {
        engine: 'n2n',
        seconds: 5,
        candidates: 3,
        candidatesPerHour: 2160,
        samples: [
          [4, 2],
          [3, 5],
        ],
      },
      expect.objectContaining({ engine: 'one-at-a-time-cached', seconds: 15 }),
    ]);
    expect(failed).toEqual([{ engine: 'torch-2', reason: 'gone' }]);
    expect(identicalBits).toBe(true);
    expect(ratiosOf(results)).toEqual({ 'n2n/one-at-a-time-cached': 3 });
  });

  it('counts only the groups done within the time limit, and tells other bits', async () => {
    const engines = new Map<SearchEngineName, SearchEngine>([
      ['n2n', engine([4, 3])],
      ['one-at-a-time-cached', engine([8, 8], [], 2)],
    ]);
    const { results, identicalBits } = await runRounds(engines, students, { ...options, timeLimitMs: -1 });
    expect(results[0]).toMatchObject({ seconds: 4, candidates: 2, candidatesPerHour: 1800 });
    expect(identicalBits).toBe(false);
  });
});

describe('sameBits', () => {
  it('looks at weights, losses and order', () => {
    expect(sameBits([outcome('a', 1)], [outcome('a', 1)])).toBe(true);
    expect(sameBits([outcome('a', 1)], [outcome('a', 1, 1 + 2 ** -23)])).toBe(false);
    expect(sameBits([outcome('a', 1)], [outcome('a', 1.5)])).toBe(false);
    expect(sameBits([outcome('a', 1)], [outcome('b', 1)])).toBe(false);
    expect(sameBits([outcome('a', 1)], [])).toBe(false);
    expect(sameBits([outcome('a', NaN)], [outcome('a', NaN)])).toBe(true);
  });
});
