// The removal policy: every layer is read in the context of the whole network, then each decision is made by itself.
//   x_1..x_T -> bidirectional LSTM -> bidirectional LSTM -> linear -> softmax over the actions of every step   (METHOD, stage 1)
import { categorical, categoricalGradient, pick, type Categorical } from '../nn/categorical.js';
import { Linear } from '../nn/linear.js';
import { Lstm, type LstmStep } from '../nn/lstm.js';
import { ParameterSet } from '../nn/parameters.js';
import type { KeyedRandom } from '../random.js';
import { checkEpisode, choices, scoreOf, weightAt, type Episode, type Policy, type Score, type Trajectory } from './policy.js';

interface Pass {
  readonly layers: readonly { readonly forward: LstmStep[]; readonly backward: LstmStep[] }[];
  readonly outputs: readonly Float64Array[];
  readonly distributions: readonly Categorical[];
}

export class BidirectionalPolicy implements Policy {
  readonly kind = 'bidirectional';
  readonly parameters: ParameterSet;
  readonly #layers: { readonly forward: Lstm; readonly backward: Lstm }[];
  readonly #head: Linear;
  readonly #hidden: number;

  /** `hidden` units a direction, `layers` stacked; `random` draws the initial weights; `prior` [actions] is added to the logits at the start. */
  constructor(
    readonly stateSize: number,
    readonly actions: number,
    random: KeyedRandom,
    { hidden = 30, layers = 2, prior = [] }: { hidden?: number; layers?: number; prior?: readonly number[] } = {},
  ) {
    this.parameters = new ParameterSet(random);
    this.#hidden = hidden;
    this.#layers = Array.from({ length: layers }, (_, l) => {
      const inputs = l === 0 ? stateSize : 2 * hidden;
      return {
        forward: new Lstm(this.parameters, `lstm${l}.forward`, inputs, hidden),
        backward: new Lstm(this.parameters, `lstm${l}.backward`, inputs, hidden),
      };
    });
    this.#head = new Linear(this.parameters, 'head', 2 * hidden, actions, prior);
  }

  sample(episode: Episode, uniform: (step: number) => number): Trajectory {
    const pass = this.#forward(episode);
    const actions = pass.distributions.map((distribution, t) => pick(distribution, uniform(t)));
    return { actions, ...scoreOf(episode, pass.distributions, actions) };
  }

  accumulate(episode: Episode, actions: readonly number[], scoreWeight: number | readonly number[], entropyWeight: number): Score {
    const pass = this.#forward(episode);
    const perStep = entropyWeight / Math.max(1, choices(episode));
    let gradients = pass.distributions.map((distribution, t) =>
      this.#head.backward(pass.outputs[t]!, categoricalGradient(distribution, actions[t]!, weightAt(scoreWeight, t), perStep)),
    );
    for (let l = this.#layers.length - 1; l >= 0; l--) {
      const { forward, backward } = this.#layers[l]!;
      const steps = pass.layers[l]!;
      const left = forward.backward(
        steps.forward,
        gradients.map((g) => g.slice(0, this.#hidden)),
      );
      const right = backward.backward(
        steps.backward,
        gradients.map((g) => g.slice(this.#hidden)),
        true,
      );
      gradients = left.map((g, t) => g.map((value, i) => value + right[t]![i]!));
    }
    return scoreOf(episode, pass.distributions, actions);
  }

  #forward(episode: Episode): Pass {
    checkEpisode(this, episode);
    let outputs = episode.states;
    const layers = this.#layers.map(({ forward, backward }) => {
      const steps = { forward: forward.forward(outputs), backward: backward.forward(outputs, true) };
      outputs = steps.forward.map((step, t) => concatenate(step.hidden, steps.backward[t]!.hidden));
      return steps;
    });
    const distributions = outputs.map((output, t) => categorical(this.#head.forward(output), episode.legal[t]!));
    return { layers, outputs, distributions };
  }
}

function concatenate(a: Float64Array, b: Float64Array): Float64Array {
  const joined = new Float64Array(a.length + b.length);
  joined.set(a);
  joined.set(b, a.length);
  return joined;
}
