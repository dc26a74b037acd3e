// n2n tune: the file it keeps, who follows it, what is refused of it; the choices that a run records.
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Context } from './context.js';
import { UsageError } from './errors.js';
import type { RunRecord } from './run/record.js';
import { sameChoices } from './run/same.js';
import { n2n, n2nJson, temporaryFolder } from './testing/cli.js';
import { choicesSha256, tuningFolder, tuningPath, type Tuning } from './tuning/store.js';
import { wideSpeed } from './tuning/wide.js';

const folder = await temporaryFolder();
afterAll(folder.remove);

const small = 'linear/forward/b64 i64 o16';
const variables = { XDG_CACHE_HOME: folder.path('cache') };

/** Opens the device as a command does, and says what it follows and what it noted. */
async function opened(given: NodeJS.ProcessEnv = variables): Promise<{ choices: unknown; notes: string }> {
  let notes = '';
  const streams = { stdout: () => {}, stderr: (text: string) => void (notes += text), terminal: false, columns: 80, color: false };
  const environment = { ...streams, variables: given, signal: new AbortController().signal };
  const context = new Context(environment, { json: false, quiet: false });
  try {
    const { choices } = await context.openGpu('any');
    return { choices, notes };
  } finally {
    context.closeGpu();
  }
}

describe('a tuning', () => {
  let file = '';
  let kept: Tuning;
  let document: Record<string, unknown>;
  beforeAll(async () => {
    document = await n2nJson(['tune', '--filter', small, '--no-wide'], { variables });
    file = document['file'] as string;
    kept = JSON.parse(await readFile(file, 'utf8')) as Tuning;
  });

  it('is one whole file in the cache directory, which doctor tells of', async () => {
    expect(document).toMatchObject({ wide: null, left: [], choices: kept.choices, results: [{ name: small }] });
    expect(await readdir(dirname(file))).toHaveLength(1);
    expect(dirname(file)).toBe(folder.path('cache', 'n2n', 'tune'));
    expect(kept.cases).toHaveLength(1);
    const doctor = await n2n(['doctor'], { variables });
    expect(doctor.stdout).toMatch(/tuning {5}of 20\S+: 1 classes of shapes, [01] with another kernel/);
    expect((await n2n(['doctor'])).stdout).toContain('tuning     none');
  });

  it('is followed by later commands, and by no others', async () => {
    await writeFile(file, JSON.stringify({ ...kept, choices: { [small]: 'plain' } }));
    expect(await opened()).toEqual({ choices: { [small]: 'plain' }, notes: '' });
    expect(await opened({})).toEqual({ choices: {}, notes: '' });
  });

  it.each([
    ['torn', (text: string) => text.slice(0, -20), /ignored: .*JSON/],
    ['of another form', () => '{"format":1}', /ignored: "adapter"/],
    ['of another version', (text: string) => text.replace(/"n2n":"[^"]+"/, '"n2n":"9.9.9"'), /of another adapter or version/],
    ['with an unknown variant', (text: string) => text.replace('"choices":{}', `"choices":{"${small}":"gone"}`), /no variant "gone"/],
  ])('is ignored with one note when it is %s', async (_, damage, message) => {
    await writeFile(file, damage(JSON.stringify({ ...kept, choices: {} })));
    const { choices, notes } = await opened();
    expect(choices).toEqual({});
    expect(notes).toMatch(message);
    expect(notes).toContain(file);
    expect(notes.split('\n')).toHaveLength(2);
  });

  it('goes on from what is there, and prints what it chose', async () => {
    const other = { ...kept.cases[0]!, name: 'linear/forward/b16 i64 o16', builtIn: 'subgroup', chosen: 'plain' };
    await writeFile(file, JSON.stringify({ ...kept, cases: [other] }));
    const { code, stdout } = await n2n(['tune', '--filter', small, '--no-wide'], { variables });
    expect(code).toBe(0);
    expect(stdout).toMatch(/linear\/forward\/b64 i64 o16 {2}\S+.* plain [\d.]+/);
    expect(stdout).toContain(`kept in ${file}`);
    const { cases, choices } = JSON.parse(await readFile(file, 'utf8')) as Tuning;
    expect(cases.map(({ name }) => name)).toEqual([other.name, small]);
    expect(choices).toMatchObject({ [other.name]: 'plain' });
  });

  it('is refused without a place to keep it, and for a class that is none', async () => {
    expect(await n2n(['tune', '--filter', small])).toMatchObject({ code: 2, stdout: '', stderr: expect.stringMatching(/XDG_CACHE_HOME/) });
    expect(await n2n(['tune', '--filter', 'pool'])).toMatchObject({ code: 2, stderr: expect.stringMatching(/--filter got "pool"/) });
    expect((await n2n(['tune', '--filter', small, '--no-save', '--time-limit', '1', '--no-wide'])).code).toBe(0);
  });

  it('has its place by the variables, and a name by adapter, driver and version', () => {
    expect(tuningFolder({ HOME: '/home/a' })).toBe('/home/a/.cache/n2n/tune');
    expect(tuningFolder({ HOME: '/home/a', XDG_CACHE_HOME: 'relative' })).toBe('/home/a/.cache/n2n/tune');
    expect(tuningFolder({ HOME: '/home/a', XDG_CACHE_HOME: '/c' })).toBe('/c/n2n/tune');
    expect(tuningFolder({})).toBeUndefined();
    const one = { vendor: 'v', architecture: '', device: 'llvmpipe (LLVM 15, 256 bits)', description: 'driver 1', software: true };
    const path = tuningPath('/t', one);
    expect(path).toMatch(/^\/t\/llvmpipe-llvm-15-256-bits-[0-9a-f]{12}\.json$/);
    expect(tuningPath('/t', { ...one, description: 'driver 2' })).not.toBe(path);
  });
});

describe('vectors of 512 bits', () => {
  const rated = (name: string, gflops: number | null) => ({ name, chosen: 'a', variants: [{ variant: 'a', gflops }] });

  it('are compared by the geometric mean over the classes measured both ways', () => {
    const here = [rated('x', 10), rated('y', 10), rated('z', null), rated('w', 1)];
    expect(wideSpeed(here, [rated('x', 20), rated('y', 5), rated('z', 5), rated('other', 9)])).toEqual({ cases: 2, speed: 1 });
    expect(wideSpeed(here, [rated('x', 5)])).toEqual({ cases: 1, speed: 0.5 });
    expect(wideSpeed(here, [])).toBeNull();
  });

  it('are measured in a process of their own, with the variable set', async () => {
    const script = folder.path('self.mjs');
    await mkdir(dirname(script), { recursive: true });
    await writeFile(
      script,
      `const wide = process.env.LP_NATIVE_VECTOR_WIDTH === '512' && process.argv.includes('--no-save') && process.argv.includes('--no-wide');
       const variants = [{ variant: 'a', gflops: wide ? 1e9 : null }];
       console.log(JSON.stringify({ results: [{ name: '${small}', chosen: 'a', variants }] }));`,
    );
    const flags = ['tune', '--filter', small, '--no-save'];
    const { stdout, stderr } = await n2n(flags, { self: [process.execPath, script] });
    if (!stdout.includes('llvmpipe')) return; // no other adapter has the mode
    expect(stdout).toMatch(/with vectors of 512 bits: \d+x as fast, over 1 classes/);
    expect(stderr).toMatch(/set LP_NATIVE_VECTOR_WIDTH=512 and run n2n tune again/);
    const broken = await n2n(flags, { self: [process.execPath, folder.path('none.mjs')] });
    expect(broken).toMatchObject({ code: 0, stderr: expect.stringMatching(/512-bit mode could not be measured/) });
  });
});

describe('the choices of a run', () => {
  const record = (choices: Record<string, string>, sha256 = choicesSha256(choices)): RunRecord =>
    ({ kernels: { choices, sha256 } }) as unknown as RunRecord;

  it('are what it goes on with', () => {
    expect(sameChoices('r', record({ [small]: 'plain' }))).toEqual({ [small]: 'plain' });
    expect(sameChoices('r', {} as RunRecord)).toEqual({});
    expect(choicesSha256({ a: 'x', b: 'y' })).toBe(choicesSha256({ b: 'y', a: 'x' }));
  });

  it('are refused by name when they were changed or are gone', () => {
    expect(() => sameChoices('r', record({ [small]: 'plain' }, choicesSha256({})))).toThrow(
      /choices of kernels in r\/run\.json have changed/,
    );
    expect(() => sameChoices('r', record({ [small]: 'gone' }))).toThrow(UsageError);
    expect(() => sameChoices('r', record({ [small]: 'gone' }))).toThrow(/b64 i64 o16: no variant "gone"/);
  });
});
