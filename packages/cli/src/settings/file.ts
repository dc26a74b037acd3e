// The configuration file: YAML or JSON with defaults for flags. Keys at the top are for every command; a section named after a
// command is for that one and wins over them. Keys are flags' names, `learning-rate` or `learningRate`.
import { readFile } from 'node:fs/promises';
import { suggestion } from '@n2n/trainer/network';
import { parse } from 'yaml';
import { z } from 'zod';
import type { CommandDeclaration } from '../command.js';
import { UsageError } from '../errors.js';
import { common } from './settings.js';

export interface ConfigurationFile {
  readonly path: string;
  /** What the file says to the command, by the settings' names and those of its arguments. */
  readonly values: Readonly<Record<string, unknown>>;
}

const objectSchema = z.record(z.string(), z.unknown());
/** Aliases that a document may unfold to: a few lines can stand for gigabytes. */
const ALIAS_LIMIT = 100;

const camel = (key: string): string => key.replaceAll(/-([a-z])/g, (_, letter: string) => letter.toUpperCase());

/** Names of everything that a file may set for a command. */
const keysOf = ({ settings, arguments: operands = [] }: CommandDeclaration): string[] => [
  ...Object.keys(common),
  ...Object.keys(settings),
  ...operands.flatMap(({ key }) => key ?? []),
];

/** Reads the file for `declaration`, one of `commands`. Throws UsageError for what is no configuration and for unknown keys. */
export async function readConfiguration(
  path: string,
  declaration: CommandDeclaration,
  commands: readonly CommandDeclaration[],
): Promise<ConfigurationFile> {
  const content = await parsed(path);
  const top: Record<string, unknown> = {};
  let own: Readonly<Record<string, unknown>> = {};
  for (const [key, value] of Object.entries(content)) {
    const command = commands.find(({ name }) => name === key);
    const section = objectSchema.safeParse(value);
    if (command === undefined || !section.success) {
      top[key] = value;
      continue;
    }
    const values = checked(`the section "${key}" of --config ${path}`, section.data, keysOf(command));
    if (command === declaration) own = values;
  }
  const known = commands.flatMap(keysOf);
  return { path, values: { ...checked(`--config ${path}`, top, known, commands), ...own } };
}

async function parsed(path: string): Promise<Record<string, unknown>> {
  let content: unknown;
  try {
    content = parse(await readFile(path, 'utf8'), { maxAliasCount: ALIAS_LIMIT });
  } catch (error) {
    const [problem] = (error instanceof Error ? error.message : String(error)).split('\n');
    throw new UsageError(`--config ${path}: ${problem}; it needs a readable YAML or JSON file`);
  }
  const object = objectSchema.safeParse(content);
  if (!object.success) throw new UsageError(`--config ${path} holds no keys with values; it needs some such as "epochs: 3"`);
  return object.data;
}

/** The values by the settings' own names; a key that is unknown, for it is most likely misspelt, or there twice is refused. */
function checked(
  where: string,
  values: Readonly<Record<string, unknown>>,
  keys: readonly string[],
  sections: readonly CommandDeclaration[] = [],
): Record<string, unknown> {
  const known = [...new Set(keys)].toSorted();
  const result: Record<string, unknown> = {};
  for (const [key, value] of Object.entries(values)) {
    const name = camel(key);
    if (!known.includes(name)) {
      const hint = suggestion(name, [...known, ...sections.map((command) => command.name)]);
      throw new UsageError(`${where} has the unknown key "${key}"${hint}; known are ${known.join(', ')}`);
    }
    if (name in result) throw new UsageError(`${where} has "${name}" twice, as "${key}" and in another spelling; it needs one of them`);
    result[name] = value;
  }
  return result;
}
