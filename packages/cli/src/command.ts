// How a command is declared: its words, its settings, and what it does with their values.
import type { Context } from './context.js';
import type { Resolved, Settings } from './settings/setting.js';

export interface Argument {
  /** As commander writes it: `<arch>`. */
  readonly name: string;
  readonly about: string;
  /** Under this name the configuration file may give it, so that it may be left out. */
  readonly key?: string;
}

interface Declaration<S extends Settings> {
  /** `train`, or `bench ops` for a command of a group. */
  readonly name: string;
  readonly about: string;
  readonly arguments?: readonly Argument[];
  readonly settings: S;
  run(context: Context, values: Resolved<S>, operands: readonly string[]): Promise<void>;
}

export type CommandDeclaration = Declaration<Settings>;

/** Keeps the types of a command's settings inside its own file. */
export function defineCommand<S extends Settings>(declaration: Declaration<S>): CommandDeclaration {
  return { ...declaration, run: (context, values, operands) => declaration.run(context, values as Resolved<S>, operands) };
}
