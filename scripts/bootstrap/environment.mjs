// The environment that the steps run in: a private XDG_RUNTIME_DIR (Mesa's software Vulkan driver complains at each
// start without one) and no telemetry from the build tool.
import { chmodSync, lstatSync, mkdirSync, mkdtempSync } from 'node:fs';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';

/**
 * Sets XDG_RUNTIME_DIR in `environment` when it is missing: a directory of this user only (mode 0700) under the
 * system's temporary directory.
 * @param {NodeJS.ProcessEnv} environment
 * @param {string} [parent] where the directory is made
 */
export function ensureRuntimeDirectory(environment, parent = tmpdir()) {
  if (environment['XDG_RUNTIME_DIR'] || process.platform === 'win32') return;
  const { uid } = userInfo();
  const wanted = join(parent, `n2n-runtime-${uid}`);
  try {
    mkdirSync(wanted, { mode: 0o700 });
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'EEXIST')) throw error;
  }
  // The name is guessable in a directory that others write to: a link or somebody else's directory is not used.
  const found = lstatSync(wanted);
  const ours = found.isDirectory() && found.uid === uid;
  if (ours) chmodSync(wanted, 0o700);
  environment['XDG_RUNTIME_DIR'] = ours ? wanted : mkdtempSync(`${wanted}-`);
}

/** @param {NodeJS.ProcessEnv} environment */
export function silenceTelemetry(environment) {
  environment['TURBO_TELEMETRY_DISABLED'] = '1';
  environment['DO_NOT_TRACK'] = '1';
}
