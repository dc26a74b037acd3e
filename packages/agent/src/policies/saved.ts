// A policy as it is kept: its parameters and all that decides whether another search can go on from them.
import { encoderVersion } from '../encoder.js';
import { ConfigurationError } from '../errors.js';
import type { StageName } from '../stages.js';
import type { Policy } from './policy.js';

export interface SavedPolicy {
  readonly stage: StageName;
  /** Which network reads and decides: `bidirectional`, `autoregressive`, ... */
  readonly kind: string;
  /** What its inputs mean. */
  readonly encoder: string;
  /** Names and sizes of its matrices, in order. */
  readonly shapes: readonly string[];
  /** All matrices one after the other, [parameters]. */
  readonly values: Float64Array;
}

export function savePolicy(stage: StageName, policy: Policy): SavedPolicy {
  return { stage, kind: policy.kind, encoder: encoderVersion, shapes: shapesOf(policy), values: policy.parameters.values() };
}

/** Gives `policy` the parameters of a saved one. Throws ConfigurationError when they would mean something else in it. */
export function loadPolicy(policy: Policy, saved: SavedPolicy): void {
  const refuse = (what: string, has: string, needs: string): never => {
    throw new ConfigurationError(`the saved policy of ${saved.stage} has ${what} ${has}, this search needs ${needs}; let it start fresh`);
  };
  if (saved.kind !== policy.kind) refuse('the kind', saved.kind, policy.kind);
  if (saved.encoder !== encoderVersion) refuse('the encoder', saved.encoder, encoderVersion);
  const shapes = shapesOf(policy);
  const at = Array.from({ length: Math.max(shapes.length, saved.shapes.length) }, (_, i) => i).find((i) => shapes[i] !== saved.shapes[i]);
  if (at !== undefined) refuse('the matrix', saved.shapes[at] ?? 'none', shapes[at] ?? 'none');
  policy.parameters.load(saved.values);
}

const shapesOf = ({ parameters }: Policy): string[] => parameters.matrices.map(({ name, rows, columns }) => `${name} ${rows}x${columns}`);
