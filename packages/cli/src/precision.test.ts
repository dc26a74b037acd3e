// --precision mixed on the command line: train, compress and resume; what is recorded, and what is refused.
import { readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { openDevice } from '@n2n/kernels';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { n2n, n2nJson, temporaryFolder } from './testing/cli.js';
import { smallSpec, writeIdx } from './testing/data.js';

let folder: Awaited<ReturnType<typeof temporaryFolder>>;
let data: string[];
const path = (...names: string[]): string => folder.path(...names);
const short = ['--updates', '1', '--rollouts', '2', '--epochs', '1', '--final-epochs', '2', '--subset', '80', '--validation', '60'];
const train = (name: string): string[] => {
  const out = path(`${name}.safetensors`);
  return ['train', path('small.json'), ...data, '--epochs', '3', '--batch', '20', '--out', out];
};
const compress = (run: string): string[] => {
  const rates = ['--batch', '20', '--learning-rate', '0.005'];
  return ['compress', path('full.safetensors'), ...data, ...short, ...rates, '--run', path(run)];
};
const mixed = ['--precision', 'mixed'];

beforeAll(async () => {
  folder = await temporaryFolder();
  data = ['--data', path('data'), '--classes', '3'];
  await writeIdx(path('data'), { train: 180, test: 60, classes: 3, size: 8 });
  await writeFile(path('small.json'), JSON.stringify(smallSpec(3, 8)));
});
afterAll(() => folder.remove());

it('trains about as well in mixed precision, and reports the loss scale', async () => {
  const full = await n2nJson(train('full'));
  const half = await n2nJson([...train('half'), ...mixed]);
  expect(full).toMatchObject({ precision: 'f32', lossScale: null });
  expect(half).toMatchObject({ precision: 'mixed', lossScale: { scale: 2 ** 16, skippedSteps: 0 } });
  expect(half['accuracy']).toBeGreaterThanOrEqual(Number(full['accuracy']) - 0.05);
  expect(await readFile(path('half.safetensors'))).not.toEqual(await readFile(path('full.safetensors')));
});

it('searches and trains the student in it, and resumes to the same bits', async () => {
  await writeFile(path('mixed.yaml'), 'precision: mixed\n');
  const result = await n2nJson([...compress('run'), '--config', path('mixed.yaml')]);
  expect(result).toMatchObject({ precision: 'mixed', skippedSteps: 0 });
  expect(result['pipelinesCompiledAtLastCandidate']).toBe(result['pipelinesCompiledAtFirstCandidate']);
  const journal = await readFile(path('run', 'journal.jsonl'), 'utf8');
  const outcomes = journal
    .trimEnd()
    .split('\n')
    .map((line) => (JSON.parse(line) as { event: { type: string } }).event)
    .filter(({ type }) => type === 'outcome');
  expect(outcomes.length).toBeGreaterThan(0);
  for (const outcome of outcomes) expect(outcome).toMatchObject({ skippedSteps: 0 });
  const student = await readFile(path('run', 'best', 'student.safetensors'));
  await rm(path('run', 'result.json'));
  await rm(path('run', 'best', 'student.safetensors'));
  expect(await n2nJson(['resume', path('run')])).toMatchObject({ precision: 'mixed', skippedSteps: 0 });
  expect(await readFile(path('run', 'best', 'student.safetensors'))).toEqual(student);
  await n2nJson(compress('full'));
  expect(await readFile(path('full', 'best', 'student.safetensors'))).not.toEqual(student);
});

it('is not mixed with another precision on the way', async () => {
  const record = await readFile(path('run', 'run.json'), 'utf8');
  expect(JSON.parse(record)).toMatchObject({ configuration: { precision: 'mixed' } });
  await writeFile(path('run', 'run.json'), record.replace('"precision": "mixed"', '"precision": "f32"'));
  expect(await n2n(['resume', path('run')])).toMatchObject({
    code: 2,
    stderr: expect.stringMatching(/the configuration in .*run.json has changed since the run began/),
  });
});

it('ends with 4 on an adapter without shader-f16, and leaves nothing behind', async () => {
  const before = await readdir(path());
  const open = async (...options: Parameters<typeof openDevice>): ReturnType<typeof openDevice> => {
    const gpu = await openDevice(...options);
    return Object.defineProperty(gpu, 'traits', { value: { ...gpu.traits, f16: false } });
  };
  for (const command of [train('none'), compress('none')]) {
    expect(await n2n([...command, ...mixed], { open })).toMatchObject({
      code: 4,
      stdout: '',
      stderr: expect.stringMatching(/n2n: mixed precision needs .*\(shader-f16\), which .* does not offer; use f32, or another adapter/),
    });
  }
  expect(await readdir(path())).toEqual(before);
});

it('refuses other precisions', async () => {
  expect(await n2n([...train('none'), '--precision', 'f16'])).toMatchObject({
    code: 2,
    stderr: expect.stringMatching(/--precision got "f16"; it needs one of f32, mixed/),
  });
});
