// Adam (Kingma & Ba 2015, algorithm 1) over a policy's parameters, ascending: REINFORCE maximises the reward.
import type { ParameterSet } from './parameters.js';

/** Everything that Adam remembers; plain data for the snapshot. `first` and `second` are [parameters]. */
export interface AdamState {
  steps: number;
  first: Float64Array;
  second: Float64Array;
}

/** Decay of the first and second moments, and the term that keeps the division finite: the values of the article. */
const BETA1 = 0.9;
const BETA2 = 0.999;
const EPSILON = 1e-8;

export class Adam {
  readonly state: AdamState;

  constructor(
    readonly parameters: ParameterSet,
    readonly learningRate: number,
    state?: AdamState,
  ) {
    const size = parameters.size;
    this.state = state ?? { steps: 0, first: new Float64Array(size), second: new Float64Array(size) };
    if (this.state.first.length !== size || this.state.second.length !== size) {
      throw new Error(`the optimiser's state is for ${this.state.first.length} parameters, the policy has ${size}`);
    }
  }

  /** One step uphill along the accumulated gradients, which stay as they are. */
  ascend(): void {
    const { first, second } = this.state;
    const t = ++this.state.steps;
    const correction1 = 1 - BETA1 ** t;
    const correction2 = 1 - BETA2 ** t;
    let k = 0;
    for (const { values, gradients } of this.parameters.matrices) {
      for (let i = 0; i < values.length; i++, k++) {
        const g = gradients[i]!;
        const m = (first[k] = BETA1 * first[k]! + (1 - BETA1) * g);
        const v = (second[k] = BETA2 * second[k]! + (1 - BETA2) * g * g);
        values[i] = values[i]! + (this.learningRate * (m / correction1)) / (Math.sqrt(v / correction2) + EPSILON);
      }
    }
  }
}
