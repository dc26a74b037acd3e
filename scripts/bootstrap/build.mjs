// The build: turbo runs it for what changed and says nothing otherwise.
import { join } from 'node:path';
import { runCaptured, SetupError, wasInterrupted } from './run.mjs';

/** @param {string} root the repository */
export async function build(root) {
  const result = await runCaptured(join(root, 'node_modules/.bin/turbo'), ['run', 'build', '--output-logs=errors-only'], { cwd: root });
  if (result.exitCode === 0) return;
  process.stderr.write(result.output);
  if (wasInterrupted(result.exitCode)) throw new SetupError('interrupted while building', result.exitCode);
  throw new SetupError('the build failed (its output is above)', 1);
}
