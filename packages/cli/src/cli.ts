// Builds the program from the commands' declarations, runs one, and turns whatever it throws into a paragraph and an exit code.
import { Command, CommanderError } from 'commander';
import type { CommandDeclaration } from './command.js';
import { commands, groupDescriptions } from './commands/index.js';
import { Context, type CliEnvironment } from './context.js';
import { describeError, EXIT, exitCodeOf, UsageError } from './errors.js';
import { readConfiguration, type ConfigurationFile } from './settings/file.js';
import { presetOf } from './settings/presets.js';
import { addSettings, originsOf, resolveSettings, type Sources } from './settings/setting.js';
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

type Operands = readonly (string | undefined)[];
type Runner = (declaration: CommandDeclaration, flags: Readonly<Record<string, unknown>>, operands: Operands) => Promise<void>;

const operandsOf = (parameters: readonly unknown[]): Operands => parameters.map((value) => (typeof value === 'string' ? value : undefined));

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
    for (const { name, about, key } of declaration.arguments ?? []) {
      command.argument(key === undefined ? name : name.replace('<', '[').replace('>', ']'), about);
    }
    addSettings(command, { ...declaration.settings, ...common });
    const names = declaration.arguments?.length ?? 0;
    command.action((...parameters: unknown[]) => runner(declaration, command.opts(), operandsOf(parameters.slice(0, names))));
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
  operands: Operands,
  environment: CliEnvironment,
): Promise<number> {
  const sources: Sources = { flags, environment: environment.variables };
  const { config } = resolveSettings({ config: common.config }, sources);
  const file = config === undefined ? undefined : await readConfiguration(config, declaration, commands);
  const all: Sources = file === undefined ? sources : { ...sources, file };
  const { json, quiet, deviceMemory } = resolveSettings(common, all);
  const given = completed(declaration, operands, file);
  const defaults = 'preset' in declaration.settings ? presetOf(all) : undefined;
  const resolved: Sources = defaults === undefined ? all : { ...all, preset: defaults };
  const origins = new Map([...originsOf(declaration.settings, resolved), ...given.origins]);
  const context = new Context(environment, { json, quiet }, { origins, imageBytes: (deviceMemory ?? Infinity) * 2 ** 20 });
  try {
    const values = resolveSettings(declaration.settings, resolved);
    await declaration.run(context, values, given.values);
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

/** The arguments, those left out as the configuration file has them. Throws UsageError. */
function completed(
  { name: command, arguments: declared = [] }: CommandDeclaration,
  operands: Operands,
  file: ConfigurationFile | undefined,
): { readonly values: readonly string[]; readonly origins: ReadonlyMap<string, string> } {
  const origins = new Map<string, string>();
  const values = declared.map(({ name, key }, i) => {
    const stored = key === undefined ? undefined : file?.values[key];
    const value = operands[i] ?? (typeof stored === 'string' ? stored : undefined);
    if (value === undefined) {
      throw new UsageError(`n2n ${command}: got no ${name}; it needs one after the command, or as "${key}" in a --config file`);
    }
    if (key !== undefined) origins.set(key, operands[i] === undefined ? `file ${file?.path}` : 'argument');
    return value;
  });
  return { values, origins };
}
