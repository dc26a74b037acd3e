// The configuration file: spellings, sections, mistakes, and the experiments that come with the project.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { zooSpec } from '@n2n/trainer/network';
import type { CommandDeclaration } from '../command.js';
import { commands } from '../commands/index.js';
import { n2n, temporaryFolder } from '../testing/cli.js';
import { writeIdx } from '../testing/data.js';
import { readConfiguration } from './file.js';
import { resolveSettings } from './setting.js';

let folder: Awaited<ReturnType<typeof temporaryFolder>>;
beforeAll(async () => {
  folder = await temporaryFolder();
});
afterAll(() => folder.remove());

const command = (name: string): CommandDeclaration => commands.find((each) => each.name === name)!;

async function read(text: string, name = 'train'): Promise<Readonly<Record<string, unknown>>> {
  const path = folder.path('file.yaml');
  await writeFile(path, text);
  return (await readConfiguration(path, command(name), commands)).values;
}

describe('a configuration file', () => {
  it("is YAML in either spelling of a flag's name; a section is for its command and wins", async () => {
    const text = 'epochs: 2\nlearning-rate: 0.5 # high\ntrain:\n  arch: lenet5\n  epochs: 7\ncompress:\n  stages: [removal]\n';
    expect(await read(text)).toEqual({ epochs: 7, learningRate: 0.5, arch: 'lenet5' });
    const compress = await read(text, 'compress');
    expect(compress).toEqual({ epochs: 2, learningRate: 0.5, stages: ['removal'] });
    const { settings } = command('compress');
    expect(resolveSettings(settings, { flags: {}, environment: {}, file: { path: 'f', values: compress } })).toMatchObject({
      stages: ['removal'],
      epochs: 2,
    });
  });

  it.each([
    ['epoch: 3', /has the unknown key "epoch" \(did you mean "epochs"\?\)/],
    ['compres:\n  epochs: 3', /has the unknown key "compres" \(did you mean "compress"\?\)/],
    ['compress:\n  rollout: 3', /the section "compress" of .* has the unknown key "rollout" \(did you mean "rollouts"\?\)/],
    ['train:\n  rollouts: 3', /the section "train" of .* has the unknown key "rollouts"/],
    ['learning-rate: 1\nlearningRate: 2', /"learningRate" twice/],
    ['epochs: [1', /needs a readable YAML or JSON file/],
    ['- 1', /holds no keys with values/],
  ])('refuses %j', async (text, message) => {
    await expect(read(text)).rejects.toThrow(message);
  });
});

describe('--print-config', () => {
  it('shows each value and where it came from, and needs no argument that the file gives', async () => {
    const file = folder.path('run.yaml');
    await writeFile(file, 'train:\n  arch: lenet5\n  batch: 8\n');
    await writeIdx(folder.path('data'), { train: 20, test: 10, classes: 10, size: 28 });
    const argv = ['train', '--config', file, '--data', folder.path('data'), '--print-config', '--out', folder.path('x.safetensors')];
    const { code, stdout } = await n2n([...argv, '--json'], { variables: { N2N_EPOCHS: '3' } });
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({
      arch: 'lenet5',
      batch: 8,
      epochs: 3,
      origins: { arch: `file ${file}`, batch: `file ${file}`, epochs: 'variable N2N_EPOCHS', data: 'flag --data', seed: 'default' },
    });
    const text = await n2n(argv);
    expect(text.stdout).toMatch(/setting +value +from/);
    expect(text.stdout).toMatch(/seed +1 +default/);
    const bare = await n2n(['train']);
    expect(bare.code).toBe(2);
    expect(bare.stderr).toMatch(/n2n train: got no <arch>; it needs one after the command, or as "arch"/);
  });
});

const experiments = fileURLToPath(new URL('../../../../experiments', import.meta.url));

describe.each((await readdir(experiments)).filter((name) => name.endsWith('.yaml')))('experiments/%s', (name) => {
  it('trains and compresses one network with settings that exist', async () => {
    const [train, compress] = await Promise.all(
      ['train', 'compress'].map(async (each) => {
        const file = await readConfiguration(join(experiments, name), command(each), commands);
        const values = resolveSettings(command(each).settings, { flags: {}, environment: {}, file });
        return { ...file.values, ...values };
      }),
    );
    expect(zooSpec(String(train!['arch']), { channels: 3, height: 32, width: 32, classes: 10 }).nodes.length).toBeGreaterThan(5);
    expect(compress!['teacher']).toBe(train!['out']);
    expect(compress!['validation']).toBe(train!['validation']);
    expect(compress!['data']).toBe(train!['data']);
    expect(compress!['run']).toBe(`runs/${name.replace('.yaml', '')}`);
  });
});
