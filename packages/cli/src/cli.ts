// Builds the program from the commands' declarations, runs one, and turns whatever it throws into a paragraph and an exit code.
import { readFile } from 'node:fs/promises';
import { Command, CommanderError } from 'commander';
import { z } from 'zod';
import type { CommandDeclaration } from './command.js';
import { commands, groupDescriptions } from './commands/index.js';
import { Context, type CliEnvironment } from './context.js';
import { describeError, EXIT, exitCodeOf, UsageError } from './errors.js';
import { presetOf } from './settings/presets.js';
import { addSettings, resolveSettings, type Sources } from './settings/setting.js';
import { common } from './settings/settings.js';
import { VERSION } from './version.js';

/** Runs one command line (without node and script) and returns its exit code. Prints through `environment` only. */
export async function runCli(argv: readonly string[], environment: CliEnvironment): Promise<number> {
  let code: number = EXIT.ok;
  const program = buildProgram(environment, async (declaration, flags, operands) => {
    code = await runCommand(declaration, flags, operands, environment);
  });
  try {
    await program.parseAsync([...argv], { from: 'user' });
    return code;
  } catch (error) {
    // Commander has printed its own message, with the nearest known flag.
    if (!(error instanceof CommanderError)) environment.stderr(describeError(error));
    return exitCodeOf(error);
  }
}

type Runner = (declaration: CommandDeclaration, flags: Readonly<Record<string, unknown>>, operands: readonly string[]) => Promise<void>;

function buildProgram(environment: CliEnvironment, runner: Runner): Command {
  const program = new Command('n2n')
    .description('Compresses a trained network: searches for a student an order of magnitude smaller at about the same accuracy.')
    .version(VERSION)
    .exitOverride()
    .configureOutput({ writeOut: environment.stdout, writeErr: environment.stderr })
    .showHelpAfterError('(add --help for the flags)');
  const groups = new Map<string, Command>();
  for (const declaration of commands) {
    const [first = '', second] = declaration.name.split(' ');
    const parent = second === undefined ? program : groupOf(program, groups, first);
    const command = parent.command(second ?? first).description(declaration.about);
    for (const { name, about } of declaration.arguments ?? []) command.argument(name, about);
    addSettings(command, { ...declaration.settings, ...common });
    const names = declaration.arguments?.length ?? 0;
    command.action((...parameters: unknown[]) => runner(declaration, command.opts(), parameters.slice(0, names).map(String)));
  }
  return program;
}

function groupOf(program: Command, groups: Map<string, Command>, name: string): Command {
  const group = groups.get(name) ?? program.command(name).description(groupDescriptions[name] ?? '');
  groups.set(name, group);
  return group;
}

async function runCommand(
  declaration: CommandDeclaration,
  flags: Readonly<Record<string, unknown>>,
  operands: readonly string[],
  environment: CliEnvironment,
): Promise<number> {
  const sources: Sources = { flags, environment: environment.variables };
  const { config } = resolveSettings({ config: common.config }, sources);
  const file = config === undefined ? undefined : { path: config, values: await readConfiguration(config) };
  const all: Sources = file === undefined ? sources : { ...sources, file };
  const { json, quiet } = resolveSettings(common, all);
  const context = new Context(environment, { json, quiet });
  try {
    const defaults = 'preset' in declaration.settings ? presetOf(all) : undefined;
    const values = resolveSettings(declaration.settings, defaults === undefined ? all : { ...all, preset: defaults });
    await declaration.run(context, values, operands);
    return EXIT.ok;
  } catch (error) {
    context.output.endProgress();
    environment.stderr(describeError(error));
    return exitCodeOf(error);
  } finally {
    context.output.endProgress();
    context.closeGpu();
  }
}

/** The configuration file's values. A key that no command knows is refused, for it is most likely misspelt. */
async function readConfiguration(path: string): Promise<Record<string, unknown>> {
  let content: unknown;
  try {
    content = JSON.parse(await readFile(path, 'utf8'));
  } catch (error) {
    throw new UsageError(`--config ${path}: ${error instanceof Error ? error.message : String(error)}; it needs a readable JSON file`);
  }
  const parsed = z.record(z.string(), z.unknown()).safeParse(content);
  if (!parsed.success) throw new UsageError(`--config ${path} holds no JSON object; it needs one such as {"epochs": 3}`);
  const known = new Set([...Object.keys(common), ...commands.flatMap(({ settings }) => Object.keys(settings))]);
  const unknown = Object.keys(parsed.data).find((key) => !known.has(key));
  if (unknown !== undefined) throw new UsageError(`--config ${path} has the key "${unknown}"; known are ${[...known].sort().join(', ')}`);
  return parsed.data;
}
