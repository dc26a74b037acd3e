// The critic of an actor-critic: what reward to expect at each step, knowing the network and the decisions so far.
//   [x_t, one-hot(a_{t-1})] -> LSTM -> linear -> V_t
// V_t knows nothing of a_t and what follows, so R - V_t is an unbiased weight of grad log pi(a_t): the return is the whole reward,
// as nothing is earned on the way and gamma = 1 (Sutton & Barto 2018, section 13.4; N2N learning, section 3.4).
import type { AdamState } from './nn/adam.js';
import { Adam } from './nn/adam.js';
import { Linear } from './nn/linear.js';
import { Lstm, type LstmStep } from './nn/lstm.js';
import { ParameterSet } from './nn/parameters.js';
import { choices, type Episode } from './policies/policy.js';
import type { KeyedRandom } from './random.js';

/** Adam's learning rate of the critic. */
const LEARNING_RATE = 0.01;

/** Everything that a critic carries from update to update; plain data for the snapshot. */
export interface CriticState {
  readonly values: Float64Array;
  readonly optimiser: AdamState;
}

export class Critic {
  readonly parameters: ParameterSet;
  readonly #optimiser: Adam;
  readonly #lstm: Lstm;
  readonly #head: Linear;

  /** For episodes with states of `stateSize` and `actions` actions; `random` draws the initial weights, `saved` takes their place. */
  constructor(
    private readonly stateSize: number,
    private readonly actions: number,
    random: KeyedRandom,
    { hidden = 30, saved }: { readonly hidden?: number; readonly saved?: CriticState | undefined } = {},
  ) {
    this.parameters = new ParameterSet(random);
    this.#lstm = new Lstm(this.parameters, 'critic', stateSize + actions, hidden);
    this.#head = new Linear(this.parameters, 'value', hidden, 1);
    if (saved !== undefined) this.parameters.load(saved.values);
    this.#optimiser = new Adam(this.parameters, LEARNING_RATE, saved?.optimiser);
  }

  get state(): CriticState {
    return { values: this.parameters.values(), optimiser: this.#optimiser.state };
  }

  /** V_t of every step, given the actions before it. */
  values(episode: Episode, actions: readonly number[]): number[] {
    return this.#forward(episode, actions).map(({ hidden }) => this.#head.forward(hidden)[0]!);
  }

  /** One Adam step that lowers the mean over rollouts of `loss`. */
  learn(episode: Episode, rollouts: readonly { readonly actions: readonly number[]; readonly reward: number }[]): void {
    this.parameters.clearGradients();
    for (const { actions, reward } of rollouts) this.accumulate(episode, actions, reward, -1 / rollouts.length);
    this.#optimiser.ascend();
  }

  /**
   * The rollout's loss, 1/2 (V_t - R)^2 averaged over the steps with a choice - at the others there is nothing to weigh; adds
   * `weight` times its gradient.
   */
  accumulate(episode: Episode, actions: readonly number[], reward: number, weight: number): number {
    const steps = this.#forward(episode, actions);
    const count = Math.max(1, choices(episode));
    let loss = 0;
    const gradients = steps.map(({ hidden }, t) => {
      const isChoice = episode.legal[t]!.filter(Boolean).length > 1;
      const error = isChoice ? this.#head.forward(hidden)[0]! - reward : 0;
      loss += (error * error) / (2 * count);
      return this.#head.backward(hidden, Float64Array.of((weight * error) / count));
    });
    this.#lstm.backward(steps, gradients);
    return loss;
  }

  #forward(episode: Episode, actions: readonly number[]): LstmStep[] {
    const inputs = episode.states.map((state, t) => {
      const x = new Float64Array(this.stateSize + this.actions);
      x.set(state);
      if (t > 0) x[this.stateSize + actions[t - 1]!] = 1;
      return x;
    });
    return this.#lstm.forward(inputs);
  }
}
