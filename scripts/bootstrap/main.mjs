// The steps of the set-up, in order, each skipped when there is nothing to do; then the command.
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { ensureAdapter } from './adapter.mjs';
import { build } from './build.mjs';
import { checkAndTest } from './checks.mjs';
import { ensureRuntimeDirectory, silenceTelemetry } from './environment.mjs';
import { installPackages } from './packages.mjs';
import { runAttached, say, SetupError } from './run.mjs';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));

/** @type {Record<string, (args: readonly string[]) => Promise<number>>} */
const COMMANDS = {
  start: (args) => n2n(['quickstart', ...args]),
  test: (args) => checkAndTest(ROOT, args),
  bench: (args) => n2n(['bench', 'all', ...args]),
  async 'bench:peers'(args) {
    await installPackages(
      join(ROOT, 'benchmarks/peers'),
      'TensorFlow.js, jax-js and onnxruntime (700 MB) in benchmarks/peers, for this command only',
    );
    return n2n(['bench', 'peers', ...args]);
  },
};

/** @param {readonly string[]} args */
const n2n = (args) => runAttached(process.execPath, [join(ROOT, 'packages/cli/bin/n2n.js'), ...args]);

/** @param {readonly string[]} argv the command and its arguments */
async function bootstrap([name = '', ...args]) {
  const command = Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : undefined;
  if (command === undefined) {
    const names = Object.keys(COMMANDS);
    throw new SetupError(
      `bootstrap got "${name}", it needs one of ${names.join(', ')} (${names.map((one) => `npm run ${one}`).join(', ')})`,
      2,
    );
  }
  ensureRuntimeDirectory(process.env);
  silenceTelemetry(process.env);
  await installPackages(ROOT);
  await ensureAdapter();
  await build(ROOT);
  return command(args);
}

try {
  process.exitCode = await bootstrap(process.argv.slice(2));
} catch (error) {
  if (!(error instanceof SetupError)) throw error;
  say(error.message);
  process.exitCode = error.exitCode;
}
