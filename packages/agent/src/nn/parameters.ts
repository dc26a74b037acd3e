// The trainable numbers of a policy. A layer can get its weights only from a ParameterSet, so whatever takes part in the
// forward pass is registered, is reached by the optimiser and is in the snapshot (METHOD, defect 1 of the released code).
import type { KeyedRandom } from '../random.js';

/** A float64 matrix [rows, columns], row-major, with its accumulated gradient. A vector has one column. */
export interface Matrix {
  readonly name: string;
  readonly rows: number;
  readonly columns: number;
  readonly values: Float64Array;
  readonly gradients: Float64Array;
}

export class ParameterSet {
  readonly #matrices: Matrix[] = [];
  readonly #random: KeyedRandom;

  /** `random` draws the initial values, keyed by (index of the matrix, index of the element). */
  constructor(random: KeyedRandom) {
    this.#random = random;
  }

  /** Registers a matrix drawn from U(-bound, bound). `name` must be new. */
  create(name: string, rows: number, columns: number, bound: number): Matrix {
    if (this.#matrices.some((matrix) => matrix.name === name)) {
      throw new Error(`parameter "${name}" is registered twice; each needs its own name`);
    }
    const index = this.#matrices.length;
    const values = Float64Array.from({ length: rows * columns }, (_, element) => bound * (2 * this.#random.uniform(index, element) - 1));
    const matrix = { name, rows, columns, values, gradients: new Float64Array(values.length) };
    this.#matrices.push(matrix);
    return matrix;
  }

  get matrices(): readonly Matrix[] {
    return this.#matrices;
  }

  /** Number of trainable scalars. */
  get size(): number {
    return this.#matrices.reduce((sum, matrix) => sum + matrix.values.length, 0);
  }

  clearGradients(): void {
    for (const matrix of this.#matrices) matrix.gradients.fill(0);
  }

  /** All values as one array, in the order of registration. */
  values(): Float64Array {
    return this.#concatenate((matrix) => matrix.values);
  }

  /** All gradients as one array, in the order of registration. */
  gradients(): Float64Array {
    return this.#concatenate((matrix) => matrix.gradients);
  }

  /** Sets all values from one array made by `values()` of an equal set. */
  load(values: ArrayLike<number>): void {
    if (values.length !== this.size) {
      throw new Error(`the policy has ${this.size} parameters, the saved one ${values.length}; it needs the same layers`);
    }
    let offset = 0;
    for (const matrix of this.#matrices) {
      for (let i = 0; i < matrix.values.length; i++) matrix.values[i] = values[offset + i]!;
      offset += matrix.values.length;
    }
  }

  #concatenate(pick: (matrix: Matrix) => Float64Array): Float64Array {
    const all = new Float64Array(this.size);
    let offset = 0;
    for (const matrix of this.#matrices) {
      all.set(pick(matrix), offset);
      offset += matrix.values.length;
    }
    return all;
  }
}
