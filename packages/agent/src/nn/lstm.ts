// A long short-term memory layer with backpropagation through time written out by hand:
//   a = Wx x + Wh h' + b, split into i, f, g, o of H each;  c = s(f) c' + s(i) tanh(g);  h = s(o) tanh(c)
// where h', c' are the step before, s the logistic function. Gates are in PyTorch's order.
import { addInto, addProduct, addProductGradient } from './linear.js';
import type { Matrix, ParameterSet } from './parameters.js';

/** What the backward pass needs of one step. All arrays are [H] but `x` [inputs] and `gates` [4 H], after their nonlinearities. */
export interface LstmStep {
  readonly x: Float64Array;
  readonly previousHidden: Float64Array;
  readonly previousCell: Float64Array;
  readonly gates: Float64Array;
  readonly cell: Float64Array;
  readonly hidden: Float64Array;
}

/** Gradients with respect to a hidden and a cell state, [H] each. */
export interface StateGradient {
  readonly hidden: Float64Array;
  readonly cell: Float64Array;
}

const logistic = (x: number): number => 1 / (1 + Math.exp(-x));

export class Lstm {
  readonly #input: Matrix;
  readonly #recurrent: Matrix;
  readonly #bias: Matrix;

  /**
   * Input weights from U(-sqrt(3), sqrt(3)): one active feature of a one-hot state gives a gate unit variance. Recurrent weights
   * from U(-sqrt(3/H), sqrt(3/H)), biases from U(-1/sqrt(H), 1/sqrt(H)). With 1/sqrt(H) throughout (PyTorch's default) all
   * steps look alike at first, the head's bias learns one action for all of them, and the policy collapses onto it: on the toy
   * problem of search.test.ts 200 updates ended at mean rewards of 0.67 and 0.73 of a possible 1.0, with these bounds at 0.9 to 1.0.
   */
  constructor(
    parameters: ParameterSet,
    name: string,
    readonly inputs: number,
    readonly hidden: number,
  ) {
    this.#input = parameters.create(`${name}.input`, 4 * hidden, inputs, Math.sqrt(3));
    this.#recurrent = parameters.create(`${name}.recurrent`, 4 * hidden, hidden, Math.sqrt(3 / hidden));
    this.#bias = parameters.create(`${name}.bias`, 4 * hidden, 1, 1 / Math.sqrt(hidden));
  }

  /** One step from the step before (zeros at the start of a sequence). */
  step(x: Float64Array, before?: LstmStep): LstmStep {
    const H = this.hidden;
    const previousHidden = before?.hidden ?? new Float64Array(H);
    const previousCell = before?.cell ?? new Float64Array(H);
    const gates = this.#bias.values.slice();
    addProduct(gates, this.#input, x);
    addProduct(gates, this.#recurrent, previousHidden);
    const cell = new Float64Array(H);
    const hidden = new Float64Array(H);
    for (let k = 0; k < H; k++) {
      const i = (gates[k] = logistic(gates[k]!));
      const f = (gates[H + k] = logistic(gates[H + k]!));
      const g = (gates[2 * H + k] = Math.tanh(gates[2 * H + k]!));
      const o = (gates[3 * H + k] = logistic(gates[3 * H + k]!));
      cell[k] = f * previousCell[k]! + i * g;
      hidden[k] = o * Math.tanh(cell[k]!);
    }
    return { x, previousHidden, previousCell, gates, cell, hidden };
  }

  /** The whole sequence from zeros; `reverse` runs from the last step to the first. The result is in the order of `xs` either way. */
  forward(xs: readonly Float64Array[], reverse = false): LstmStep[] {
    const steps: LstmStep[] = Array.from({ length: xs.length });
    let before: LstmStep | undefined;
    for (const t of order(xs.length, reverse)) {
      before = this.step(xs[t]!, before);
      steps[t] = before;
    }
    return steps;
  }

  /** Adds to the gradients, given d(loss)/d(hidden) of every step; returns d(loss)/d(x) of every step. */
  backward(steps: readonly LstmStep[], dHidden: readonly Float64Array[], reverse = false): Float64Array[] {
    return this.backwardThrough(steps, dHidden, undefined, reverse).inputs;
  }

  /**
   * The same for a sequence whose last state goes on elsewhere (`last`: the gradients that come back from there) and whose first
   * step began from a state of elsewhere (`initial`: the gradients to go back there).
   */
  backwardThrough(
    steps: readonly LstmStep[],
    dHidden: readonly Float64Array[],
    last?: StateGradient,
    reverse = false,
  ): { readonly inputs: Float64Array[]; readonly initial: StateGradient } {
    const dxs: Float64Array[] = Array.from({ length: steps.length });
    let carryHidden = last?.hidden.slice() ?? new Float64Array(this.hidden);
    let carryCell = last?.cell.slice() ?? new Float64Array(this.hidden);
    for (const t of order(steps.length, !reverse)) {
      addInto(carryHidden, dHidden[t]!);
      const back = this.#backwardStep(steps[t]!, carryHidden, carryCell);
      dxs[t] = back.dx;
      carryHidden = back.dHidden;
      carryCell = back.dCell;
    }
    return { inputs: dxs, initial: { hidden: carryHidden, cell: carryCell } };
  }

  #backwardStep(step: LstmStep, dHidden: Float64Array, dCellNext: Float64Array) {
    const H = this.hidden;
    const { gates, cell, previousCell } = step;
    const dGates = new Float64Array(4 * H);
    const dCell = new Float64Array(H);
    for (let k = 0; k < H; k++) {
      const [i, f, g, o] = [gates[k]!, gates[H + k]!, gates[2 * H + k]!, gates[3 * H + k]!];
      const tanhCell = Math.tanh(cell[k]!);
      const dc = dCellNext[k]! + dHidden[k]! * o * (1 - tanhCell * tanhCell);
      dGates[k] = dc * g * i * (1 - i);
      dGates[H + k] = dc * previousCell[k]! * f * (1 - f);
      dGates[2 * H + k] = dc * i * (1 - g * g);
      dGates[3 * H + k] = dHidden[k]! * tanhCell * o * (1 - o);
      dCell[k] = dc * f;
    }
    addInto(this.#bias.gradients, dGates);
    const dx = new Float64Array(this.inputs);
    const dPreviousHidden = new Float64Array(H);
    addProductGradient(dx, this.#input, step.x, dGates);
    addProductGradient(dPreviousHidden, this.#recurrent, step.previousHidden, dGates);
    return { dx, dHidden: dPreviousHidden, dCell };
  }
}

function order(length: number, reverse: boolean): number[] {
  return Array.from({ length }, (_, t) => (reverse ? length - 1 - t : t));
}
