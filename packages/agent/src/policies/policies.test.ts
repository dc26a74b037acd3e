import { describe, expect, test } from 'vitest';
import { Adam } from '../nn/adam.js';
import { ParameterSet } from '../nn/parameters.js';
import { keyedRandom } from '../random.js';
import { AutoregressivePolicy, EncoderDecoderPolicy } from './autoregressive.js';
import { BidirectionalPolicy } from './bidirectional.js';
import type { Episode, Policy } from './policy.js';

const stateSize = 3;
const actions = 3;
const sizes = { hidden: 3, layers: 2 };
const makers: Record<string, () => Policy> = {
  bidirectional: () => new BidirectionalPolicy(stateSize, actions, keyedRandom(1, 'weights'), sizes),
  autoregressive: () => new AutoregressivePolicy(stateSize, actions, keyedRandom(1, 'weights'), { ...sizes, embedding: 2 }),
  'encoder-decoder': () => new EncoderDecoderPolicy(stateSize, actions, keyedRandom(1, 'weights'), { ...sizes, embedding: 2 }),
};

const inputs = keyedRandom(2, 'states');
/** Five steps: three free ones, one with two of three actions legal, one fixed. */
const episode: Episode = {
  states: Array.from({ length: 5 }, (_, t) => Float64Array.from({ length: stateSize }, (_unused, i) => inputs.normal(t, i))),
  legal: [
    [true, true, true],
    [true, false, true],
    [false, true, false],
    [true, true, true],
    [true, true, true],
  ],
};
const taken = [2, 0, 1, 1, 0];
/** sum_t w_t log pi(a_t | ...): each step's own term is what the log-probability loses when that step is fixed. */
function weighted(policy: Policy, weights: readonly number[]): number {
  const whole = policy.accumulate(episode, taken, 0, 0).logProbability;
  return weights.reduce((sum, weight, t) => {
    const legal = episode.legal.map((mask, s) => (s === t ? mask.map((_, a) => a === taken[t]) : mask));
    return sum + weight * (whole - policy.accumulate({ ...episode, legal }, taken, 0, 0).logProbability);
  }, 0);
}
const three = [0, 1, 2];
const sequences = three.flatMap((a) => [0, 2].flatMap((b) => three.flatMap((d) => three.map((e) => [a, b, 1, d, e]))));

describe.each(Object.entries(makers))('%s policy', (_name, make) => {
  test.each([
    ['log-probability', 1, 0],
    ['entropy', 0, 1],
    ['a mix of both', -0.7, 0.3],
    ['differently weighted steps', [0.5, -1, 3, 0, 2], 0.3],
  ] as [string, number | number[], number][])(
    'gradient of %s equals central differences for every parameter',
    (_what, scoreWeight, entropyWeight) => {
      const policy = make();
      const objective = (): number => {
        const { logProbability, entropy } = policy.accumulate(episode, taken, 0, 0);
        const score = typeof scoreWeight === 'number' ? scoreWeight * logProbability : weighted(policy, scoreWeight);
        return score + entropyWeight * entropy;
      };
      policy.parameters.clearGradients();
      policy.accumulate(episode, taken, scoreWeight, entropyWeight);
      const h = 1e-5;
      let reached = 0;
      for (const { name, values, gradients } of policy.parameters.matrices) {
        const analytic = gradients.slice();
        for (let i = 0; i < values.length; i++) {
          const value = values[i]!;
          values[i] = value + h;
          const above = objective();
          values[i] = value - h;
          const numeric = (above - objective()) / (2 * h);
          values[i] = value;
          expect(Math.abs(analytic[i]! - numeric), `${name}[${i}]`).toBeLessThan(1e-8);
          if (analytic[i] !== 0) reached++;
        }
      }
      expect(reached).toBeGreaterThan(policy.parameters.size * 0.75);
    },
  );

  test('one optimiser step moves every layer (the released code trained only the last)', () => {
    const policy = make();
    const before = policy.parameters.matrices.map(({ values }) => values.slice());
    policy.accumulate(episode, taken, 1, 0);
    new Adam(policy.parameters, 0.01).ascend();
    for (const [i, { name, values }] of policy.parameters.matrices.entries()) {
      expect(
        values.some((value, k) => value !== before[i]![k]),
        name,
      ).toBe(true);
    }
  });

  test('only legal actions are sampled, as often as their probability says, with the log-probability they have', () => {
    const policy = make();
    const random = keyedRandom(3, 'sample');
    const n = 1000;
    let zeros = 0;
    for (let r = 0; r < n; r++) {
      const { actions: sampled, logProbability } = policy.sample(episode, (t) => random.uniform(r, t));
      expect(sampled[1]).not.toBe(1);
      expect(sampled[2]).toBe(1);
      if (r < 20) expect(logProbability).toBe(policy.accumulate(episode, sampled, 0, 0).logProbability);
      if (sampled[4] === 0) zeros++;
    }
    const probability = sequences
      .filter((sequence) => sequence[4] === 0)
      .reduce((sum, sequence) => sum + Math.exp(policy.accumulate(episode, sequence, 0, 0).logProbability), 0);
    expect(Math.abs(zeros / n - probability)).toBeLessThan(4 * Math.sqrt((probability * (1 - probability)) / n));
  });

  test('the probabilities of all action sequences add up to 1', () => {
    const policy = make();
    const total = sequences.reduce((sum, sequence) => sum + Math.exp(policy.accumulate(episode, sequence, 0, 0).logProbability), 0);
    expect(total).toBeCloseTo(1, 12);
  });

  test('states or masks of another size are refused', () => {
    const policy = make();
    expect(() => policy.sample({ states: [new Float64Array(7)], legal: [[true, true, true]] }, () => 0)).toThrow(/7 features.*reads 3/);
    expect(() => policy.sample({ states: [new Float64Array(3)], legal: [[true]] }, () => 0)).toThrow(/1 actions.*has 3/);
    expect(() => policy.sample({ states: [new Float64Array(3)], legal: [[false, false, false]] }, () => 0)).toThrow(/no legal/);
  });
});

