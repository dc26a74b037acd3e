// Image folders and TARs from the command line: the flags that say what their images become, on every command that reads data.
import { execFile } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { n2n, n2nJson, temporaryFolder } from './testing/cli.js';
import { smallSpec, writeImageFolder } from './testing/data.js';

let folder: Awaited<ReturnType<typeof temporaryFolder>>;
beforeAll(async () => {
  folder = await temporaryFolder();
  await writeImageFolder(folder.path('pets'), { train: 60, test: 12, classes: 3, size: 20 });
  const tar = (argv: string[]): Promise<unknown> => promisify(execFile)('tar', argv);
  await tar(['-cf', folder.path('pets.tar'), '-C', folder.path('pets'), 'train', 'test']);
  await tar(['-czf', folder.path('undivided.tgz'), '-C', folder.path('pets', 'train'), 'a', 'b', 'c']);
});
afterAll(() => folder.remove());

const inspect = (data: string, ...flags: string[]): Promise<Record<string, unknown>> =>
  n2nJson(['inspect', 'plain-5', '--data', folder.path(data), ...flags]);

describe.each(['pets', 'pets.tar', 'undivided.tgz'])('%s', (data) => {
  it('has as many classes as folders, and images of the size and colour asked for', async () => {
    expect(await inspect(data)).toMatchObject({ classes: 3, input: { channels: 3, height: 32, width: 32 } });
    expect(await inspect(data, '--image-size', '24')).toMatchObject({ input: { channels: 3, height: 24, width: 24 } });
    const grey = await inspect(data, '--image-size', '24x40', '--image-color', 'grey');
    expect(grey).toMatchObject({ input: { channels: 1, height: 24, width: 40 } });
  });
});

it('trains on a folder and evaluates on the TAR of it: the same images, the same figures', { timeout: 120_000 }, async () => {
  const small = ['--image-size', '16'];
  await writeFile(folder.path('small.json'), JSON.stringify(smallSpec(3, 16, 3)));
  const model = folder.path('small.safetensors');
  const flags = ['--epochs', '6', '--batch', '10', '--learning-rate', '0.05', '--out', model];
  const trained = await n2nJson(['train', folder.path('small.json'), '--data', folder.path('pets'), ...small, ...flags]);
  expect(trained).toMatchObject({ samples: 12 });
  expect(trained['accuracy']).toBeGreaterThan(0.6);
  const evaluated = await n2nJson(['eval', model, '--data', folder.path('pets.tar'), ...small]);
  expect(evaluated).toEqual({ accuracy: trained['accuracy'], loss: trained['loss'], samples: 12 });
  // A fifth of the 20 images of each class, or what --test-share says.
  const share = async (...more: string[]): Promise<unknown> =>
    (await n2nJson(['eval', model, '--data', folder.path('undivided.tgz'), ...small, ...more]))['samples'];
  expect(await share()).toBe(12);
  expect(await share('--test-share', '0.5')).toBe(30);
  expect(await share('--test-share', '0.5', '--split', 'train')).toBe(30);
  // Which images those are follows from --split-seed: another one, another loss.
  const loss = async (seed: string): Promise<unknown> =>
    (await n2nJson(['eval', model, '--data', folder.path('undivided.tgz'), ...small, '--split-seed', seed]))['loss'];
  expect(await loss('2')).toBe(await loss('2'));
  expect(await loss('2')).not.toBe(await loss('3'));
});

it('takes the flags from variables and from the configuration file', async () => {
  const argv = ['inspect', 'plain-5', '--data', folder.path('pets')];
  const variables = { N2N_IMAGE_SIZE: '24', N2N_IMAGE_COLOR: 'grey' };
  expect(await n2nJson(argv, { variables })).toMatchObject({ input: { channels: 1, height: 24 } });
  await writeFile(folder.path('images.yaml'), 'image-size: 28x20\n');
  expect(await n2nJson([...argv, '--config', folder.path('images.yaml')])).toMatchObject({ input: { channels: 3, height: 28, width: 20 } });
});

it.each([
  [2, ['--image-size', '0'], /--image-size got "0"; it needs a side from 1 to 1024 such as 64, or height x width such as 48x64/],
  [2, ['--image-size', '2000'], /--image-size got "2000"/],
  [2, ['--image-color', 'cmyk'], /--image-color got "cmyk"; it needs one of rgb, grey/],
  [2, ['--test-share', '0'], /--test-share got "0"; it needs a number of at least 0\.01 and at most 0\.9/],
  [2, ['--split-seed', '-1'], /--split-seed got "-1"/],
] as const)('refuses with %i: %j', async (code, flags, message) => {
  const refused = await n2n(['inspect', 'plain-5', '--data', folder.path('pets'), ...flags]);
  expect(refused).toMatchObject({ code, stdout: '' });
  expect(refused.stderr).toMatch(message);
});

it('refuses a network for other sizes with 2, and folders with a loose or empty class with 3', async () => {
  await writeFile(folder.path('other.json'), JSON.stringify(smallSpec(3, 16, 3)));
  const other = await n2n(['inspect', folder.path('other.json'), '--data', folder.path('pets')]);
  expect(other.code).toBe(2);
  expect(other.stderr).toMatch(/takes images of 3x16x16 in 3 classes, but the data set "pets" has images of 3x32x32 in 3 classes/);
  await writeImageFolder(folder.path('loose'), { train: 6, test: 3, classes: 3, size: 4 });
  await writeFile(folder.path('loose', 'train', 'stray.png'), '');
  const loose = await n2n(['inspect', 'plain-5', '--data', folder.path('loose')]);
  expect(loose.code).toBe(3);
  expect(loose.stderr).toMatch(/stray\.png: lies in no class's folder/);
  await writeImageFolder(folder.path('torn'), { train: 6, test: 3, classes: 3, size: 4 });
  await writeFile(folder.path('torn', 'train', 'a', '0.png'), 'no image');
  const torn = await n2n(['inspect', 'plain-5', '--data', folder.path('torn')]);
  expect(torn.code).toBe(3);
  expect(torn.stderr).toMatch(/train\/a\/0\.png: /);
});
