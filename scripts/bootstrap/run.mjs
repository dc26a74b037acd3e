// Child processes of the set-up: captured ones for steps that stay quiet unless they fail, attached ones that own the
// terminal and whose exit code and signals are passed on.
import { spawn } from 'node:child_process';
import { constants } from 'node:os';

/** A failure of the set-up that is explained to the user and ends with `exitCode` (DESIGN section 9). */
export class SetupError extends Error {
  /**
   * @param {string} message
   * @param {number} exitCode
   */
  constructor(message, exitCode) {
    super(message);
    this.name = 'SetupError';
    this.exitCode = exitCode;
  }
}

/**
 * The exit code that a shell reports for a process which ended like this.
 * @param {number | null} code
 * @param {NodeJS.Signals | null} signal
 */
export function exitCodeOf(code, signal) {
  return signal === null ? (code ?? 1) : 128 + constants.signals[signal];
}

/**
 * Whether a process with this exit code was asked to stop (SIGHUP, SIGINT, SIGTERM). One that crashed (139) or was killed for
 * memory (137) failed.
 * @param {number} exitCode
 */
export const wasInterrupted = (exitCode) => [129, 130, 143].includes(exitCode);

/**
 * Passes signals sent to this process on to the child until it ends, and keeps this process alive meanwhile. An
 * interrupt typed on a terminal reaches the whole process group by itself: sending it again would make it count twice.
 * @param {import('node:child_process').ChildProcess} child
 */
function forwardSignals(child) {
  const onTerminal = [process.stdin, process.stdout, process.stderr].some((stream) => stream.isTTY);
  const interrupt = () => {
    if (!onTerminal) child.kill('SIGINT');
  };
  const terminate = () => child.kill('SIGTERM');
  const hangUp = () => child.kill('SIGHUP');
  process.on('SIGINT', interrupt).on('SIGTERM', terminate).on('SIGHUP', hangUp);
  return () => {
    process.off('SIGINT', interrupt).off('SIGTERM', terminate).off('SIGHUP', hangUp);
  };
}

/**
 * Runs a command with this process's input and output; resolves with its exit code (128 + n after signal n).
 * @param {string} command
 * @param {readonly string[]} args
 * @param {{ cwd?: string }} [options]
 * @returns {Promise<number>}
 */
export function runAttached(command, args, options = {}) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { cwd: options.cwd, stdio: 'inherit' });
    const stopForwarding = forwardSignals(child);
    child.on('error', (error) => {
      stopForwarding();
      reject(error);
    });
    child.on('close', (code, signal) => {
      stopForwarding();
      resolve(exitCodeOf(code, signal));
    });
  });
}

/**
 * Runs a command without input and keeps what it prints; never rejects: a command that cannot be started has exit code
 * 127 and the reason as its output. Interrupting this process ends it with 130 or 143 after the child has gone.
 * @param {string} command
 * @param {readonly string[]} args
 * @param {{ cwd?: string, env?: NodeJS.ProcessEnv }} [options]
 * @returns {Promise<{ exitCode: number, stdout: string, output: string }>} `output` is stdout and stderr as they came
 */
export function runCaptured(command, args, options = {}) {
  return new Promise((resolve) => {
    const child = spawn(command, args, { cwd: options.cwd, env: options.env ?? process.env, stdio: ['ignore', 'pipe', 'pipe'] });
    const stopForwarding = forwardSignals(child);
    let stdout = '';
    let output = '';
    child.stdout.setEncoding('utf8').on('data', (text) => {
      stdout += text;
      output += text;
    });
    child.stderr.setEncoding('utf8').on('data', (text) => (output += text));
    child.on('error', (error) => {
      stopForwarding();
      resolve({ exitCode: 127, stdout, output: `${output}${error.message}\n` });
    });
    child.on('close', (code, signal) => {
      stopForwarding();
      resolve({ exitCode: exitCodeOf(code, signal), stdout, output });
    });
  });
}

/** Says one line about what the set-up does, on stderr: stdout belongs to the command that follows.
 * @param {string} line */
export function say(line) {
  process.stderr.write(`n2n: ${line}\n`);
}
