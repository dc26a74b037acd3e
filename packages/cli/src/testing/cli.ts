// Runs command lines inside the test's process, on the sources.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { runCli } from '../cli.js';
import type { CliEnvironment } from '../context.js';

export interface CliResult {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs `n2n ...argv` with the given parts of the environment in place of empty ones. */
export async function n2n(argv: readonly string[], environment: Partial<CliEnvironment> = {}): Promise<CliResult> {
  let stdout = '';
  let stderr = '';
  const code = await runCli(argv, {
    stdout: (text) => void (stdout += text),
    stderr: (text) => void (stderr += text),
    terminal: false,
    columns: 80,
    color: false,
    variables: {},
    signal: new AbortController().signal,
    ...environment,
  });
  return { code, stdout, stderr };
}

/** The JSON document of a command that must succeed. */
export async function n2nJson(argv: readonly string[], environment: Partial<CliEnvironment> = {}): Promise<Record<string, unknown>> {
  const { code, stdout, stderr } = await n2n([...argv, '--json'], environment);
  if (code !== 0) throw new Error(`n2n ${argv.join(' ')} ended with ${code}: ${stderr}`);
  return JSON.parse(stdout) as Record<string, unknown>;
}

/** A new empty folder, and how to remove it. */
export async function temporaryFolder(): Promise<{ path: (...names: string[]) => string; remove: () => Promise<void> }> {
  const folder = await mkdtemp(join(tmpdir(), 'n2n-cli-'));
  return { path: (...names) => join(folder, ...names), remove: () => rm(folder, { recursive: true, force: true }) };
}
