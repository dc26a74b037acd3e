// ONNX on the command line: convert, inspect, eval, compress, on a tiny data set.
import { readFile, writeFile } from 'node:fs/promises';
import { loadModel, loadOnnx } from '@n2n/trainer';
import { parameterCount } from '@n2n/trainer/network';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { n2n, n2nJson, temporaryFolder } from './testing/cli.js';
import { smallSpec, writeIdx } from './testing/data.js';

let folder: Awaited<ReturnType<typeof temporaryFolder>>;
let data: string[];
let trained: string;
/** As another tool would write it: batch-norms folded, nothing said of preprocessing. */
let foreign: string;
let accuracy: unknown;

beforeAll(async () => {
  folder = await temporaryFolder();
  data = ['--data', folder.path('data'), '--classes', '3'];
  trained = folder.path('trained.safetensors');
  foreign = folder.path('foreign.onnx');
  await writeIdx(folder.path('data'), { train: 300, test: 90, classes: 3, size: 8 });
  await writeFile(folder.path('small.json'), JSON.stringify(smallSpec(3, 8)));
  ({ accuracy } = await n2nJson(['train', folder.path('small.json'), ...data, '--epochs', '3', '--batch', '20', '--out', trained]));
  await n2nJson(['convert', trained, foreign, '--fold']);
  const bytes = await readFile(foreign);
  for (let at = bytes.indexOf('n2n.preprocessing'); at >= 0; at = bytes.indexOf('n2n.preprocessing')) bytes.write('x', at);
  await writeFile(foreign, bytes);
}, 120_000);
afterAll(() => folder.remove());

describe('convert', () => {
  it('goes to ONNX and back without a change', async () => {
    const [onnx, back] = [folder.path('trained.onnx'), folder.path('back.safetensors')];
    expect(await n2nJson(['convert', trained, onnx])).toMatchObject({ file: onnx, format: 'onnx' });
    await n2nJson(['convert', onnx, back]);
    const [before, after] = [await loadModel(trained), await loadModel(back)];
    expect({ ...after, training: before.training }).toEqual(before);
    expect(await n2nJson(['inspect', onnx])).toEqual(await n2nJson(['inspect', trained]));
    expect(await n2nJson(['eval', onnx, ...data])).toEqual(await n2nJson(['eval', trained, ...data]));
  });

  it('wants to know how pixels become inputs', async () => {
    const { code, stderr } = await n2n(['convert', foreign, folder.path('x.safetensors')]);
    expect(code).toBe(2);
    expect(stderr).toMatch(/foreign.onnx does not say how pixels become inputs; give --mean and --std/);
    await n2nJson(['convert', foreign, folder.path('x.safetensors'), '--mean', '0.25', '--std', '0.5']);
    expect((await loadModel(folder.path('x.safetensors'))).preprocessing).toEqual({ mean: [0.25], std: [0.5] });
  });

  it.each([
    [['trained.safetensors', 'out.pt'], 2, /out.pt: has an unknown ending; a model file ends in .safetensors or .onnx/],
    [['trained.safetensors', 'trained.safetensors'], 2, /is the file that is read/],
    [['trained.safetensors', 'y.safetensors', '--fold'], 2, /--fold is for .onnx files/],
    [['small.json', 'y.onnx'], 3, /small.json: has an unknown ending/],
    [['missing.onnx', 'y.safetensors'], 3, /missing.onnx: does not exist; an .onnx file is needed/],
    [['data/t10k-labels-idx1-ubyte', 'y.onnx'], 3, /unknown ending/],
  ])('refuses %j', async ([from = '', to = '', ...flags], wanted, message) => {
    const { code, stdout, stderr } = await n2n(['convert', folder.path(from), folder.path(to), ...flags]);
    expect({ code, stdout }).toEqual({ code: wanted, stdout: '' });
    expect(stderr).toMatch(message);
  });
});