test('bidirectional and encoder-decoder policies let a layer see the layers after it; the autoregressive one only those before', () => {
  const changed: Episode = { ...episode, states: episode.states.map((s, t) => (t === 4 ? s.map((v) => v + 1) : s)) };
  const first = (policy: Policy, e: Episode): number => {
    // Fix every step but the first, so that the log-probability is that of the first step alone.
    const only = { ...e, legal: e.legal.map((mask, t) => (t === 0 ? mask : mask.map((_, a) => a === taken[t]))) };
    return policy.accumulate(only, taken, 0, 0).logProbability;
  };
  const bidirectional = makers['bidirectional']!();
  const autoregressive = makers['autoregressive']!();
  const encoderDecoder = makers['encoder-decoder']!();
  expect(first(encoderDecoder, changed)).not.toBe(first(encoderDecoder, episode));
  expect(first(bidirectional, changed)).not.toBe(first(bidirectional, episode));
  expect(first(autoregressive, changed)).toBe(first(autoregressive, episode));
});

test('weights and optimiser survive a round trip; other sizes are refused', () => {
  const [a, b] = [makers['bidirectional']!(), new BidirectionalPolicy(stateSize, actions, keyedRandom(9, 'other'), sizes)];
  b.parameters.load(a.parameters.values());
  expect(b.parameters.values()).toEqual(a.parameters.values());
  expect(() => b.parameters.load(new Float64Array(3))).toThrow(/saved one 3/);
  expect(() => new Adam(a.parameters, 0.1, { steps: 1, first: new Float64Array(2), second: new Float64Array(2) })).toThrow(/2 parameters/);
  expect(() => {
    const set = new ParameterSet(keyedRandom(0, 'x'));
    set.create('w', 1, 1, 1);
    set.create('w', 1, 1, 1);
  }).toThrow(/registered twice/);
});

test("Adam's first steps are those of the article", () => {
  const set = new ParameterSet(keyedRandom(0, 'x'));
  const w = set.create('w', 2, 1, 1);
  const start = w.values.slice();
  const adam = new Adam(set, 0.01);
  w.gradients.set([3, -0.5]);
  adam.ascend();
  expect(w.values[0]! - start[0]!).toBeCloseTo(0.01, 8);
  expect(w.values[1]! - start[1]!).toBeCloseTo(-0.01, 8);
  w.gradients.set([0, 0]);
  adam.ascend();
  // m = 0.9 * 0.1 * 3, v = 0.999 * 0.001 * 9; corrected by 1 - 0.9^2 and 1 - 0.999^2.
  const second = (0.01 * (0.27 / 0.19)) / Math.sqrt((0.999 * 0.009) / (1 - 0.999 ** 2));
  expect(w.values[0]! - start[0]!).toBeCloseTo(0.01 + second, 8);
});
