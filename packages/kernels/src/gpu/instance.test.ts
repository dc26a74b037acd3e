// What the Dawn instance is asked for, and the runtime directory: private, and never one that somebody else prepared.
import { chmodSync, mkdirSync, mkdtempSync, rmSync, statSync, symlinkSync } from 'node:fs';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { provideRuntimeDirectory, wantedAdapter } from './instance.js';

describe('wantedAdapter', () => {
  it('is the software adapter for cpu, unless a name is given', () => {
    expect(wantedAdapter({ prefer: 'cpu' })).toBe('llvmpipe');
    expect(wantedAdapter({ prefer: 'cpu', adapter: 'SwiftShader' })).toBe('SwiftShader');
    expect(wantedAdapter({ prefer: 'gpu' })).toBeUndefined();
    expect(wantedAdapter({})).toBeUndefined();
  });
});

describe.runIf(process.platform === 'linux')('provideRuntimeDirectory', () => {
  let parent = '';
  beforeEach(() => {
    parent = mkdtempSync(join(tmpdir(), 'n2n-instance-'));
  });
  afterEach(() => rmSync(parent, { recursive: true, force: true }));

  const chosen = (set?: string): string => {
    const environment: NodeJS.ProcessEnv = set === undefined ? {} : { XDG_RUNTIME_DIR: set };
    provideRuntimeDirectory(environment, parent);
    return environment['XDG_RUNTIME_DIR'] ?? '';
  };
  const usual = (): string => join(parent, `n2n-runtime-${userInfo().uid}`);
  const mode = (path: string): number => statSync(path).mode & 0o777;

  it('keeps the one that is set, and takes an empty one for none', () => {
    expect(chosen('/run/user/1')).toBe('/run/user/1');
    expect(chosen('')).toBe(usual());
  });

  it('makes a directory of this user only, and closes one that was open to others', () => {
    expect(chosen()).toBe(usual());
    expect(mode(usual())).toBe(0o700);
    chmodSync(usual(), 0o777);
    expect(chosen()).toBe(usual());
    expect(mode(usual())).toBe(0o700);
  });

  it('neither follows nor opens up a link put in its place', () => {
    const elsewhere = join(parent, 'elsewhere');
    mkdirSync(elsewhere, { mode: 0o755 });
    symlinkSync(elsewhere, usual());
    const path = chosen();
    expect(path).not.toBe(usual());
    expect(mode(path)).toBe(0o700);
    expect(mode(elsewhere)).toBe(0o755);
  });
});
