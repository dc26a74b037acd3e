// The runtime directory: private, made once, and never one that somebody else prepared.
import { chmodSync, mkdirSync, mkdtempSync, rmSync, statSync, symlinkSync } from 'node:fs';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ensureRuntimeDirectory } from './environment.mjs';

let parent = '';
beforeEach(() => {
  parent = mkdtempSync(join(tmpdir(), 'n2n-environment-'));
});
afterEach(() => rmSync(parent, { recursive: true, force: true }));

/** What the function chooses for an environment without the variable. */
const chosen = () => {
  const environment: NodeJS.ProcessEnv = {};
  ensureRuntimeDirectory(environment, parent);
  return environment['XDG_RUNTIME_DIR'] ?? '';
};
const usual = () => join(parent, `n2n-runtime-${userInfo().uid}`);

describe('ensureRuntimeDirectory', () => {
  it('makes a directory of this user only, and the same one the next time', () => {
    expect(chosen()).toBe(usual());
    expect(statSync(usual()).mode & 0o777).toBe(0o700);
    expect(chosen()).toBe(usual());
  });

  it('keeps the one that is set', () => {
    const environment = { XDG_RUNTIME_DIR: '/run/user/1' };
    ensureRuntimeDirectory(environment, parent);
    expect(environment).toEqual({ XDG_RUNTIME_DIR: '/run/user/1' });
  });

  it('closes a directory that was open to others', () => {
    mkdirSync(usual());
    chmodSync(usual(), 0o777);
    expect(chosen()).toBe(usual());
    expect(statSync(usual()).mode & 0o777).toBe(0o700);
  });

  it('does not follow a link put in its place', () => {
    const elsewhere = join(parent, 'elsewhere');
    mkdirSync(elsewhere);
    symlinkSync(elsewhere, usual());
    const path = chosen();
    expect(path).not.toBe(usual());
    expect(statSync(path).mode & 0o777).toBe(0o700);
  });
});
