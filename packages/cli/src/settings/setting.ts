// Settings: each is declared once and read from a preset, the configuration file, the environment and the flags, in rising
// order of precedence. A bad value is refused with where it came from, what it is and what is needed.
import { Option, type Command } from 'commander';
import type { z } from 'zod';
import { UsageError } from '../errors.js';

export interface Setting<T> {
  /** As commander writes it: `--seed <n>`; without a placeholder it is a switch. */
  readonly flags: string;
  readonly about: string;
  /** What a value must be, in words. */
  readonly needs: string;
  /** From the text of one value. */
  readonly schema: z.ZodType<T>;
  readonly fallback: T;
  /** The flag may be given several times; the schema then gets a list of texts. */
  readonly repeatable?: true;
  /** False for what belongs to one invocation only, and is no environment variable. */
  readonly environment?: false;
}

export type Settings = Readonly<Record<string, Setting<unknown>>>;
export type Resolved<S extends Settings> = { readonly [K in keyof S]: S[K] extends Setting<infer T> ? T : never };

/** The same setting with a default of the command's own. */
export function withDefault<T>(setting: Setting<T>, fallback: T): Setting<T> {
  return { ...setting, fallback };
}

/** `learningRate` -> `--learning-rate`. */
const flagName = (key: string): string => `--${key.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
/** `learningRate` -> `N2N_LEARNING_RATE`. */
const variableName = (key: string): string => `N2N_${key.replaceAll(/[A-Z]/g, (letter) => `_${letter}`).toUpperCase()}`;
const isSwitch = ({ flags }: Setting<unknown>): boolean => !flags.includes('<');

/** Adds the settings' flags to a command. */
export function addSettings(command: Command, settings: Settings): Command {
  for (const [key, setting] of Object.entries(settings)) {
    if (!setting.flags.split(/[ ,]+/).includes(flagName(key))) throw new Error(`setting "${key}" is declared as "${setting.flags}"`);
    const option = new Option(setting.flags, setting.about + describeDefault(setting));
    if (setting.repeatable === true) option.argParser((value: string, earlier: string[] | undefined) => [...(earlier ?? []), value]);
    command.addOption(option);
    if (isSwitch(setting)) command.addOption(new Option(flagName(key).replace('--', '--no-')).hideHelp());
  }
  return command;
}

/** What the wording does not say itself. */
function describeDefault({ about, fallback }: Setting<unknown>): string {
  if (about.includes('(default:')) return '';
  if (typeof fallback === 'number' || (typeof fallback === 'string' && fallback !== '')) return ` (default: ${fallback})`;
  return Array.isArray(fallback) && fallback.length > 0 ? ` (default: ${fallback.join(',')})` : '';
}

export interface Sources {
  /** What commander parsed. */
  readonly flags: Readonly<Record<string, unknown>>;
  readonly environment: NodeJS.ProcessEnv;
  /** The configuration file's content and its path, for errors. */
  readonly file?: { readonly path: string; readonly values: Readonly<Record<string, unknown>> };
  /** Values, parsed already, that take the place of the settings' own defaults. */
  readonly preset?: Readonly<Record<string, unknown>>;
}

/** The settings' values. Throws UsageError. */
export function resolveSettings<S extends Settings>(settings: S, sources: Sources): Resolved<S> {
  const resolved = Object.entries(settings).map(([key, setting]) => [key, resolveOne(key, setting, sources).value]);
  return Object.fromEntries(resolved) as Resolved<S>;
}

/** Where each setting's value comes from: "flag --epochs", "variable N2N_EPOCHS", "file PATH", "preset" or "default". */
export function originsOf(settings: Settings, sources: Sources): Map<string, string> {
  return new Map(Object.entries(settings).map(([key, setting]) => [key, resolveOne(key, setting, sources).origin]));
}

function resolveOne(
  key: string,
  setting: Setting<unknown>,
  { flags, environment, file, preset }: Sources,
): { readonly value: unknown; readonly origin: string } {
  const flag = flags[key];
  if (flag !== undefined) return { value: parse(setting, flag, flagName(key)), origin: `flag ${flagName(key)}` };
  const name = variableName(key);
  const variable = setting.environment === false ? undefined : environment[name];
  // An empty variable counts as not set, as shells make it hard to unset one for a single command.
  if (variable !== undefined && variable !== '') {
    return { value: parse(setting, variable, `the variable ${name}`), origin: `variable ${name}` };
  }
  const stored = file?.values[key];
  if (stored !== undefined) return { value: parse(setting, stored, `"${key}" in ${file?.path}`), origin: `file ${file?.path}` };
  return preset !== undefined && key in preset ? { value: preset[key], origin: 'preset' } : { value: setting.fallback, origin: 'default' };
}

function parse(setting: Setting<unknown>, value: unknown, origin: string): unknown {
  const texts = Array.isArray(value) ? value.map(String) : [String(value)];
  const input = setting.repeatable === true ? texts : texts.join(',');
  const parsed = setting.schema.safeParse(input);
  if (parsed.success) return parsed.data;
  throw new UsageError(`${origin} got ${JSON.stringify(value)}; it needs ${setting.needs}`);
}