describe('eval', () => {
  it("takes a foreign model's preprocessing from the flags, or from the data set and says so", async () => {
    const { mean, std } = (await loadModel(trained)).preprocessing;
    const flags = ['--mean', mean.join(','), '--std', std.join(',')];
    const stated = await n2n(['eval', foreign, ...data, ...flags, '--json']);
    expect(stated.stderr).toBe('');
    expect((JSON.parse(stated.stdout) as { accuracy: number }).accuracy).toBeCloseTo(Number(accuracy), 2);
    const taken = await n2n(['eval', foreign, ...data, '--json']);
    expect(taken.stderr).toMatch(
      /foreign.onnx: does not say how pixels become inputs; taking --mean \S+ --std \S+ from the training images of /,
    );
    expect(JSON.parse(taken.stdout)).toEqual(JSON.parse(stated.stdout));
    const half = await n2n(['eval', foreign, ...data, '--mean', '0', '--json']);
    expect(half.stderr).toMatch(/taking --std \S+ from/);
  });

  it('shows on a terminal how far it is', async () => {
    const { stderr } = await n2n(['eval', trained, ...data], { terminal: true });
    expect(stderr).toMatch(/evaluating: 0 %/);
    expect(stderr.endsWith('\r\u001b[2K')).toBe(true);
  });

  it('names the node that it cannot read', async () => {
    const bytes = await readFile(foreign);
    bytes.write('Sinh', bytes.indexOf('Relu'));
    await writeFile(folder.path('sinh.onnx'), bytes);
    const { code, stdout, stderr } = await n2n(['eval', folder.path('sinh.onnx'), ...data]);
    expect({ code, stdout }).toEqual({ code: 3, stdout: '' });
    expect(stderr).toMatch(/sinh.onnx: node "relu2" \(Sinh\): n2n does not know this operator; it reads Add, /);
  });
});

describe('compress', () => {
  let result: Record<string, Record<string, unknown>>;
  let said: string;
  const run = (): string => folder.path('run');

  beforeAll(async () => {
    const search = ['--updates', '2', '--rollouts', '3', '--epochs', '1', '--cohort', '2', '--subset', '120', '--validation', '60'];
    const final = ['--final-epochs', '2', '--batch', '20', '--learning-rate', '0.005', '--seed', '5', '--run', run()];
    const { code, stdout, stderr } = await n2n(['compress', foreign, ...data, ...search, ...final, '--json']);
    if (code !== 0) throw new Error(stderr);
    said = stderr;
    result = JSON.parse(stdout) as typeof result;
  }, 120_000);

  it('gives the students of a folded teacher batch-norms, and the teacher its function', async () => {
    const teacher = await loadModel(folder.path('run', 'teacher.safetensors'));
    const original = await loadModel(trained);
    expect(teacher.spec.nodes.map(({ type }) => type)).toEqual(original.spec.nodes.map(({ type }) => type));
    expect(said).toMatch(/teacher: 3 convolutions have no batch-norm/);
    expect(result['teacher']!['params']).toBe(parameterCount(original.spec));
    expect(result['teacher']!['accuracy']).toBeCloseTo(Number(accuracy), 2);
  });

  it('writes the student as ONNX, folded, which evaluates to the same', async () => {
    const [safetensors, onnx] = ['student.safetensors', 'student.onnx'].map((name) => folder.path('run', 'best', name)) as [string, string];
    expect(result['student']!['files']).toMatchObject([
      { path: safetensors },
      { format: 'onnx', path: onnx, bytes: (await readFile(onnx)).length },
    ]);
    const student = await loadOnnx(onnx);
    expect(student.preprocessing).toEqual((await loadModel(safetensors)).preprocessing);
    expect(student.spec.nodes.some(({ type }) => type === 'batch-norm')).toBe(false);
    const [ours, theirs] = [await n2nJson(['eval', safetensors, ...data]), await n2nJson(['eval', onnx, ...data])];
    expect(theirs['accuracy']).toBeCloseTo(Number(ours['accuracy']), 2);
    expect(theirs['loss']).toBeCloseTo(Number(ours['loss']), 4);
  });

  it('says where the file for other tools is', async () => {
    const { stdout } = await n2n(['resume', run()]);
    expect(stdout).toContain(`for other tools: ${folder.path('run', 'best', 'student.onnx')}\n`);
  });
});
