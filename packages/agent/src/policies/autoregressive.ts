// Policies that decide one step after the other, each knowing the decision before:
//   [x_t, embedding(a_{t-1})] -> LSTM -> LSTM -> linear -> softmax over the actions of step t   (METHOD, stage 2)
// As an encoder-decoder, LSTMs of the same size first read x_1 .. x_T, and the deciding ones begin from their last states: the
// first decision then knows the whole network (Sutskever, Vinyals & Le 2014, section 2).
import { categorical, categoricalGradient, pick, type Categorical } from '../nn/categorical.js';
import { Linear } from '../nn/linear.js';
import { Lstm, type LstmStep, type StateGradient } from '../nn/lstm.js';
import { ParameterSet, type Matrix } from '../nn/parameters.js';
import type { KeyedRandom } from '../random.js';
import { checkEpisode, choices, scoreOf, weightAt, type Episode, type Policy, type Score, type Trajectory } from './policy.js';

interface Pass {
  readonly actions: readonly number[];
  /** [layer][step]; no layers without an encoder. */
  readonly encoded: readonly LstmStep[][];
  /** [layer][step] */
  readonly layers: readonly LstmStep[][];
  readonly distributions: readonly Categorical[];
}

interface Sizes {
  readonly hidden?: number;
  readonly layers?: number;
  readonly embedding?: number;
  readonly prior?: readonly number[];
}

export class AutoregressivePolicy implements Policy {
  readonly kind: 'autoregressive' | 'encoder-decoder' = 'autoregressive';
  readonly parameters: ParameterSet;
  /** One row an action, and a last one for "no action yet". */
  readonly #embedding: Matrix;
  readonly #encoder: readonly Lstm[];
  readonly #layers: readonly Lstm[];
  readonly #head: Linear;

  /**
   * `hidden` units, `layers` stacked, `embedding` features of the action before; `random` draws the initial weights; `prior`
   * [actions] is added to the logits at the start.
   */
  constructor(
    readonly stateSize: number,
    readonly actions: number,
    random: KeyedRandom,
    { hidden = 30, layers = 2, embedding = 10, prior = [] }: Sizes = {},
    encode = false,
  ) {
    this.parameters = new ParameterSet(random);
    this.#embedding = this.parameters.create('embedding', actions + 1, embedding, 1 / Math.sqrt(embedding));
    const stack = (name: string, inputs: number): Lstm[] =>
      Array.from({ length: layers }, (_, l) => new Lstm(this.parameters, `${name}${l}`, l === 0 ? inputs : hidden, hidden));
    this.#layers = stack('lstm', stateSize + embedding);
    this.#head = new Linear(this.parameters, 'head', hidden, actions, prior);
    this.#encoder = encode ? stack('encoder', stateSize) : [];
  }

  sample(episode: Episode, uniform: (step: number) => number): Trajectory {
    const pass = this.#forward(episode, (distribution, t) => pick(distribution, uniform(t)));
    return { actions: pass.actions, ...scoreOf(episode, pass.distributions, pass.actions) };
  }

  accumulate(episode: Episode, actions: readonly number[], scoreWeight: number | readonly number[], entropyWeight: number): Score {
    const pass = this.#forward(episode, (_, t) => actions[t]!);
    const perStep = entropyWeight / Math.max(1, choices(episode));
    const top = pass.layers.at(-1)!;
    let gradients = pass.distributions.map((distribution, t) =>
      this.#head.backward(top[t]!.hidden, categoricalGradient(distribution, actions[t]!, weightAt(scoreWeight, t), perStep)),
    );
    const initial: StateGradient[] = [];
    for (let l = this.#layers.length - 1; l >= 0; l--) {
      const back = this.#layers[l]!.backwardThrough(pass.layers[l]!, gradients);
      gradients = back.inputs;
      initial[l] = back.initial;
    }
    const { columns, gradients: dEmbedding } = this.#embedding;
    for (const [t, gradient] of gradients.entries()) {
      const row = this.#embeddingRow(actions, t) * columns;
      for (let i = 0; i < columns; i++) dEmbedding[row + i] = dEmbedding[row + i]! + gradient[this.stateSize + i]!;
    }
    this.#backwardEncoder(pass.encoded, initial);
    return scoreOf(episode, pass.distributions, pass.actions);
  }

  /** The encoder's outputs are of use only through the last state of each of its layers. */
  #backwardEncoder(encoded: Pass['encoded'], last: readonly StateGradient[]): void {
    let gradients: Float64Array[] = encoded[0]?.map(({ hidden }) => new Float64Array(hidden.length)) ?? [];
    for (let l = this.#encoder.length - 1; l >= 0; l--) {
      gradients = this.#encoder[l]!.backwardThrough(encoded[l]!, gradients, last[l]).inputs;
    }
  }

  #forward(episode: Episode, choose: (distribution: Categorical, step: number) => number): Pass {
    checkEpisode(this, episode);
    let read = episode.states;
    const encoded = this.#encoder.map((lstm) => {
      const steps = lstm.forward(read);
      read = steps.map(({ hidden }) => hidden);
      return steps;
    });
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
        const step = lstm.step(x, t === 0 ? encoded[l]?.at(-1) : layers[l]![t - 1]);
        layers[l]!.push(step);
        x = new Float64Array(step.hidden);
      }
      const distribution = categorical(this.#head.forward(x), episode.legal[t]!);
      distributions.push(distribution);
      actions.push(choose(distribution, t));
    }
    return { actions, encoded, layers, distributions };
  }

  #embeddingRow(actions: readonly number[], step: number): number {
    return step === 0 ? this.actions : actions[step - 1]!;
  }
}

export class EncoderDecoderPolicy extends AutoregressivePolicy {
  override readonly kind = 'encoder-decoder';

  constructor(stateSize: number, actions: number, random: KeyedRandom, sizes: Sizes = {}) {
    super(stateSize, actions, random, sizes, true);
  }
}
