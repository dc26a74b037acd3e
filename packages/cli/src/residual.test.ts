// A residual teacher through both stages: the widths that an addition joins stay equal whatever is removed or shrunk.
import { afterAll, beforeAll, expect, it } from 'vitest';
import { readdir, readFile } from 'node:fs/promises';
import { n2nJson, temporaryFolder } from './testing/cli.js';
import { writeCifar10 } from './testing/data.js';

let folder: Awaited<ReturnType<typeof temporaryFolder>>;
beforeAll(async () => {
  folder = await temporaryFolder();
  await writeCifar10(folder.path('cifar'), 20);
});
afterAll(() => folder.remove());

it('compresses resnet18 at an eighth of its width on CIFAR-10 files', { timeout: 300_000 }, async () => {
  const data = ['--data', folder.path('cifar')];
  const teacher = folder.path('resnet.safetensors');
  const augmentation = ['--crop-padding', '4', '--flip'];
  const trained = await n2nJson(['train', 'resnet18@0.125', ...data, ...augmentation, '--epochs', '1', '--batch', '20', '--out', teacher]);
  expect(trained).toMatchObject({ name: 'resnet18@0.125', samples: 20 });
  const budget = [
    '--updates',
    '2',
    '--rollouts',
    '3',
    '--epochs',
    '1',
    '--subset',
    '40',
    '--validation',
    '20',
    '--batch',
    '20',
    '--views',
    '2',
  ];
  const result = await n2nJson([
    'compress',
    teacher,
    ...data,
    ...augmentation,
    ...budget,
    '--final-epochs',
    '1',
    '--run',
    folder.path('run'),
  ]);
  expect(result['compression']).toBeGreaterThan(1);
  const students = await readdir(folder.path('run', 'students'));
  expect(students.length).toBeGreaterThanOrEqual(3);
  const joined: number[] = [];
  for (const name of students) {
    const { nodes } = JSON.parse(await readFile(folder.path('run', 'students', name), 'utf8')) as { nodes: { type: string }[] };
    joined.push(nodes.filter(({ type }) => type === 'add').length);
    await n2nJson(['inspect', folder.path('run', 'students', name)]);
  }
  expect(Math.max(...joined)).toBeGreaterThan(0);
});
