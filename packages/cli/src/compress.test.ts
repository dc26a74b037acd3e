// Runs from beginning to end on a tiny data set: train, compress, eval, and going on after an interruption.
import { rmSync } from 'node:fs';
import { cp, mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { openDevice, type Gpu } from '@n2n/kernels';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { InterruptedError } from './errors.js';
import { n2n, n2nJson, temporaryFolder } from './testing/cli.js';
import { smallSpec, writeIdx } from './testing/data.js';

let folder: Awaited<ReturnType<typeof temporaryFolder>>;
let data: string[];
let teacher: string;
let trained: Record<string, unknown>;
/** The first run; the others are held against it. */
let result: Record<string, unknown>;

const budget = ['--updates', '2', '--rollouts', '3', '--epochs', '1', '--cohort', '2', '--subset', '120', '--validation', '60'];
const final = ['--final-epochs', '2', '--batch', '20', '--learning-rate', '0.005', '--seed', '5'];
const compress = (run: string): string[] => ['compress', teacher, ...data, ...budget, ...final, '--run', folder.path(run)];

beforeAll(async () => {
  folder = await temporaryFolder();
  data = ['--data', folder.path('data'), '--classes', '3'];
  teacher = folder.path('teacher.safetensors');
  await writeIdx(folder.path('data'), { train: 300, test: 90, classes: 3, size: 8 });
  await writeFile(folder.path('small.json'), JSON.stringify(smallSpec(3, 8)));
  trained = await n2nJson(['train', folder.path('small.json'), ...data, '--epochs', '3', '--batch', '20', '--out', teacher]);
  result = await n2nJson(compress('first'));
}, 300_000);
afterAll(() => folder.remove());

/** The journal without the fields that depend on the clock. */
async function journal(run: string): Promise<unknown[]> {
  const text = await readFile(folder.path(run, 'journal.jsonl'), 'utf8');
  return text
    .trimEnd()
    .split('\n')
    .map((line) => ({ ...(JSON.parse(line) as object), time: undefined }));
}
interface OutcomeRecord {
  readonly type: string;
  readonly steps?: number;
  readonly rungs?: readonly { readonly steps: number; readonly accuracy: number }[];
}
const events = async (run: string): Promise<OutcomeRecord[]> =>
  (await journal(run)).map((record) => (record as { event: OutcomeRecord }).event);
const student = (run: string): Promise<Buffer> => readFile(folder.path(run, 'best', 'student.safetensors'));

/** What has to be the same, bit for bit, in two runs of one configuration. */
const essence = async (run: string): Promise<unknown> => ({
  journal: await journal(run),
  student: (await student(run)).toString('base64'),
});

describe('compress', () => {
  it('reports teacher and student in the fields of the contract', () => {
    const numbers = { params: expect.any(Number), macs: expect.any(Number), accuracy: expect.any(Number), latencyMs: expect.any(Number) };
    expect(result).toMatchObject({
      run: folder.path('first'),
      seed: 5,
      teacher: numbers,
      student: numbers,
      adapter: { device: expect.any(String) },
    });
    const { teacher: large, student: small, compression, candidates, counts } = result as Record<string, Record<string, number>>;
    expect(compression).toBe(large!['params']! / small!['params']!);
    expect(compression).toBeGreaterThan(1);
    expect(candidates).toBe(counts!['trained']);
    expect(counts!['sampled']).toBe(2 * 2 * 3);
    expect(small!['latencyMs']).toBeGreaterThan(0);
  });

  it('reports the candidates that no other one beats', async () => {
    type Figures = Record<string, number>;
    const { speed, students } = result['pareto'] as { speed: string; students: Figures[] };
    expect(speed).toBe('macs');
    expect(students.length).toBeGreaterThan(0);
    const outcomes = ((await journal('first')) as { event: Figures & { type: string } }[])
      .map(({ event }) => event)
      .filter(({ type }) => type === 'outcome');
    for (const one of students) {
      expect(outcomes.find(({ hash }) => hash === one['hash'])).toMatchObject({ params: one['params'], accuracy: one['accuracy'] });
    }
    const most = Math.max(...outcomes.map(({ accuracy }) => accuracy!));
    expect(students.some(({ accuracy }) => accuracy === most)).toBe(true);
    expect(students[0]!['params']).toBe(Math.min(...outcomes.map(({ params }) => params!)));
  });

  it('compiles nothing between the first and the last candidate', () => {
    const { pipelinesCompiledAtFirstCandidate: first, pipelinesCompiledAtLastCandidate: last, pipelinesCompiled } = result;
    expect(first).toBeGreaterThan(0);
    expect(last).toBe(first);
    expect(pipelinesCompiled).toBeGreaterThanOrEqual(Number(last));
  });

  it('writes the run directory, and frees its lock', async () => {
    const files = ['best', 'journal.jsonl', 'result.json', 'run.json', 'state.msgpack', 'students', 'teacher.safetensors'];
    expect((await readdir(folder.path('first'))).sort()).toEqual(files);
    expect(JSON.parse(await readFile(folder.path('first', 'result.json'), 'utf8'))).toEqual(result);
    expect(await readdir(folder.path('first', 'students'))).toHaveLength(Number(result['candidates']));
    expect(await readFile(folder.path('first', 'teacher.safetensors'))).toEqual(await readFile(teacher));
  });

  it("evaluates the student's file to the run's accuracy", async () => {
    const file = folder.path('first', 'best', 'student.safetensors');
    const evaluated = await n2nJson(['eval', file, ...data]);
    const { accuracy, loss } = result['student'] as Record<string, number>;
    expect(evaluated).toEqual({ accuracy, loss, samples: 90 });
    const train = await n2nJson(['eval', file, ...data, '--split', 'train']);
    expect(train['samples']).toBe(300);
    // Black images for the network: it cannot tell them apart.
    const blind = await n2nJson(['eval', file, ...data, '--std', '1e9']);
    expect(blind['accuracy']).toBeCloseTo(1 / 3, 5);
  });

  it('comes to the same journal and the same student from the same seed, whatever trains side by side', async () => {
    const again = await n2nJson([...compress('second'), '--cohort', '3']);
    expect(await essence('second')).toEqual(await essence('first'));
    expect(again['student']).toMatchObject({ accuracy: (result['student'] as Record<string, unknown>)['accuracy'] });
    await n2nJson([...compress('other'), '--seed', '6']);
    expect(await journal('other')).not.toEqual(await journal('first'));
  });

  it('comes to them as well with its images streamed', async () => {
    await n2nJson([...compress('streamed'), '--device-memory', '0']);
    expect(await essence('streamed')).toEqual(await essence('first'));
  });

  it('holds a run against controls at equal budget', async () => {
    await n2nJson(compress('held'));
    const searched = JSON.parse(await readFile(folder.path('held', 'result.json'), 'utf8')) as Record<string, Record<string, number>>;
    const { teacher: large, student: small } = searched;
    for (const control of ['random', 'uniform', 'l1']) {
      const { control: name, params: size, candidates, files } = await n2nJson(['baseline', control, folder.path('held')]);
      expect(name).toBe(control);
      expect(candidates).toBe(control === 'random' ? searched['candidates'] : 0);
      expect(size).toBeLessThanOrEqual(control === 'random' ? large!['params']! - 1 : small!['params']!);
      const [{ path }] = files as [{ path: string }];
      const evaluated = await n2nJson(['eval', path, ...data]);
      const { controls } = JSON.parse(await readFile(folder.path('held', 'result.json'), 'utf8')) as {
        controls: Record<string, unknown>[];
      };
      expect(controls.at(-1)).toMatchObject({ control, accuracy: evaluated['accuracy'] });
    }
    const { code, stdout } = await n2n(['resume', folder.path('held')]);
    expect(code).toBe(0);
    expect(stdout).toMatch(/this search[\s\S]*random search[\s\S]*uniform width scaling[\s\S]*L1 channel pruning/);
    expect(await n2n(['baseline', 'best', folder.path('held')])).toMatchObject({ code: 2, stdout: '' });
  });

  it('trains several finalists fully and keeps the best on validation', async () => {
    const { student: kept } = (await n2nJson([...compress('finalists'), '--top', '3'])) as { student: Record<string, unknown> };
    const outcomes = (await events('finalists')).filter(({ type }) => type === 'outcome') as unknown as {
      hash: string;
      params: number;
      accuracy: number;
    }[];
    expect(outcomes.map(({ hash }) => hash)).toContain(kept['hash']);
    expect(await journal('finalists')).toEqual(await journal('first'));
    // The first finalist is the run's only one without --top, trained to the same bits.
    const { student: single, teacher: large } = result as Record<string, Record<string, number>>;
    const merit = ({ params, validationAccuracy }: Record<string, unknown>): number =>
      (1 - (Number(params) / large!['params']!) ** 2) * Number(validationAccuracy);
    expect(merit(kept)).toBeGreaterThanOrEqual(merit(single!));
  });

  it('runs several seeds, each as if alone, with their mean and spread', async () => {
    const { seeds, spread } = (await n2nJson([...compress('many'), '--seeds', '2'])) as {
      seeds: { seed: number; student: { params: number } }[];
      spread: Record<string, { mean: number; deviation: number }>;
    };
    expect(seeds.map(({ seed }) => seed)).toEqual([5, 6]);
    expect(await essence('many-seed5')).toEqual(await essence('first'));
    const [a, b] = seeds.map(({ student: { params } }) => params) as [number, number];
    expect(spread['params']!.mean).toBe((a + b) / 2);
    expect(spread['params']!.deviation).toBeCloseTo(Math.abs(a - b) / Math.SQRT2, 6);
    expect(await n2n([...compress('many'), '--seeds', '2'])).toMatchObject({ code: 8, stdout: '' });
  });

  it('compares the ranking by short training with that by full training', async () => {
    const short = ['--students', '3', '--epochs', '1', '--subset', '120', '--validation', '60', '--batch', '20'];
    const document = await n2nJson(['bench', 'ranking', folder.path('teacher.safetensors'), ...data, ...short, '--final-epochs', '3']);
    const { results, accuracy, seconds } = document as {
      results: { params: number; cheap: { accuracy: number }; full: { accuracy: number } }[];
      accuracy: { spearman: number; regret: number };
      seconds: { cheap: number; full: number };
    };
    expect(results).toHaveLength(3);
    // Three epochs of all images, against one of less than half of them.
    expect(seconds.full).toBeGreaterThan(seconds.cheap);
    const best = Math.max(...results.map(({ cheap }) => cheap.accuracy));
    const chosen = results.find(({ cheap }) => cheap.accuracy === best)!;
    expect(accuracy.regret).toBe(Math.max(...results.map(({ full }) => full.accuracy)) - chosen.full.accuracy);
  });

  it('writes down at which rung a student stopped', async () => {
    await n2nJson([...compress('halving'), '--halving', '2', '--epochs', '4', '--stages', 'removal', '--updates', '1']);
    const outcomes = (await events('halving')).filter(({ type, rungs }) => type === 'outcome' && rungs !== undefined);
    // Of a cohort of 2 one goes on; one that is alone is trained to the end.
    expect(new Set(outcomes.map(({ steps }) => steps))).toEqual(new Set([12, 24]));
    for (const { rungs } of outcomes) expect(rungs).toEqual([{ steps: 12, accuracy: expect.any(Number) }]);
  });

  it('takes all candidates of an update as one cohort, and measures the rungs on a part', async () => {
    const flags = ['--halving', '3', '--rung-images', '20', '--epochs', '4', '--stages', 'removal', '--updates', '1', '--rollouts', '6'];
    await n2nJson([...compress('auto'), ...flags, '--cohort', 'auto']);
    const outcomes = (await events('auto')).filter(({ type }) => type === 'outcome');
    expect(outcomes.length).toBeGreaterThan(3);
    // Of all of them a third is left by the rung before the last, and then one, which alone is trained to the end.
    expect(outcomes.filter(({ steps }) => steps === 24)).toHaveLength(1);
    const part = outcomes.flatMap(({ rungs }) => (rungs ?? []).map(({ accuracy }) => accuracy * 20));
    expect(part.length).toBeGreaterThan(outcomes.length);
    for (const correct of part) expect(correct).toBeCloseTo(Math.round(correct), 5);
  });

  it('refuses a run directory that exists, and leaves it alone', async () => {
    const before = await readdir(folder.path('first'));
    const { code, stdout, stderr } = await n2n(compress('first'));
    expect({ code, stdout }).toEqual({ code: 8, stdout: '' });
    expect(stderr).toMatch(/run directory .*first exists; go on with it by n2n resume/);
    expect(await readdir(folder.path('first'))).toEqual(before);
  });

  it('refuses bad constraints and flags before it makes a directory', async () => {
    for (const flags of [
      ['--constraint', 'size<=3'],
      ['--views', '2'],
      ['--batch', '121'],
      ['--validation', '300'],
      ['--subset', '1000'],
    ]) {
      expect(await n2n([...compress('none'), ...flags])).toMatchObject({ code: 2, stdout: '' });
    }
    expect(await readdir(folder.path())).not.toContain('none');
  });

  it('leaves nothing behind when the teacher is of no use', async () => {
    // Every label is another one than the teacher learned.
    await cp(folder.path('data'), folder.path('shifted'), { recursive: true });
    const labels = folder.path('shifted', 'train-labels-idx1-ubyte');
    const bytes = await readFile(labels);
    for (let i = 8; i < bytes.length; i++) bytes[i] = (bytes[i]! + 1) % 3;
    await writeFile(labels, bytes);
    const { code, stderr } = await n2n([...compress('useless'), '--data', folder.path('shifted')]);
    expect(stderr).toMatch(/the teacher's accuracy is 0;/);
    expect(code).toBe(2);
    expect(await readdir(folder.path())).not.toContain('useless');
  });

  it('ends with 6 and the nearest miss when a constraint cannot be kept', async () => {
    const { code, stdout, stderr } = await n2n([...compress('missed'), '--constraint', 'params<=20', '--stages', 'removal', '--json']);
    expect(code).toBe(6);
    expect(stderr).toMatch(/does not keep params<=20 \(has \d+, [\d.]+ % above the limit of 20\);/);
    expect(JSON.parse(stdout)).toMatchObject({ constraints: [{ text: 'params<=20', met: false }] });
  });

  it('measures latencies when a constraint asks for them, and judges the finished student by its own', async () => {
    const constraints = ['latency<=50x', 'latency-batch<=50x', 'params<=1x', 'energy<=1x', 'activation-bytes<=1x'];
    const flags = constraints.flatMap((text) => ['--constraint', text]);
    const document = await n2nJson([...compress('timed'), ...flags, '--updates', '1', '--stages', 'shrinkage']);
    type Figures = Record<string, number>;
    const {
      teacher: large,
      student: small,
      constraints: judged,
    } = document as Record<'teacher' | 'student', Figures> & {
      constraints: Figures[];
    };
    const figures = ['latencyMs', 'batchLatencyMs', 'params', 'energyMicrojoules', 'activationBytes'];
    for (const [i, name] of figures.entries()) {
      expect(judged[i], name).toMatchObject({ text: constraints[i], met: true, figure: small[name] });
      expect(judged[i]!['limit'], name).toBe((i < 2 ? 50 : 1) * large[name]!);
    }
    const events = ((await journal('timed')) as { event: Record<string, unknown> }[]).map(({ event }) => event);
    const outcomes = events.filter(({ type }) => type === 'outcome');
    for (const measured of [events[0]!['teacher'], ...outcomes]) {
      expect(measured).toMatchObject({ latencyMs: expect.any(Number), batchLatencyMs: expect.any(Number) });
    }
    expect(outcomes.length).toBeGreaterThan(0);
    expect(result['student']).toMatchObject({ batchLatencyMs: null });
  });

  it('starts its policies from those of another run, of which it keeps a copy', async () => {
    const one = ['--updates', '1', '--stages', 'removal'];
    const outOf = (run: string): string[] => ['--policy-from', folder.path(run)];
    await cp(folder.path('first'), folder.path('source'), { recursive: true });
    await n2nJson([...compress('heir'), ...one, ...outOf('source')]);
    await rm(folder.path('source'), { recursive: true });
    const { configuration } = JSON.parse(await readFile(folder.path('heir', 'run.json'), 'utf8')) as { configuration: object };
    expect(configuration).toMatchObject({
      policyFrom: { run: folder.path('source'), sha256: expect.stringMatching(/^[0-9a-f]{64}$/), stages: ['removal', 'shrinkage'] },
    });
    const [start] = (await journal('heir')) as { event: { policies: object } }[];
    expect(start!.event.policies).toEqual({ removal: expect.stringMatching(/^[0-9a-f]{64}$/) });
    await n2nJson([...compress('fresh'), ...one]);
    expect((await journal('heir')).slice(2)).not.toEqual((await journal('fresh')).slice(2));
    // The end of the run is done again, from its own copy; not from another one.
    await rm(folder.path('heir', 'result.json'));
    await n2nJson(['resume', folder.path('heir')]);
    await rm(folder.path('heir', 'result.json'));
    await writeFile(folder.path('heir', 'policies.msgpack'), 'another');
    expect(await n2n(['resume', folder.path('heir')])).toMatchObject({
      code: 3,
      stderr: expect.stringMatching(/policies.msgpack has changed/),
    });
    // What the run has no use for is refused before a directory is made.
    expect(await n2n([...compress('none'), ...outOf('first'), '--shrinkage-actions', 'group'])).toMatchObject({
      code: 2,
      stderr: expect.stringMatching(/saved policy of shrinkage has the matrix lstm0.input \d+x\d+, this search needs/),
    });
    expect(await n2n([...compress('none'), ...outOf('heir'), '--stages', 'shrinkage'])).toMatchObject({
      code: 2,
      stderr: expect.stringMatching(/saved policies are of removal; the search needs one of shrinkage/),
    });
    expect(await readdir(folder.path())).not.toContain('none');
    expect(await n2n([...compress('none'), ...outOf('source')])).toMatchObject({
      code: 3,
      stderr: expect.stringMatching(/--policy-from got .*source, but .*state.msgpack cannot be read/),
    });
  });

  it('searches with other policies, baselines and action spaces', async () => {
    const flags = {
      baseline: 'actor-critic',
      'entropy-bonus': '0.01',
      'removal-policy': 'autoregressive',
      'shrinkage-policy': 'encoder-decoder',
      'shrinkage-actions': 'group',
    };
    const given = Object.entries(flags).flatMap(([name, value]) => [`--${name}`, value]);
    await n2nJson([...compress('other-policies'), ...given, '--updates', '1']);
    const [start] = (await journal('other-policies')) as { event: { options: object } }[];
    expect(start!.event.options).toMatchObject({
      baseline: 'actor-critic',
      entropyBonus: 0.01,
      removalPolicy: 'autoregressive',
      shrinkagePolicy: 'encoder-decoder',
      shrinkageActions: 'group',
    });
  });

  it('prints a table for people', async () => {
    const { stdout, stderr, code } = await n2n(['resume', folder.path('first')]);
    expect(code).toBe(0);
    expect(stderr).toMatch(/the run is finished/);
    expect(stdout).toMatch(/parameters +\d,\d{3} +[\d,]+ +[\d.]+x\n/);
    expect(stdout).toMatch(/test accuracy +[\d.]+ % +[\d.]+ % +[+-][\d.]+ points\n/);
    expect(stdout).toMatch(/trade-offs +parameters +MACs +validation\n-.*\n[0-9a-f]{12} +[\d,]+ +[\d.]+( [kM])? +[\d.]+ %\n/);
    expect(stdout).toContain(`n2n eval ${folder.path('first', 'best', 'student.safetensors')}`);
  });
});

describe('resume', () => {
  /** Stops a fresh run when its journal holds enough updates. */
  async function interrupted(run: string, when: (updates: number) => boolean): Promise<void> {
    const stop = new AbortController();
    const timer = setInterval(() => {
      void readFile(folder.path(run, 'journal.jsonl'), 'utf8').then(
        (text) => {
          const updates = text.split('"type":"update"').length - 1;
          if (when(updates)) stop.abort(new InterruptedError('SIGTERM'));
        },
        () => {},
      );
    }, 5);
    try {
      const { code, stdout, stderr } = await n2n(compress(run), { signal: stop.signal });
      expect(stderr).toMatch(/stopped by SIGTERM; everything up to here is saved, go on with n2n resume/);
      expect({ code, stdout }).toEqual({ code: 143, stdout: '' });
    } finally {
      clearInterval(timer);
    }
    expect(await readdir(folder.path(run))).not.toContain('lock');
  }

  it('goes on to the same bits, with its snapshot and without, after a torn record', async () => {
    await interrupted('stopped', (updates) => updates >= 2);
    await cp(folder.path('stopped'), folder.path('replayed'), { recursive: true });
    await n2nJson(['resume', folder.path('stopped')]);
    expect(await essence('stopped')).toEqual(await essence('first'));

    await rm(folder.path('replayed', 'state.msgpack'));
    await writeFile(folder.path('replayed', 'journal.jsonl'), '{"sequence":99,"ev', { flag: 'a' });
    await n2nJson(['resume', folder.path('replayed')]);
    expect(await essence('replayed')).toEqual(await essence('first'));
  });

  it('goes on after the device was lost', async () => {
    let devices = 0;
    let lostAt = 0;
    const open = async (): Promise<Gpu> => {
      const gpu = await openDevice();
      devices += 1;
      // The first device dies in the middle of the search, as by a driver's reset.
      const submit = gpu.submit.bind(gpu);
      let submits = 0;
      gpu.submit = (encoder) => {
        if (devices === 1 && ++submits === 60) {
          lostAt = performance.now();
          gpu.raw.destroy();
        }
        submit(encoder);
      };
      return gpu;
    };
    const started = performance.now();
    const { code, stderr } = await n2n(compress('lost'), { open });
    const ended = performance.now();
    expect(stderr).toMatch(/the device was lost .*opening it again \(1 of 2\)/);
    expect({ code, devices }).toEqual({ code: 0, devices: 2 });
    // The time before the loss counts.
    const { elapsedSeconds } = JSON.parse(await readFile(folder.path('lost', 'result.json'), 'utf8')) as Record<string, number>;
    expect(elapsedSeconds! * 1000).toBeGreaterThan(ended - lostAt + (lostAt - started) / 4);
    expect(await essence('lost')).toEqual(await essence('first'));
  });

  it('refuses by name what has changed', async () => {
    const refusals: [string, (run: string) => Promise<void>, number, RegExp][] = [
      ['teacher', (run) => writeFile(`${run}/teacher.safetensors`, 'another'), 3, /teacher.safetensors has changed since the run began/],
      ['configuration', (run) => edit(`${run}/run.json`, '"updates": 2', '"updates": 3'), 2, /the configuration in .*run.json has changed/],
      [
        'adapter',
        (run) => edit(`${run}/run.json`, /"description": "[^"]*"/, '"description": "another driver"'),
        2,
        /begun on .*another driver/,
      ],
      [
        'data',
        (run) => edit(`${run}/run.json`, /"fingerprint": "[^"]*"/, '"fingerprint": "0123456789abcdef"'),
        3,
        /data set "data" has changed/,
      ],
      ['format', (run) => edit(`${run}/run.json`, '"format": 2', '"format": 1'), 3, /run.json has format 1, this version goes on with 2/],
      ['version', (run) => edit(`${run}/run.json`, /"n2n": "[^"]*"/, '"n2n": "0.0.1"'), 2, /begun by n2n 0.0.1/],
      ['journal', (run) => edit(`${run}/journal.jsonl`, '"accuracy":', '"accuracy" :'), 3, /journal.jsonl, line 1: the record is damaged/],
      [
        'lock',
        (run) => writeFile(`${run}/lock`, JSON.stringify({ pid: 1, host: 'elsewhere', started: null, token: '1' })),
        8,
        /locked by process 1 on elsewhere/,
      ],
    ];
    for (const [name, change, code, message] of refusals) {
      const run = folder.path(`changed-${name}`);
      await cp(folder.path('first'), run, { recursive: true });
      await rm(`${run}/result.json`);
      await change(run);
      const before = (await readdir(run)).sort();
      const refused = await n2n(['resume', run]);
      expect(refused.stderr).toMatch(message);
      expect(refused).toMatchObject({ code, stdout: '' });
      expect((await readdir(run)).sort()).toEqual(before);
    }
  });
});

async function edit(path: string, from: string | RegExp, to: string): Promise<void> {
  const text = await readFile(path, 'utf8');
  const edited = text.replace(from, to);
  expect(edited).not.toBe(text);
  await writeFile(path, edited);
}

describe('train', () => {
  it('reports what it trained', () => {
    expect(trained).toMatchObject({ name: 'small', samples: 90, file: teacher });
    expect(trained['accuracy']).toBeGreaterThan(0.9);
  });

  it('saves what it has when it is stopped, and goes on from there', async () => {
    const out = folder.path('partial.safetensors');
    const stop = new AbortController();
    const train = ['train', folder.path('small.json'), ...data, '--batch', '20', '--out', out];
    let stderr = '';
    const watch = (text: string): void => {
      stderr += text;
      if (/epoch [2-9]\d\//.test(text)) stop.abort(new InterruptedError('SIGINT'));
    };
    const { code, stdout } = await n2n([...train, '--epochs', '300'], { signal: stop.signal, terminal: true, stderr: watch });
    expect({ code, stdout }).toEqual({ code: 130, stdout: '' });
    expect(stderr).toContain(`go on with n2n train ${out}`);
    const further = await n2nJson([
      'train',
      out,
      ...data,
      '--batch',
      '20',
      '--epochs',
      '1',
      '--learning-rate',
      '0.001',
      '--out',
      folder.path('further.safetensors'),
    ]);
    // One gentle epoch from scratch would still be guessing.
    expect(further['accuracy']).toBeGreaterThan(0.9);
  });

  it('does not overwrite a file when it is stopped in its first epoch', async () => {
    const out = folder.path('kept.safetensors');
    await writeFile(out, 'a model');
    const train = ['train', folder.path('small.json'), ...data, '--batch', '20', '--out', out];
    const { code, stdout, stderr } = await n2n(train, { signal: AbortSignal.abort(new InterruptedError('SIGINT')) });
    expect({ code, stdout }).toEqual({ code: 130, stdout: '' });
    expect(stderr).toMatch(/no epoch was finished, so .*kept.safetensors was not written/);
    expect(await readFile(out, 'utf8')).toBe('a model');
  });

  it('stays interrupted when what it has cannot be saved', async () => {
    const stop = new AbortController();
    await mkdir(folder.path('gone'));
    const train = ['train', folder.path('small.json'), ...data, '--batch', '20', '--out', folder.path('gone', 'x.safetensors')];
    let stderr = '';
    const watch = (text: string): void => {
      stderr += text;
      if (!/epoch ([2-9]|\d\d)\//.test(text)) return;
      rmSync(folder.path('gone'), { recursive: true, force: true });
      stop.abort(new InterruptedError('SIGTERM'));
    };
    const { code, stdout } = await n2n([...train, '--epochs', '300'], { signal: stop.signal, terminal: true, stderr: watch });
    expect({ code, stdout }).toEqual({ code: 143, stdout: '' });
    expect(stderr).toMatch(/the weights so far could not be saved: .*x.safetensors/);
  });

  it('trains alike from the same seed, with augmentation too', async () => {
    const train = (name: string, ...flags: string[]): string[] => [
      'train',
      folder.path('small.json'),
      ...data,
      '--epochs',
      '1',
      '--batch',
      '20',
      '--crop-padding',
      '1',
      '--flip',
      '--optimiser',
      'adam',
      '--learning-rate',
      '0.003',
      '--out',
      folder.path(name),
      ...flags,
    ];
    await n2nJson(train('a.safetensors'));
    await n2nJson(train('b.safetensors'));
    await n2nJson(train('c.safetensors', '--seed', '2'));
    await n2nJson(train('d.safetensors', '--cutout', '3'));
    await n2nJson(train('e.safetensors', '--cutout', '3'));
    const [a, b, c, d, e] = await Promise.all(['a', 'b', 'c', 'd', 'e'].map((name) => readFile(folder.path(`${name}.safetensors`))));
    expect(a!.equals(b!)).toBe(true);
    expect(a!.equals(c!)).toBe(false);
    expect(d!.equals(e!)).toBe(true);
    expect(a!.equals(d!)).toBe(false);
  });

  it('gives the same bits when its images are streamed, and says that they are', async () => {
    const flags = ['--epochs', '2', '--batch', '20', '--crop-padding', '1', '--validation', '20'];
    const train = (name: string): string[] => ['train', folder.path('small.json'), ...data, ...flags, '--out', folder.path(name)];
    const resident = await n2nJson(train('resident.safetensors'));
    const streamed = await n2n([...train('streamed.safetensors'), '--device-memory', '0', '--json']);
    expect(streamed.stderr).toMatch(/images take .*, more than --device-memory gives them: they are streamed/);
    expect(JSON.parse(streamed.stdout)).toMatchObject({ accuracy: resident['accuracy'], loss: resident['loss'] });
    const [a, b] = await Promise.all(['resident', 'streamed'].map((name) => readFile(folder.path(`${name}.safetensors`))));
    expect(a!.equals(b!)).toBe(true);
    const evaluate = ['eval', folder.path('resident.safetensors'), ...data];
    expect(await n2nJson([...evaluate, '--device-memory', '0'])).toEqual(await n2nJson(evaluate));
    expect(await n2n([...evaluate, '--device-memory', 'all'])).toMatchObject({ code: 2, stdout: '' });
  });

  it('ends with 6 when training diverges, and writes nothing', async () => {
    const flags = [
      '--epochs',
      '3',
      '--batch',
      '20',
      '--learning-rate',
      '100',
      '--weight-decay',
      '10',
      '--out',
      folder.path('diverged.safetensors'),
    ];
    const { code, stdout, stderr } = await n2n(['train', folder.path('small.json'), ...data, ...flags]);
    expect(stderr).toMatch(/diverged in epoch \d: the loss is .*lower learning rate/);
    expect({ code, stdout }).toEqual({ code: 6, stdout: '' });
    expect(await readdir(folder.path())).not.toContain('diverged.safetensors');
  });
});

describe('other commands', () => {
  it('runs the quickstart, its teacher included', async () => {
    const flags = [
      '--teacher',
      'plain-6@0.5',
      '--teacher-epochs',
      '1',
      '--final-epochs',
      '1',
      '--updates',
      '1',
      '--rollouts',
      '2',
      '--subset',
      '60',
      '--validation',
      '30',
      '--batch',
      '20',
      '--constraint',
      'params<=60000',
    ];
    const document = await n2nJson(['quickstart', ...data, ...flags, '--run', folder.path('quick')]);
    expect(document).toMatchObject({ run: folder.path('quick'), data: folder.path('data'), teacher: { name: 'plain-6@0.5' } });
    const record = JSON.parse(await readFile(folder.path('quick', 'run.json'), 'utf8')) as Record<string, unknown>;
    expect(record['teacherSha256']).toMatch(/^[0-9a-f]{64}$/);
  });

  it('describes the machine', async () => {
    const document = await n2nJson(['doctor']);
    expect(document).toMatchObject({ adapter: { limits: { maxBufferSize: expect.any(Number) } }, runs: { writable: true } });
  });

  it('times steps and kernels', async () => {
    const steps = await n2nJson(['bench', 'step', '--filter', 'step/mnist-cnn/64', '--repetitions', '2']);
    expect(steps).toMatchObject({
      adapter: { device: expect.any(String) },
      results: [{ name: 'step/mnist-cnn/64', medianMs: expect.any(Number), samplesPerSecond: expect.any(Number) }],
    });
    const [step] = steps['results'] as Record<string, number>[];
    expect(step!['samplesPerSecond']).toBeCloseTo(64_000 / step!['medianMs']!, 6);
    const ops = await n2nJson(['bench', 'ops', '--filter', 'roof/copy', '--repetitions', '2']);
    expect(ops['results']).toMatchObject([{ name: 'roof/copy', gbps: expect.any(Number) }]);
    expect(await n2n(['bench', 'step', '--filter', 'nothing'])).toMatchObject({ code: 2, stdout: '' });
  });
});
