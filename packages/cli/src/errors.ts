// What can go wrong on the command line, and the one table from errors to exit codes (README.md lists them).
import { ConfigurationError, JournalError, SnapshotError } from '@n2n/agent';
import { AdapterError, DeviceLostError, DeviceMemoryError } from '@n2n/kernels';
import { DataError, DivergedError, FileWriteError, ModelFileError, SelectionError } from '@n2n/trainer';
import { SpecError } from '@n2n/trainer/network';
import { CommanderError } from 'commander';

/** A flag, a variable or a combination of them that makes no sense. Exit code 2. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}

/** A file that exists but cannot be what it was given for. Exit code 3. */
export class InputError extends Error {
  override readonly name = 'InputError';
}

/** The work was done and its aim not reached: no candidate was smaller, none held the constraints. Exit code 6. */
export class GoalError extends Error {
  override readonly name = 'GoalError';
}

/** A benchmark became slower. Exit code 7. */
export class RegressionError extends Error {
  override readonly name = 'RegressionError';
}

/** A run directory that exists already, or that another process is using. Exit code 8. */
export class RunInUseError extends Error {
  override readonly name = 'RunInUseError';
}

/** The user or the system asked the process to stop. Exit code 128 + the signal's number. */
export class InterruptedError extends Error {
  override readonly name = 'InterruptedError';
  constructor(
    readonly signalName: 'SIGINT' | 'SIGTERM',
    message = `stopped by ${signalName}`,
  ) {
    super(message);
  }
}

export const EXIT = {
  ok: 0,
  unexpected: 1,
  usage: 2,
  badInput: 3,
  noAdapter: 4,
  device: 5,
  goalNotReached: 6,
  regression: 7,
  inUse: 8,
} as const;

type ErrorClass = abstract new (...parameters: never[]) => Error;

/** First match wins. A SpecError that came from a file arrives wrapped in an InputError or a ModelFileError. */
const EXIT_CODES: readonly (readonly [ErrorClass, number])[] = [
  [UsageError, EXIT.usage],
  [SelectionError, EXIT.usage],
  [SpecError, EXIT.usage],
  [ConfigurationError, EXIT.usage],
  [FileWriteError, EXIT.usage],
  [InputError, EXIT.badInput],
  [DataError, EXIT.badInput],
  [ModelFileError, EXIT.badInput],
  [JournalError, EXIT.badInput],
  [SnapshotError, EXIT.badInput],
  [AdapterError, EXIT.noAdapter],
  [DeviceLostError, EXIT.device],
  [DeviceMemoryError, EXIT.device],
  [GoalError, EXIT.goalNotReached],
  [DivergedError, EXIT.goalNotReached],
  [RegressionError, EXIT.regression],
  [RunInUseError, EXIT.inUse],
];

/** The exit code of what a command threw. */
export function exitCodeOf(error: unknown): number {
  if (error instanceof InterruptedError) return error.signalName === 'SIGINT' ? 130 : 143;
  if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.ok : EXIT.usage;
  return EXIT_CODES.find(([type]) => error instanceof type)?.[1] ?? EXIT.unexpected;
}

/** The error as one paragraph. An unexpected one keeps its stack: it is a defect, and the stack is what to report. */
export function describeError(error: unknown): string {
  if (!(error instanceof Error)) return `n2n: unexpected failure: ${String(error)}\n`;
  if (exitCodeOf(error) !== EXIT.unexpected) return `n2n: ${error.message.replaceAll(/\s*\n\s*/g, ' ')}\n`;
  return `n2n: unexpected failure, please report it: ${error.stack ?? error.message}\n`;
}
