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

/** @param {readonly string[]} argv the command and its arguments */
async function bootstrap([command, ...args]) {
  if (command !== 'start' && command !== 'test')
    throw new SetupError(`bootstrap got "${command ?? ''}", it needs "start" or "test" (npm start, npm test)`, 2);
  ensureRuntimeDirectory(process.env);
  silenceTelemetry(process.env);
  await installPackages(ROOT);
  await ensureAdapter();
  await build(ROOT);
  return command === 'start'
    ? runAttached(process.execPath, [join(ROOT, 'packages/cli/bin/n2n.js'), 'quickstart', ...args])
    : checkAndTest(ROOT, args);
}

try {
  process.exitCode = await bootstrap(process.argv.slice(2));
} catch (error) {
  if (!(error instanceof SetupError)) throw error;
  say(error.message);
  process.exitCode = error.exitCode;
}
