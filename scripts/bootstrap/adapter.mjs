// Looks for a WebGPU adapter and installs the software driver where there is none.
import { fileURLToPath } from 'node:url';
import { installDriver } from './driver.mjs';
import { runCaptured, SetupError, wasInterrupted } from './run.mjs';

const PROBE = fileURLToPath(new URL('probe-adapter.mjs', import.meta.url));

/**
 * Asks in a child process: a broken driver may abort it, and a new driver is only seen by a new process.
 * @returns {Promise<boolean>}
 */
async function adapterFound() {
  const { exitCode, stdout, output } = await runCaptured(process.execPath, [PROBE]);
  const line = stdout.trim().split('\n').at(-1) ?? '';
  if (wasInterrupted(exitCode)) throw new SetupError('interrupted while looking for an adapter', exitCode);
  // Aborted by a driver: as good as no adapter.
  if (exitCode !== 0 || !line.startsWith('{')) return false;
  const answer = JSON.parse(line);
  // The binding itself does not load (an old glibc, an architecture without a build): no driver would help.
  if (answer.error !== undefined)
    throw new SetupError(
      `no usable WebGPU adapter: the npm package webgpu does not work on this machine (${answer.error}). It needs x64 or arm64 with glibc of Debian 12, Ubuntu 22.04 or newer, macOS or Windows.\n${output}`,
      4,
    );
  return answer.adapter !== null;
}

/** Resolves when an adapter is there; throws a SetupError with exit code 4 where that is impossible. */
export async function ensureAdapter() {
  if (!(await adapterFound())) await installDriver(adapterFound);
}
