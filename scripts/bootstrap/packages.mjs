// The npm packages: installed from the lock file, without install scripts, when what lies in node_modules is not what
// the lock file asks for. npm itself keeps the stamp: node_modules/.package-lock.json, written when an install is
// complete, lists what was installed.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { runCaptured, say, SetupError, wasInterrupted } from './run.mjs';

/**
 * @typedef {{ version?: string, integrity?: string, link?: boolean, optional?: boolean, devOptional?: boolean }} LockEntry
 * @typedef {{ packages?: Record<string, LockEntry> }} Lock
 */

/**
 * The first package that differs between the lock file and an installation, as a reason to install; undefined when
 * they agree. Optional packages (those for other platforms) may be missing; extra packages do no harm.
 * @param {Lock} wanted package-lock.json
 * @param {Lock | undefined} installed node_modules/.package-lock.json
 * @returns {string | undefined}
 */
export function staleReason(wanted, installed) {
  if (installed === undefined) return 'nothing is installed yet';
  for (const [path, entry] of Object.entries(wanted.packages ?? {})) {
    // Only the hidden lock's own places: the root and the workspaces' folders are sources, not installed packages.
    if (!/(^|\/)node_modules\//.test(path)) continue;
    const found = installed.packages?.[path];
    const name = path.replace(/^.*node_modules\//, '');
    if (found === undefined) {
      if (entry.optional || entry.devOptional) continue;
      return `${name} is not installed`;
    }
    if (found.version !== entry.version) return `${name} is ${found.version}, the lock file asks for ${entry.version}`;
    if (found.integrity !== entry.integrity) return `${name} differs from the lock file's checksum`;
  }
  return undefined;
}

/**
 * @param {string} path
 * @returns {Lock | undefined} undefined when there is no such file or it is not JSON (an interrupted write)
 */
function readLock(path) {
  try {
    return JSON.parse(readFileSync(path, 'utf8'));
  } catch {
    return undefined;
  }
}

/**
 * The command that runs npm: the one that started this process, else the one on the PATH.
 * @param {NodeJS.ProcessEnv} environment
 * @returns {[string, string[]]}
 */
export function npmCommand(environment) {
  const path = environment['npm_execpath'];
  return path?.endsWith('npm-cli.js') ? [process.execPath, [path]] : ['npm', []];
}

/**
 * @param {string} root the folder with package.json and its lock file: the repository, or the engines it is compared with
 * @param {string} [what] what is installed, for the one line that says so
 */
export async function installPackages(root, what = 'the npm packages of the lock file') {
  const wanted = readLock(join(root, 'package-lock.json'));
  if (wanted === undefined) throw new SetupError('package-lock.json is missing or not JSON: check the files out again', 2);
  const reason = staleReason(wanted, readLock(join(root, 'node_modules/.package-lock.json')));
  if (reason === undefined) return;
  say(`installing ${what}, without install scripts (${reason})`);
  const [command, first] = npmCommand(process.env);
  // The tools that build and test are development dependencies: NODE_ENV=production must not leave them out.
  const args = [...first, 'ci', '--ignore-scripts', '--include=dev', '--no-audit', '--no-fund', '--no-progress', '--loglevel=error'];
  const result = await runCaptured(command, args, { cwd: root });
  if (result.exitCode === 0) return;
  process.stderr.write(result.output);
  if (wasInterrupted(result.exitCode)) throw new SetupError('interrupted while installing the npm packages', result.exitCode);
  throw new SetupError(
    'npm could not install the packages of the lock file (its output is above). n2n needs them once: check that npm reaches its registry, then run the same command again',
    1,
  );
}
