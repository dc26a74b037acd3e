// y = W x + b, and the matrix-vector products that the recurrent cell shares with it.
import type { Matrix, ParameterSet } from './parameters.js';

/** y += M x, with M [rows, columns], x [columns], y [rows]. */
export function addProduct(y: Float64Array, m: Matrix, x: Float64Array): void {
  const { rows, columns, values } = m;
  for (let r = 0; r < rows; r++) {
    let sum = 0;
    const row = r * columns;
    for (let c = 0; c < columns; c++) sum += values[row + c]! * x[c]!;
    y[r] = y[r]! + sum;
  }
}

/** Backward of y = M x: adds dy x^T to M's gradient and M^T dy to dx [columns]. */
export function addProductGradient(dx: Float64Array, m: Matrix, x: Float64Array, dy: Float64Array): void {
  const { rows, columns, values, gradients } = m;
  for (let r = 0; r < rows; r++) {
    const d = dy[r]!;
    if (d === 0) continue;
    const row = r * columns;
    for (let c = 0; c < columns; c++) {
      gradients[row + c] = gradients[row + c]! + d * x[c]!;
      dx[c] = dx[c]! + values[row + c]! * d;
    }
  }
}

export function addInto(target: Float64Array, source: Float64Array): void {
  for (let i = 0; i < target.length; i++) target[i] = target[i]! + source[i]!;
}

/** A fully connected layer, W [outputs, inputs] and b [outputs] drawn from U(-1/sqrt(inputs), 1/sqrt(inputs)); `prior` [outputs] is added to b. */
export class Linear {
  readonly #weight: Matrix;
  readonly #bias: Matrix;

  constructor(parameters: ParameterSet, name: string, inputs: number, outputs: number, prior: readonly number[] = []) {
    const bound = 1 / Math.sqrt(inputs);
    this.#weight = parameters.create(`${name}.weight`, outputs, inputs, bound);
    this.#bias = parameters.create(`${name}.bias`, outputs, 1, bound);
    prior.forEach((value, i) => (this.#bias.values[i] = this.#bias.values[i]! + value));
  }

  /** x [inputs] to y [outputs]. */
  forward(x: Float64Array): Float64Array {
    const y = this.#bias.values.slice();
    addProduct(y, this.#weight, x);
    return y;
  }

  /** Adds to the gradients of W and b for the x of the forward pass and dy [outputs]; returns dx [inputs]. */
  backward(x: Float64Array, dy: Float64Array): Float64Array {
    const dx = new Float64Array(x.length);
    addInto(this.#bias.gradients, dy);
    addProductGradient(dx, this.#weight, x, dy);
    return dx;
  }
}
