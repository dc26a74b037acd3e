// A machine without a usable adapter. The driver is hidden from this file's process before the first device is asked for.
import { afterAll, beforeAll, expect, it } from 'vitest';
import { readdir, writeFile } from 'node:fs/promises';
import { n2n, temporaryFolder } from './testing/cli.js';
import { smallSpec, writeIdx } from './testing/data.js';

process.env['VK_DRIVER_FILES'] = '/nonexistent';
process.env['VK_ICD_FILENAMES'] = '/nonexistent';

let folder: Awaited<ReturnType<typeof temporaryFolder>>;
beforeAll(async () => {
  folder = await temporaryFolder();
  await writeIdx(folder.path('data'), { train: 30, test: 9, classes: 3, size: 8 });
  await writeFile(folder.path('small.json'), JSON.stringify(smallSpec(3, 8)));
});
afterAll(() => folder.remove());

it('ends with 4 where a device is needed, and leaves nothing behind', async () => {
  const data = ['--data', folder.path('data'), '--classes', '3', '--batch', '10'];
  const commands = [
    ['train', folder.path('small.json'), ...data, '--out', folder.path('teacher.safetensors')],
    ['quickstart', ...data, '--run', folder.path('runs', 'one'), '--validation', '3', '--subset', '20'],
    ['bench', 'step'],
    ['bench', 'ops'],
  ];
  for (const argv of commands) {
    const { code, stdout, stderr } = await n2n(argv);
    expect(stderr).toMatch(/n2n: no WebGPU adapter: .*mesa-vulkan-drivers.*n2n doctor/);
    expect({ code, stdout }).toEqual({ code: 4, stdout: '' });
  }
  expect((await readdir(folder.path())).sort()).toEqual(['data', 'small.json']);
});

it('lets the doctor report what there is', async () => {
  const { code, stdout, stderr } = await n2n(['doctor', '--json']);
  expect(code).toBe(4);
  expect(stderr).toMatch(/no WebGPU adapter/);
  expect(JSON.parse(stdout)).toMatchObject({ adapter: null, node: process.versions.node });
  expect((await n2n(['doctor'])).stdout).toMatch(/^adapter +none$/m);
});
