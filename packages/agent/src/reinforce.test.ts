import { describe, expect, test } from 'vitest';
import { Adam } from './nn/adam.js';
import { AutoregressivePolicy } from './policies/autoregressive.js';
import { BidirectionalPolicy } from './policies/bidirectional.js';
import type { Episode, Policy } from './policies/policy.js';
import { keyedRandom } from './random.js';
import {
  advantages,
  checkReinforceOptions,
  reinforce,
  reinforceDefaults,
  sampleRollouts,
  type BaselineState,
  type ReinforceOptions,
} from './reinforce.js';

const sizes = { hidden: 2, layers: 2 };
const makers: Record<string, (seed: number) => Policy> = {
  bidirectional: (seed) => new BidirectionalPolicy(2, 2, keyedRandom(seed, 'weights'), sizes),
  autoregressive: (seed) => new AutoregressivePolicy(2, 2, keyedRandom(seed, 'weights'), { ...sizes, embedding: 2 }),
};

/** Three binary decisions, the middle one fixed: 4 possible trajectories. */
const episode: Episode = {
  states: [Float64Array.of(1, 0), Float64Array.of(0.5, -1), Float64Array.of(0, 1)],
  legal: [
    [true, true],
    [true, false],
    [true, true],
  ],
};
const all = [
  [0, 0, 0],
  [0, 0, 1],
  [1, 0, 0],
  [1, 0, 1],
];
const rewardOf = (actions: readonly number[]): number => [0.1, 0.9, -0.4, 0.3][actions[0]! * 2 + actions[2]!]!;

/** The exact gradient of J = sum_a pi(a) R(a) by central differences, with no use of the policy's own backward pass. */
function exactGradient(policy: Policy): Float64Array {
  const objective = (): number =>
    all.reduce((sum, a) => sum + Math.exp(policy.accumulate(episode, a, 0, 0).logProbability) * rewardOf(a), 0);
  const gradient: number[] = [];
  for (const { values } of policy.parameters.matrices) {
    for (let i = 0; i < values.length; i++) {
      const value = values[i]!;
      values[i] = value + 1e-5;
      const above = objective();
      values[i] = value - 1e-5;
      gradient.push((above - objective()) / 2e-5);
      values[i] = value;
    }
  }
  return Float64Array.from(gradient);
}

/** The mean of the estimator over every pair of rollouts, weighted by its probability. */
function expectedGradient(policy: Policy, options: ReinforceOptions, state: () => BaselineState): Float64Array {
  const total = new Float64Array(policy.parameters.size);
  const initial = policy.parameters.values();
  for (const a of all) {
    for (const b of all) {
      policy.parameters.load(initial);
      const trajectories = [a, b].map((actions) => ({ actions, ...policy.accumulate(episode, actions, 0, 0) }));
      const p = Math.exp(trajectories[0]!.logProbability + trajectories[1]!.logProbability);
      const optimiser = new Adam(policy.parameters, 0);
      reinforce(policy, optimiser, episode, trajectories, [rewardOf(a), rewardOf(b)], options, state());
      for (const [i, g] of policy.parameters.gradients().entries()) total[i] = total[i]! + p * g;
    }
  }
  return total;
}

describe.each(Object.entries(makers))('REINFORCE with the %s policy', (_name, make) => {
  test.each(['leave-one-out', 'moving-average'] as const)('the expectation of the %s estimator is the exact gradient', (baseline) => {
    const policy = make(1);
    const exact = exactGradient(policy);
    const expected = expectedGradient(policy, { ...reinforceDefaults, rollouts: 2, baseline }, () => ({ average: 0.37 }));
    for (const [i, g] of expected.entries()) expect(Math.abs(g - exact[i]!)).toBeLessThan(1e-9);
    expect(Math.hypot(...exact)).toBeGreaterThan(1e-2);
  });

  test('learns which trajectory pays', () => {
    const policy = make(2);
    const optimiser = new Adam(policy.parameters, 0.05);
    const random = keyedRandom(4, 'rollout');
    const state: BaselineState = { average: undefined };
    for (let update = 0; update < 80; update++) {
      const trajectories = sampleRollouts(policy, episode, random, update, 5);
      reinforce(
        policy,
        optimiser,
        episode,
        trajectories,
        trajectories.map((t) => rewardOf(t.actions)),
        reinforceDefaults,
        state,
      );
    }
    expect(Math.exp(policy.accumulate(episode, [0, 0, 1], 0, 0).logProbability)).toBeGreaterThan(0.9);
  });

  test('a rollout is the same whatever else is sampled', () => {
    const policy = make(1);
    const random = keyedRandom(4, 'rollout');
    expect(sampleRollouts(policy, episode, random, 3, 5).slice(0, 2)).toEqual(sampleRollouts(policy, episode, random, 3, 2));
  });

  test('the entropy bonus alone drives towards even odds', () => {
    const policy = make(3);
    const optimiser = new Adam(policy.parameters, 0.05);
    const options = { ...reinforceDefaults, entropyBonus: 1 };
    const entropies = Array.from({ length: 60 }, (_, update) => {
      const trajectories = sampleRollouts(policy, episode, keyedRandom(0, 'e'), update, 2);
      return reinforce(policy, optimiser, episode, trajectories, [0, 0], options, { average: 0 }).entropy;
    });
    expect(entropies.at(-1)).toBeGreaterThan(entropies[0]!);
    expect(entropies.at(-1)).toBeCloseTo(Math.log(2), 2);
  });
});

test('an advantage belongs to its own rollout', () => {
  const loo = advantages([1, 0, 0.5], reinforceDefaults, { average: 9 });
  expect(loo[0]).toBeCloseTo(1 - 0.25, 12);
  expect(loo[1]).toBeCloseTo(0 - 0.75, 12);
  expect(loo[2]).toBeCloseTo(0.5 - 0.5, 12);
  const ema = { ...reinforceDefaults, baseline: 'moving-average' as const };
  expect(advantages([1, 0], ema, { average: 0.2 })).toEqual([0.8, -0.2]);
  expect(advantages([1, 0], ema, { average: undefined })).toEqual([0.5, -0.5]);
});

test('the moving average follows the mean rewards of earlier updates', () => {
  const policy = makers['bidirectional']!(1);
  const state: BaselineState = { average: undefined };
  const options = { ...reinforceDefaults, baseline: 'moving-average' as const, baselineDecay: 0.9 };
  const trajectories = sampleRollouts(policy, episode, keyedRandom(0, 'x'), 0, 2);
  reinforce(policy, new Adam(policy.parameters, 0), episode, trajectories, [1, 0], options, state);
  expect(state.average).toBe(0.5);
  reinforce(policy, new Adam(policy.parameters, 0), episode, trajectories, [1, 1], options, state);
  expect(state.average).toBeCloseTo(0.55, 12);
});

test('impossible hyper-parameters are refused by name', () => {
  expect(() => checkReinforceOptions({ ...reinforceDefaults, rollouts: 1 })).toThrow(/rollouts is 1.*at least 2/);
  expect(() => checkReinforceOptions({ ...reinforceDefaults, rollouts: 1, baseline: 'moving-average' })).not.toThrow();
  expect(() => checkReinforceOptions({ ...reinforceDefaults, baselineDecay: 1 })).toThrow(/baseline decay is 1/);
  expect(() => checkReinforceOptions({ ...reinforceDefaults, entropyBonus: Number.NaN })).toThrow(/entropy bonus is NaN/);
});
