// Child processes of the set-up: what is captured, exit codes, and signals that are passed on.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { describe, expect, it } from 'vitest';
import { exitCodeOf, runCaptured, wasInterrupted } from './run.mjs';

describe('exitCodeOf', () => {
  it('is the code, or 128 + n after signal n', () => {
    expect(exitCodeOf(6, null)).toBe(6);
    expect(exitCodeOf(null, 'SIGINT')).toBe(130);
    expect(exitCodeOf(null, 'SIGTERM')).toBe(143);
  });
});

describe('wasInterrupted', () => {
  it('is true for what was asked to stop, not for what crashed or was killed', () => {
    expect([129, 130, 143].every(wasInterrupted)).toBe(true);
    expect([0, 1, 127, 128, 134, 137, 139].some(wasInterrupted)).toBe(false);
  });
});

describe('runCaptured', () => {
  it('keeps stdout apart from the whole output', async () => {
    const result = await runCaptured(process.execPath, ['-e', 'console.log("out"); console.error("err"); process.exitCode = 3']);
    expect(result.exitCode).toBe(3);
    expect(result.stdout).toBe('out\n');
    expect(result.output).toContain('out\n');
    expect(result.output).toContain('err\n');
  });

  it('does not reject when the command does not exist', async () => {
    const result = await runCaptured('n2n-no-such-command', []);
    expect(result.exitCode).toBe(127);
    expect(result.output).toContain('n2n-no-such-command');
  });
});

describe('runAttached', () => {
  it('passes SIGTERM on and takes over the exit code the child chooses', async () => {
    const child = 'process.on("SIGTERM", () => process.exit(42)); console.log("ready"); setInterval(() => {}, 1000)';
    const parent = `import { runAttached } from ${JSON.stringify(new URL('run.mjs', import.meta.url).href)};
      process.exitCode = await runAttached(process.execPath, ['-e', ${JSON.stringify(child)}]);`;
    const running = spawn(process.execPath, ['--input-type=module', '-e', parent], { stdio: ['ignore', 'pipe', 'inherit'] });
    await once(running.stdout, 'data');
    running.kill('SIGTERM');
    expect(await once(running, 'exit')).toEqual([42, null]);
  });
});
