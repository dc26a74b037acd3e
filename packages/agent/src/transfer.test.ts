import { parseSpec, type NetworkSpec } from '@n2n/trainer/network';
import { expect, test } from 'vitest';
import type { Evaluate } from './evaluate.js';
import { Journal } from './journal.js';
import type { SavedPolicy } from './policies/saved.js';
import type { SearchInput, SearchResult } from './contract.js';
import { runSearch } from './search.js';
import { decodePolicies, encodePolicies, encodeSnapshot, policiesIn, type SearchState } from './snapshot.js';

/** A chain of convolutions of 60 filters with ReLUs between them. */
function chain(convolutions: number): NetworkSpec {
  const pair = (i: number): object[] => [
    { id: `conv${i}`, type: 'conv2d', attributes: { filters: 60, kernel: 3, padding: 1 } },
    { id: `relu${i}`, type: 'relu' },
  ];
  return parseSpec({
    name: `chain${convolutions}`,
    input: { channels: 1, height: 8, width: 8 },
    classes: 4,
    nodes: [
      ...Array.from({ length: convolutions }, (_, i) => pair(i)).flat(),
      { id: 'pool', type: 'global-average-pool' },
      { id: 'fc', type: 'linear', attributes: { features: 4 } },
    ],
  });
}

/** What both teachers have in common: a student without ReLUs or with small kernels is worthless, its widths do not matter. */
function worth(spec: NetworkSpec): number {
  const kernels = spec.nodes.flatMap(({ attributes }) => (Array.isArray(attributes['kernel']) ? [attributes['kernel'][0] as number] : []));
  const relus = spec.nodes.filter(({ type }) => type === 'relu').length;
  const kept = kernels.filter((kernel) => kernel === 3).length / kernels.length;
  return 0.95 * kept * Math.min(1, relus / kernels.length);
}

const evaluate: Evaluate = async (candidates) => candidates.map(({ hash, spec }) => ({ hash, accuracy: worth(spec), loss: 1, seconds: 0 }));

async function search(
  spec: NetworkSpec,
  options: Partial<SearchInput>,
): Promise<{ result: SearchResult; policies: readonly SavedPolicy[] }> {
  let last: SearchState | undefined;
  const result = await runSearch({
    teacher: { spec, accuracy: 0.95 },
    evaluate,
    journal: new Journal({ append: async () => {}, sync: async () => {}, close: async () => {} }),
    snapshot: { load: async () => undefined, save: async (state) => void (last = state) },
    ...options,
  });
  return { result, policies: policiesIn(encodeSnapshot(last!), 'state.msgpack') };
}

const small = chain(2);
const large = chain(5);

test("a search keeps the last policy of every stage, and starts another one's", async () => {
  const { policies } = await search(small, { updates: 2, rollouts: 2 });
  expect(policies.map(({ stage, kind }) => [stage, kind])).toEqual([
    ['removal', 'bidirectional'],
    ['shrinkage', 'autoregressive'],
  ]);
  // With steps of length (almost) nothing, what comes out is what went in.
  const learningRates = { removal: 1e-300, shrinkage: 1e-300 };
  const { policies: after } = await search(large, { updates: 1, rollouts: 2, policies, learningRates });
  expect(after.map(({ values }) => values)).toEqual(policies.map(({ values }) => values));
  const { policies: fresh } = await search(large, { updates: 1, rollouts: 2, learningRates });
  expect(fresh.map(({ values }) => values)).not.toEqual(policies.map(({ values }) => values));
});

test("a pre-trained policy's first updates earn more on a second, larger teacher than a fresh one's", async () => {
  const gains: number[] = [];
  for (const seed of [1, 2, 3]) {
    const { policies } = await search(small, { stages: ['shrinkage'], updates: 30, rollouts: 5, seed });
    const first = async (given: Partial<SearchInput>): Promise<number> => {
      const { result } = await search(large, { stages: ['shrinkage'], updates: 3, rollouts: 5, seed: seed + 100, ...given });
      return result.history.reduce((sum, { meanReward }) => sum + meanReward / 3, 0);
    };
    gains.push((await first({ policies })) - (await first({})));
  }
  for (const gain of gains) expect(gain).toBeGreaterThan(0.1);
});

test('a policy that means something else is refused by what differs, and so is another one on resuming', async () => {
  const { policies } = await search(small, { updates: 1, rollouts: 2 });
  const [removal] = policies;
  const given = (change: Partial<SavedPolicy>): Promise<unknown> => search(large, { updates: 1, policies: [{ ...removal!, ...change }] });
  await expect(given({ kind: 'transformer' })).rejects.toThrow(/saved policy of removal has the kind transformer.*needs bidirectional/);
  await expect(given({ encoder: 'layers/0 conv2d' })).rejects.toThrow(/has the encoder layers\/0 conv2d.*needs layers\/1/);
  await expect(given({ shapes: ['head 3x3'] })).rejects.toThrow(/has the matrix head 3x3.*needs lstm0.forward.input \d+x\d+/);
  await expect(search(large, { updates: 1, policies: [], stages: ['removal'] })).rejects.toThrow(/are of no stage.*needs one of removal/);
  await expect(search(large, { updates: 1, policies: [removal!], stages: ['shrinkage'] })).rejects.toThrow(/are of removal/);
});

test('policies survive a file of their own, which is equal for equal policies and refused when damaged', async () => {
  const { policies } = await search(small, { updates: 1, rollouts: 2 });
  const content = encodePolicies(policies);
  expect(decodePolicies(content, 'policies.msgpack')).toEqual(policies);
  expect(Buffer.compare(content, encodePolicies(decodePolicies(content, 'x')))).toBe(0);
  const damaged = Uint8Array.from(content);
  damaged[content.length >> 1] = damaged[content.length >> 1]! ^ 1;
  expect(() => decodePolicies(damaged, 'policies.msgpack')).toThrow(/policies\.msgpack: .*begin a new run/);
  expect(() => policiesIn(content, 'state.msgpack')).toThrow(
    /state\.msgpack: it has format policies\/1, this version reads search-state\/2/,
  );
});
