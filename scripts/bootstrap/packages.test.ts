// When the packages are installed again, and with which npm.
import { describe, expect, it } from 'vitest';
import { npmCommand, staleReason } from './packages.mjs';

const wanted = {
  packages: {
    '': { version: '0.1.0' },
    'packages/kernels': { version: '0.1.0' },
    'node_modules/@n2n/kernels': { link: true },
    'node_modules/zod': { version: '4.0.0', integrity: 'sha512-a' },
    'node_modules/@turbo/darwin-64': { version: '2.0.0', integrity: 'sha512-b', optional: true },
  },
};
const installed = { packages: { 'node_modules/@n2n/kernels': { link: true }, 'node_modules/zod': wanted.packages['node_modules/zod'] } };

/** @param zod what is installed in zod's place */
const withZod = (zod: { version: string; integrity: string }) => ({ packages: { ...installed.packages, 'node_modules/zod': zod } });

describe('staleReason', () => {
  it('finds nothing to do when all but other platforms’ packages are there', () => {
    expect(staleReason(wanted, installed)).toBeUndefined();
  });

  it('does not mind packages that are there besides', () => {
    expect(staleReason(wanted, { packages: { ...installed.packages, 'node_modules/extra': { version: '1.0.0' } } })).toBeUndefined();
  });

  it('asks for an install when nothing is there or it was interrupted', () => {
    expect(staleReason(wanted, undefined)).toMatch(/nothing is installed/);
    expect(staleReason(wanted, {})).toMatch(/@n2n\/kernels is not installed/);
  });

  it('names the package that is missing, of another version or of another checksum', () => {
    expect(staleReason(wanted, { packages: { 'node_modules/@n2n/kernels': { link: true } } })).toBe('zod is not installed');
    expect(staleReason(wanted, withZod({ version: '3.9.0', integrity: 'sha512-a' }))).toBe('zod is 3.9.0, the lock file asks for 4.0.0');
    expect(staleReason(wanted, withZod({ version: '4.0.0', integrity: 'sha512-z' }))).toMatch(/checksum/);
  });
});

describe('npmCommand', () => {
  it('prefers the npm that started the process', () => {
    expect(npmCommand({ npm_execpath: '/usr/lib/npm/bin/npm-cli.js' })).toEqual([process.execPath, ['/usr/lib/npm/bin/npm-cli.js']]);
  });

  it('does not run another package manager’s program as npm', () => {
    expect(npmCommand({ npm_execpath: '/usr/lib/yarn/bin/yarn.js' })).toEqual(['npm', []]);
    expect(npmCommand({})).toEqual(['npm', []]);
  });
});
