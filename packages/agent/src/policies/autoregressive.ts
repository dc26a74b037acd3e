// The shrinkage policy: decisions are made one after the other, each knowing the one before.
//   [x_t, embedding(a_{t-1})] -> LSTM -> LSTM -> linear -> softmax over the actions of step t   (METHOD, stage 2)
import { categorical, categoricalGradient, pick, type Categorical } from '../nn/categorical.js';
import { Linear } from '../nn/linear.js';
import { Lstm, type LstmStep } from '../nn/lstm.js';
import { ParameterSet, type Matrix } from '../nn/parameters.js';
import type { KeyedRandom } from '../random.js';
import { checkEpisode, choices, scoreOf, type Episode, type Policy, type Score, type Trajectory } from './policy.js';

interface Pass {
  readonly actions: readonly number[];
  /** [layer][step] */
  readonly layers: readonly LstmStep[][];
  readonly distributions: readonly Categorical[];
}

export class AutoregressivePolicy implements Policy {
  readonly kind = 'autoregressive';
  readonly parameters: ParameterSet;
  /** One row an action, and a last one for "no action yet". */
  readonly #embedding: Matrix;
  readonly #layers: Lstm[];
  readonly #head: Linear;

  /**
   * `hidden` units, `layers` stacked, `embedding` features of the action before; `random` draws the initial weights; `prior`
   * [actions] is added to the logits at the start.
   */
  constructor(
    readonly stateSize: number,
    readonly actions: number,
    random: KeyedRandom,
    {
      hidden = 30,
      layers = 2,
      embedding = 10,
      prior = [],
    }: { hidden?: number; layers?: number; embedding?: number; prior?: readonly number[] } = {},
  ) {
    this.parameters = new ParameterSet(random);
    this.#embedding = this.parameters.create('embedding', actions + 1, embedding, 1 / Math.sqrt(embedding));
    this.#layers = Array.from(
      { length: layers },
      (_, l) => new Lstm(this.parameters, `lstm${l}`, l === 0 ? stateSize + embedding : hidden, hidden),
    );
    this.#head = new Linear(this.parameters, 'head', hidden, actions, prior);
  }

  sample(episode: Episode, uniform: (step: number) => number): Trajectory {
    const pass = this.#forward(episode, (distribution, t) => pick(distribution, uniform(t)));
    return { actions: pass.actions, ...scoreOf(episode, pass.distributions, pass.actions) };
  }

  accumulate(episode: Episode, actions: readonly number[], scoreWeight: number, entropyWeight: number): Score {
    const pass = this.#forward(episode, (_, t) => actions[t]!);
    const perStep = entropyWeight / Math.max(1, choices(episode));
    const top = pass.layers.at(-1)!;
    let gradients = pass.distributions.map((distribution, t) =>
      this.#head.backward(top[t]!.hidden, categoricalGradient(distribution, actions[t]!, scoreWeight, perStep)),
    );
    for (let l = this.#layers.length - 1; l >= 0; l--) gradients = this.#layers[l]!.backward(pass.layers[l]!, gradients);
    const { columns, gradients: dEmbedding } = this.#embedding;
    for (const [t, gradient] of gradients.entries()) {
      const row = this.#embeddingRow(actions, t) * columns;
      for (let i = 0; i < columns; i++) dEmbedding[row + i] = dEmbedding[row + i]! + gradient[this.stateSize + i]!;
    }
    return scoreOf(episode, pass.distributions, pass.actions);
  }

  #forward(episode: Episode, choose: (distribution: Categorical, step: number) => number): Pass {
    checkEpisode(this, episode);
    const { columns, values } = this.#embedding;
    const actions: number[] = [];
    const layers: LstmStep[][] = this.#layers.map(() => []);
    const distributions: Categorical[] = [];
    for (const [t, state] of episode.states.entries()) {
      const row = this.#embeddingRow(actions, t) * columns;
      let x = new Float64Array(this.stateSize + columns);
      x.set(state);
      x.set(values.subarray(row, row + columns), this.stateSize);
      for (const [l, lstm] of this.#layers.entries()) {
        const step = lstm.step(x, layers[l]![t - 1]);
        layers[l]!.push(step);
        x = new Float64Array(step.hidden);
      }
      const distribution = categorical(this.#head.forward(x), episode.legal[t]!);
      distributions.push(distribution);
      actions.push(choose(distribution, t));
    }
    return { actions, layers, distributions };
  }

  #embeddingRow(actions: readonly number[], step: number): number {
    return step === 0 ? this.actions : actions[step - 1]!;
  }
}
