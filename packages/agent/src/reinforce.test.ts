import { describe, expect, test } from 'vitest';
import { Critic } from './critic.js';
import { Adam } from './nn/adam.js';
import { AutoregressivePolicy, EncoderDecoderPolicy } from './policies/autoregressive.js';
import { BidirectionalPolicy } from './policies/bidirectional.js';
import type { Episode, Policy } from './policies/policy.js';
import { keyedRandom } from './random.js';
import {
  advantages,
  baselineKinds,
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
  'encoder-decoder': (seed) => new EncoderDecoderPolicy(2, 2, keyedRandom(seed, 'weights'), { ...sizes, embedding: 2 }),
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
  test.each(baselineKinds)('the expectation of the %s estimator is the exact gradient', (baseline) => {
    const policy = make(1);
    const exact = exactGradient(policy);
    const state = (): BaselineState => ({ average: 0.37, critic: new Critic(2, 2, keyedRandom(5, 'critic'), { hidden: 2 }) });
    const expected = expectedGradient(policy, { ...reinforceDefaults, rollouts: 2, baseline }, state);
    for (const [i, g] of expected.entries()) expect(Math.abs(g - exact[i]!)).toBeLessThan(1e-9);
    expect(Math.hypot(...exact)).toBeGreaterThan(1e-2);
  });

  test.each(baselineKinds)('learns which trajectory pays, with the %s baseline', (baseline) => {
    const policy = make(2);
    const optimiser = new Adam(policy.parameters, 0.05);
    const random = keyedRandom(4, 'rollout');
    const state: BaselineState = { average: undefined, critic: new Critic(2, 2, keyedRandom(5, 'critic'), { hidden: 4 }) };
    const options = { ...reinforceDefaults, baseline };
    for (let update = 0; update < 80; update++) {
      const trajectories = sampleRollouts(policy, episode, random, update, 5);
      reinforce(
        policy,
        optimiser,
        episode,
        trajectories,
        trajectories.map((t) => rewardOf(t.actions)),
        options,
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

test('an advantage belongs to its own rollout, and is the same at all its steps', () => {
  const three = all.slice(0, 3).map((actions) => ({ actions }));
  const loo = advantages(episode, three, [1, 0, 0.5], reinforceDefaults, { average: 9 });
  for (const [r, expected] of [1 - 0.25, 0 - 0.75, 0.5 - 0.5].entries()) {
    expect(loo[r]).toHaveLength(3);
    for (const value of loo[r]!) expect(value).toBeCloseTo(expected, 12);
  }
  const ema = { ...reinforceDefaults, baseline: 'average' as const };
  expect(advantages(episode, three.slice(1), [1, 0], ema, { average: 0.2 })).toEqual([
    [0.8, 0.8, 0.8],
    [-0.2, -0.2, -0.2],
  ]);
  expect(advantages(episode, three.slice(1), [1, 0], ema, { average: undefined })[1]).toEqual([-0.5, -0.5, -0.5]);
});

test('the moving average follows the mean rewards of earlier updates', () => {
  const policy = makers['bidirectional']!(1);
  const state: BaselineState = { average: undefined };
  const options = { ...reinforceDefaults, baseline: 'average' as const, baselineDecay: 0.9 };
  const trajectories = sampleRollouts(policy, episode, keyedRandom(0, 'x'), 0, 2);
  reinforce(policy, new Adam(policy.parameters, 0), episode, trajectories, [1, 0], options, state);
  expect(state.average).toBe(0.5);
  reinforce(policy, new Adam(policy.parameters, 0), episode, trajectories, [1, 1], options, state);
  expect(state.average).toBeCloseTo(0.55, 12);
});

describe('the critic', () => {
  const critic = (): Critic => new Critic(2, 2, keyedRandom(7, 'critic'), { hidden: 3 });

  test('gradient of its loss equals central differences for every parameter', () => {
    const network = critic();
    network.accumulate(episode, [1, 0, 1], 0.4, 0.7);
    const h = 1e-5;
    for (const { name, values, gradients } of network.parameters.matrices) {
      const analytic = gradients.slice();
      for (const [i, value] of values.entries()) {
        values[i] = value + h;
        const above = network.accumulate(episode, [1, 0, 1], 0.4, 0);
        values[i] = value - h;
        const numeric = (0.7 * (above - network.accumulate(episode, [1, 0, 1], 0.4, 0))) / (2 * h);
        values[i] = value;
        expect(Math.abs(analytic[i]! - numeric), `${name}[${i}]`).toBeLessThan(1e-9);
      }
    }
    expect(Math.hypot(...network.parameters.gradients())).toBeGreaterThan(1e-2);
  });

  test('expects at a step what the decisions before it earn on average, and knows nothing of those after', () => {
    const network = critic();
    const rollouts = all.map((actions) => ({ actions, reward: rewardOf(actions) }));
    for (let i = 0; i < 400; i++) network.learn(episode, rollouts);
    const [first, , last] = network.values(episode, [1, 0, 1]);
    expect(first).toBeCloseTo((0.1 + 0.9 - 0.4 + 0.3) / 4, 1);
    expect(last).toBeCloseTo((-0.4 + 0.3) / 2, 1);
    expect(network.values(episode, [0, 0, 0])[0]).toBe(first);
    expect(network.values(episode, [1, 0, 0])[2]).toBe(last);
    expect(network.values(episode, [0, 0, 0])[2]).toBeCloseTo((0.1 + 0.9) / 2, 1);
  });

  test('goes on from its state to the same bits', () => {
    const rollouts = all.map((actions) => ({ actions, reward: rewardOf(actions) }));
    const whole = critic();
    whole.learn(episode, rollouts);
    const { values, optimiser } = whole.state;
    const state = { values, optimiser: { ...optimiser, first: optimiser.first.slice(), second: optimiser.second.slice() } };
    const resumed = new Critic(2, 2, keyedRandom(8, 'other'), { hidden: 3, saved: state });
    for (const network of [whole, resumed]) network.learn(episode, rollouts);
    expect(resumed.state).toEqual(whole.state);
  });
});

test('impossible hyper-parameters are refused by name', () => {
  expect(() => checkReinforceOptions({ ...reinforceDefaults, rollouts: 1 })).toThrow(/rollouts is 1.*at least 2/);
  expect(() => checkReinforceOptions({ ...reinforceDefaults, rollouts: 1, baseline: 'average' })).not.toThrow();
  expect(() => checkReinforceOptions({ ...reinforceDefaults, baseline: 'mean' as never })).toThrow(/baseline is "mean".*leave-one-out/);
  expect(() => checkReinforceOptions({ ...reinforceDefaults, baselineDecay: 1 })).toThrow(/baseline decay is 1/);
  expect(() => checkReinforceOptions({ ...reinforceDefaults, entropyBonus: Number.NaN })).toThrow(/entropy bonus is NaN/);
});
