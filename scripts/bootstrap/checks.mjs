// `npm test`: the fast checks, then the tests, then one closing line with how many of both passed and failed.
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { npmCommand } from './packages.mjs';
import { runAttached, say } from './run.mjs';

/** The checks beside the tests: npm scripts of the root package. */
const CHECKS = ['lint', 'format:check', 'typecheck', 'knip'];

/**
 * @typedef {{ passed: number, failed: number, skipped: number }} Counts
 * @typedef {{ status?: string, assertionResults?: readonly { status: string }[] }} FileResult
 */

/**
 * Counts the tests of a vitest JSON report. A file that failed without a failed test in it (it could not be loaded, a
 * hook threw) counts as one failure, and so does a run that ended badly without any (an unhandled error, a crash).
 * @param {{ testResults?: readonly FileResult[] } | undefined} report undefined: the run left none
 * @param {number} exitCode of the run
 * @returns {Counts}
 */
export function countTests(report, exitCode) {
  const counts = { passed: 0, failed: 0, skipped: 0 };
  for (const file of report?.testResults ?? []) {
    const statuses = (file.assertionResults ?? []).map((test) => test.status);
    const failed = statuses.filter((status) => status === 'failed').length;
    const passed = statuses.filter((status) => status === 'passed').length;
    counts.failed += failed === 0 && file.status === 'failed' ? 1 : failed;
    counts.passed += passed;
    counts.skipped += statuses.length - failed - passed;
  }
  if (counts.failed === 0 && exitCode !== 0) counts.failed = 1;
  return counts;
}

/**
 * @param {string} path
 * @returns {{ testResults?: readonly FileResult[] } | undefined}
 */
function readReport(path) {
  try {
    return JSON.parse(readFileSync(path, 'utf8'));
  } catch {
    return undefined;
  }
}

/**
 * @param {string} root
 * @param {readonly string[]} args for vitest
 */
async function runTests(root, args) {
  const directory = mkdtempSync(join(tmpdir(), 'n2n-test-'));
  try {
    const report = join(directory, 'report.json');
    const reporters = ['--reporter=default', '--reporter=json', `--outputFile.json=${report}`];
    const exitCode = await runAttached(join(root, 'node_modules/.bin/vitest'), ['run', ...reporters, ...args], { cwd: root });
    return { exitCode, counts: countTests(readReport(report), exitCode) };
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

/**
 * Runs the checks and the tests; with arguments (file names, `-t name`) only those tests.
 * @param {string} root
 * @param {readonly string[]} args
 * @returns {Promise<number>} the exit code
 */
export async function checkAndTest(root, args) {
  /** @type {string[]} */
  const failedChecks = [];
  const checks = args.length === 0 ? CHECKS : [];
  const [npm, first] = npmCommand(process.env);
  for (const check of checks) {
    const exitCode = await runAttached(npm, [...first, 'run', '--silent', check], { cwd: root });
    if (exitCode > 128) return exitCode;
    say(`${check}: ${exitCode === 0 ? 'passed' : 'FAILED'}`);
    if (exitCode !== 0) failedChecks.push(check);
  }
  const { exitCode, counts } = await runTests(root, args);
  if (exitCode > 128) return exitCode;
  const failed = counts.failed + failedChecks.length;
  if (failedChecks.length > 0) process.stdout.write(`Failed checks: ${failedChecks.join(', ')} (each can be run alone: npm run NAME)\n`);
  if (counts.skipped > 0) process.stdout.write(`${counts.skipped} skipped\n`);
  process.stdout.write(`${counts.passed + checks.length - failedChecks.length} passed, ${failed} failed\n`);
  return failed > 0 ? 1 : exitCode;
}
