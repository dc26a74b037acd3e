// Command lines that end before a device is opened: help, configuration, bad input, inspect. Each exit code of the contract
// that needs no device is here.
import { mkdir, readdir, readFile, truncate, writeFile } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { QUICKSTART } from './budgets.js';
import { paperPreset } from './settings/presets.js';
import { n2n, n2nJson, temporaryFolder, type CliResult } from './testing/cli.js';
import { smallSpec, writeIdx } from './testing/data.js';

let folder: Awaited<ReturnType<typeof temporaryFolder>>;
/** A command line that reached the device would be a defect here. */
const noDevice = { open: () => Promise.reject(new Error('a device was opened')) };

beforeAll(async () => {
  folder = await temporaryFolder();
  await writeIdx(folder.path('data'), { train: 60, test: 20, classes: 3, size: 8 });
  await writeFile(folder.path('small.json'), JSON.stringify(smallSpec(3, 8)));
});
afterAll(() => folder.remove());

const offline = (argv: readonly string[], variables: NodeJS.ProcessEnv = {}): Promise<CliResult> => n2n(argv, { ...noDevice, variables });

/** Refused with this code, one paragraph on stderr that fits, and nothing on stdout. */
const refusal = (code: number, message: RegExp): object => ({ code, stdout: '', stderr: expect.stringMatching(message) as unknown });

describe('usage', () => {
  it('prints help and version on stdout and ends with 0', async () => {
    const help = await n2n(['--help']);
    expect(help).toMatchObject({ code: 0, stderr: '' });
    for (const name of ['quickstart', 'train', 'compress', 'resume', 'eval', 'inspect', 'doctor', 'bench'])
      expect(help.stdout).toContain(name);
    expect(await n2n(['--version'])).toMatchObject({ code: 0, stdout: '0.2.0\n', stderr: '' });
  });

  it('suggests the flag and the command that were meant', async () => {
    expect(await offline(['train', 'lenet5', '--epoch', '3'])).toEqual(refusal(2, /unknown option '--epoch'\n\(Did you mean --epochs\?\)/));
    expect(await offline(['inspct', 'lenet5'])).toEqual(refusal(2, /unknown command 'inspct'\n\(Did you mean inspect\?\)/));
    expect(await offline(['inspect'])).toEqual(refusal(2, /missing required argument/));
    expect(await offline(['inspect', 'lenet5', 'vgg11'])).toEqual(refusal(2, /too many arguments/));
  });

  it('names the flag, what it got and what it needs', async () => {
    expect(await offline(['train', 'lenet5', '--epochs', '0'])).toEqual(
      refusal(2, /^n2n: --epochs got "0"; it needs an integer from 1 to 100000\n$/),
    );
    expect(await offline(['train', 'lenet5', '--epochs', '1e'])).toEqual(refusal(2, /--epochs got "1e"/));
    expect(await offline(['train', 'lenet5', '--learning-rate', '-1'])).toEqual(
      refusal(2, /--learning-rate got "-1"; it needs a number above 0/),
    );
    expect(await offline(['train', 'lenet5', '--optimiser', 'lion'])).toEqual(
      refusal(2, /--optimiser got "lion"; it needs one of sgd, adam/),
    );
    expect(await offline(['compress', 'x', '--stages', 'removal,removal'])).toEqual(refusal(2, /--stages got "removal,removal"/));
    expect(await offline(['eval', 'x', '--mean', '0.5,a'])).toEqual(refusal(2, /--mean got "0.5,a"/));
    expect(await offline(['inspect', 'lenet5', '--input', '1x28'])).toEqual(
      refusal(2, /--input got "1x28"; it needs channels, height and width/),
    );
  });
});

describe('configuration', () => {
  const train = (...flags: string[]): string[] => ['train', 'lenet5', ...flags];

  it('takes flags over variables over the file', async () => {
    const file = folder.path('config.json');
    await writeFile(file, JSON.stringify({ epochs: 'file' }));
    expect(await offline(train('--config', file))).toEqual(refusal(2, /"epochs" in .*config.json got "file"/));
    expect(await offline(train('--config', file), { N2N_EPOCHS: 'variable' })).toEqual(refusal(2, /variable N2N_EPOCHS got "variable"/));
    expect(await offline(train('--config', file, '--epochs', 'flag'), { N2N_EPOCHS: 'variable' })).toEqual(
      refusal(2, /--epochs got "flag"/),
    );
    expect(await offline(train(), { N2N_CONFIG: file })).toEqual(refusal(2, /"epochs" in/));
    // An empty variable is none.
    expect(await offline(train('--config', file), { N2N_EPOCHS: '' })).toEqual(refusal(2, /"epochs" in/));
  });

  it('refuses files that are none, and keys that nothing knows', async () => {
    const file = folder.path('bad.json');
    expect(await offline(train('--config', file))).toEqual(refusal(2, /--config .*bad.json.*ENOENT.*readable YAML or JSON file/));
    await writeFile(file, '{"epochs": 3');
    expect(await offline(train('--config', file))).toEqual(refusal(2, /needs a readable YAML or JSON file/));
    await writeFile(file, '[1]');
    expect(await offline(train('--config', file))).toEqual(refusal(2, /holds no keys with values/));
    await writeFile(file, '{"epoch": 3}');
    expect(await offline(train('--config', file))).toEqual(
      refusal(2, /has the unknown key "epoch" \(did you mean "epochs"\?\); known are .*epochs/),
    );
  });

  it('reads switches from a variable and turns them off by a flag', async () => {
    const document = await n2n(['inspect', 'lenet5'], { variables: { N2N_QUIET: 'true' } });
    expect(document.code).toBe(0);
    expect(await offline(['inspect', 'lenet5'], { N2N_QUIET: 'maybe' })).toEqual(
      refusal(2, /N2N_QUIET got "maybe"; it needs true or false/),
    );
    expect((await n2n(['inspect', 'lenet5', '--no-quiet'], { variables: { N2N_QUIET: 'maybe' } })).code).toBe(0);
  });
});

describe('presets', () => {
  const quickstart = (...flags: string[]): string[] => {
    const fixed = `--classes 3 --validation 10 --print-config --json --run ${folder.path('none')} --data ${folder.path('data')}`;
    return ['quickstart', ...fixed.split(' '), ...flags];
  };
  const configuration = async (flags: string[], variables: NodeJS.ProcessEnv = {}): Promise<Record<string, unknown>> => {
    const { code, stdout, stderr } = await offline(quickstart(...flags), variables);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    return JSON.parse(stdout) as Record<string, unknown>;
  };

  it('sets every published hyper-parameter at once; flags, variables and the file win', async () => {
    const file = folder.path('preset.json');
    await writeFile(file, JSON.stringify({ preset: 'paper', rollouts: 7 }));
    const own = await configuration(['--batch', '20', '--subset', '0']);
    expect(own).toMatchObject({ updates: QUICKSTART.updates, init: 'inherit', baseline: 'leave-one-out', prior: QUICKSTART.prior });
    const paper = await configuration(['--preset', 'paper', '--batch', '20']);
    const { batch: _, ...published } = paperPreset(undefined);
    expect(paper).toMatchObject({ ...published, batch: 20, seed: own['seed'], finalEpochs: own['finalEpochs'] });
    expect(paper).not.toHaveProperty('preset');
    expect(paper).not.toHaveProperty('printConfig');
    const changed = await configuration(['--config', file, '--batch', '20', '--updates', '3', '--init', 'inherit'], { N2N_EPOCHS: '2' });
    expect(changed).toMatchObject({ updates: 3, init: 'inherit', epochs: 2, rollouts: 7, baseline: 'average', learningRate: 5e-4 });
    expect(await readdir(folder.path())).not.toContain('none');
  });

  it('gives an image views where there is an augmentation of any kind, and refuses views without one', async () => {
    const fixed = ['--batch', '20', '--subset', '0'];
    expect(await configuration(fixed)).toMatchObject({ views: 0, cutout: 0 });
    for (const flags of [['--crop-padding', '1'], ['--flip'], ['--cutout', '2']]) {
      expect(await configuration([...fixed, ...flags])).toMatchObject({ views: 4 });
    }
    expect(await offline(quickstart(...fixed, '--views', '2'))).toEqual(
      refusal(2, /--views got 2.*needs --crop-padding, --flip or --cutout/),
    );
    expect(await offline(quickstart('--cutout', '-1'))).toEqual(refusal(2, /--cutout got "-1"; it needs an integer from 0 to 1024/));
  });

  it("takes a cohort's size or auto, and a warm-up that leaves some of the training", async () => {
    const fitting = ['--batch', '20', '--subset', '0'];
    expect(await configuration(fitting)).toMatchObject({ cohort: 'auto', memory: 1024, rungImages: 500 });
    expect(await configuration(fitting)).not.toHaveProperty('warmup');
    const chosen = await configuration([...fitting, '--cohort', '27', '--warmup', '0.1', '--rung-images', '0', '--memory', '64']);
    expect(chosen).toMatchObject({ cohort: 27, warmup: 0.1, rungImages: 0, memory: 64 });
    expect(await offline(quickstart('--cohort', 'all'))).toEqual(
      refusal(2, /--cohort got "all"; it needs an integer from 1 to 256, or auto/),
    );
    expect(await offline(quickstart('--cohort', '0'))).toEqual(refusal(2, /--cohort got "0"/));
    expect(await offline(quickstart('--warmup', '1'))).toEqual(
      refusal(2, /--warmup got "1"; it needs a number of at least 0 and at most 0.9/),
    );
  });

  it('knows what the paper does on CIFAR, and refuses other names', async () => {
    expect(paperPreset('cifar10')).toMatchObject({ batch: 200, cropPadding: 4, flip: true });
    expect(paperPreset('mnist')).toMatchObject({ batch: 64, cropPadding: 0, flip: false, views: 0 });
    expect(await offline(quickstart('--preset', 'fast'))).toEqual(refusal(2, /--preset got "fast"; it needs one of paper/));
  });
});

describe('bad input', () => {
  const train = (data: string, network = folder.path('small.json')): string[] => [
    'train',
    network,
    '--data',
    data,
    '--classes',
    '3',
    '--json',
  ];

  async function spoiled(name: string, spoil: (path: string) => Promise<void>): Promise<string> {
    const path = folder.path(name);
    await writeIdx(path, { train: 60, test: 20, classes: 3, size: 8 });
    await spoil(path);
    return path;
  }

  it('refuses data that is missing, truncated, foreign or mislabelled with exit code 3', async () => {
    expect(await offline(['train', 'lenet5', '--json'])).toEqual(refusal(2, /--data is missing/));
    expect(await offline(train(folder.path('nowhere')))).toEqual(refusal(3, /nowhere: is neither a folder nor a data set known by name/));
    const truncated = await spoiled('truncated', (path) => truncate(`${path}/train-images-idx3-ubyte`, 500));
    expect(await offline(train(truncated))).toEqual(
      refusal(3, /train-images-idx3-ubyte: truncated: holds 500 bytes, its header asks for 3856/),
    );
    const label = await spoiled('label', async (path) => {
      const file = `${path}/t10k-labels-idx1-ubyte`;
      const bytes = await readFile(file);
      bytes[8 + 5] = 9;
      await writeFile(file, bytes);
    });
    expect(await offline(train(label))).toEqual(refusal(3, /t10k-labels-idx1-ubyte: record 5 has label 9; with 3 classes labels are 0..2/));
    const foreign = folder.path('foreign');
    await mkdir(foreign);
    await writeFile(`${foreign}/readme.txt`, 'no data');
    expect(await offline(train(foreign))).toEqual(refusal(3, /foreign: holds readme.txt; a data set is/));
  });

  it('refuses networks with a cycle or impossible shapes with exit code 3', async () => {
    const linear = { type: 'linear', attributes: { features: 3 } };
    const specs: Record<string, [object[], RegExp]> = {
      cycle: [
        [{ id: 'a', type: 'relu', inputs: ['b'] }, { id: 'b', type: 'relu', inputs: ['a'] }, linear],
        /node "a": is part of a cycle \(a -> b -> a\)/,
      ],
      large: [[{ type: 'conv2d', attributes: { filters: 4, kernel: 11 } }, { type: 'global-average-pool' }, linear], /kernel/],
      unknown: [[{ type: 'conv3d' }, linear], /conv3d.*did you mean "conv2d"/],
    };
    for (const [name, [nodes, message]] of Object.entries(specs)) {
      const path = folder.path(`${name}.json`);
      await writeFile(path, JSON.stringify({ ...smallSpec(3, 8), nodes }));
      expect(await offline(train(folder.path('data'), path))).toEqual(refusal(3, message));
      expect(await offline(['inspect', path])).toEqual(refusal(3, message));
    }
    await writeFile(folder.path('torn.json'), '{"name": ');
    expect(await offline(['inspect', folder.path('torn.json')])).toEqual(refusal(3, /torn.json: cannot be read as a network/));
    expect(await offline(['inspect', folder.path('none.json')])).toEqual(refusal(3, /none.json: cannot be read as a network: ENOENT/));
  });

  it('refuses damaged model files with exit code 3', async () => {
    const header = (bytes: number): Buffer => {
      const length = Buffer.alloc(8);
      length.writeBigUInt64LE(BigInt(bytes));
      return length;
    };
    const files: Record<string, Buffer> = {
      'empty.safetensors': Buffer.alloc(0),
      'header.safetensors': Buffer.concat([header(2 ** 40), Buffer.from('{}')]),
      'json.safetensors': Buffer.concat([header(9), Buffer.from('{"a": [}}')]),
      'plain.safetensors': Buffer.concat([header(2), Buffer.from('{}')]),
    };
    for (const [name, content] of Object.entries(files)) {
      await writeFile(folder.path(name), content);
      const data = ['--data', folder.path('data'), '--classes', '3'];
      expect(await offline(['eval', folder.path(name), ...data])).toEqual(refusal(3, new RegExp(`${name}: `)));
      expect(await offline(['compress', folder.path(name), ...data, '--run', folder.path('run')])).toEqual(
        refusal(3, new RegExp(`${name}: `)),
      );
    }
    expect(await offline(['eval', folder.path('none.safetensors'), '--data', 'mnist'])).toEqual(refusal(3, /none.safetensors/));
    expect(await readdir(folder.path())).not.toContain('run');
  });

  it('refuses a network that does not fit the data, and unknown names, with exit code 2', async () => {
    const path = folder.path('large-input.json');
    await writeFile(path, JSON.stringify(smallSpec(3, 12)));
    expect(await offline(train(folder.path('data'), path))).toEqual(
      refusal(2, /takes images of 1x12x12 in 3 classes, but the data set "data" has images of 1x8x8 in 3 classes/),
    );
    expect(await offline(train(folder.path('data'), 'lenet'))).toEqual(refusal(2, /unknown network "lenet" \(did you mean "lenet5"\?\)/));
    expect(
      await offline([
        'train',
        folder.path('small.json'),
        '--data',
        folder.path('data'),
        '--classes',
        '3',
        '--out',
        folder.path('no/where.safetensors'),
      ]),
    ).toEqual(refusal(2, /--out .*folder .* is missing/));
    expect(
      await offline([
        'train',
        folder.path('small.json'),
        '--data',
        folder.path('data'),
        '--classes',
        '3',
        '--batch',
        '61',
        '--out',
        folder.path('x.safetensors'),
      ]),
    ).toEqual(refusal(2, /--batch got 61, but there are 60 images/));
  });

  it('refuses what is no run directory with exit code 3', async () => {
    expect(await offline(['resume', folder.path('data')])).toEqual(refusal(3, /data is no run directory/));
    await mkdir(folder.path('odd'));
    await writeFile(folder.path('odd', 'run.json'), '{"format": 99}');
    expect(await offline(['resume', folder.path('odd')])).toEqual(refusal(3, /run.json has format 99, this version goes on with 2/));
    expect(await readdir(folder.path('odd'))).toEqual(['run.json']);
  });
});

describe('inspect', () => {
  it('gives the published sizes', async () => {
    // He et al. 2016 in the CIFAR form, with projection shortcuts; Simonyan & Zisserman with one linear layer.
    expect(await n2nJson(['inspect', 'resnet18'])).toMatchObject({ params: 11_173_962, classes: 10 });
    expect(await n2nJson(['inspect', 'vgg13'])).toMatchObject({ params: 9_416_010 });
    expect(await n2nJson(['inspect', 'resnet18', '--classes', '100', '--input', '3x32x32'])).toMatchObject({
      params: 11_173_962 + 90 * 513,
    });
  });

  it('lists layers with shapes, parameters and MACs', async () => {
    const document = await n2nJson(['inspect', folder.path('small.json')]);
    expect(document).toMatchObject({ name: 'small', input: { channels: 1, height: 8, width: 8 }, classes: 3 });
    const layers = document['layers'] as Record<string, unknown>[];
    expect(layers[0]).toMatchObject({ type: 'conv2d', inputs: ['input'], output: '16x8x8', params: 144, macs: 144 * 64 });
    expect(layers.reduce((sum, { params }) => sum + Number(params), 0)).toBe(document['params']);
    expect(layers.reduce((sum, { macs }) => sum + Number(macs), 0)).toBe(document['macs']);
    // Parameters and the running statistics of 16 + 24 + 24 channels, as float32.
    expect(document['modelBytes']).toBe(4 * (Number(document['params']) + 2 * 64));
    const { stdout } = await n2n(['inspect', folder.path('small.json')]);
    expect(stdout).toMatch(/conv2d0 +conv2d +input +16x8x8 +144 +9,216/);
  });

  it('builds a zoo network for the images of a data set', async () => {
    const document = await n2nJson(['inspect', 'plain-6', '--data', folder.path('data'), '--classes', '3']);
    expect(document).toMatchObject({ input: { channels: 1, height: 8, width: 8 }, classes: 3 });
    expect(await offline(['inspect', 'plain-6', '--data', folder.path('data'), '--input', '1x8x8'])).toEqual(
      refusal(2, /--data and --input/),
    );
  });

  it('lists what a search leaves alone, with the reason, and nothing of it unless asked', async () => {
    expect(await n2nJson(['inspect', 'resnet20'])).not.toHaveProperty('fixed');
    const { fixed, layers } = (await n2nJson(['inspect', 'resnet20', '--layers-fixed'])) as {
      fixed: { id: string; removal: string | null; sizes: Record<string, string> }[];
      layers: { id: string }[];
    };
    const byId = new Map(fixed.map((layer) => [layer.id, layer]));
    expect(byId.get('conv1')).toMatchObject({ removal: 'is the first layer' });
    expect(byId.get('layer1.0.conv2')).toMatchObject({ removal: null, sizes: { filters: 'is that of "conv1"' } });
    expect(byId.get('fc')).toMatchObject({ removal: 'is the output', sizes: { features: 'is fixed (logits)' } });
    // A layer that may be removed and shrunk is not in the list; one that is, is a layer.
    expect(layers.length).toBeGreaterThan(fixed.length);
    expect(fixed.every(({ id }) => layers.some((layer) => layer.id === id))).toBe(true);
    const { stdout } = await n2n(['inspect', 'resnet20', '--layers-fixed']);
    expect(stdout).toMatch(/What a search leaves alone:\n\nlayer +type +is not removed: it +keeps its width:/);
    expect(stdout).toMatch(/layer1\.0\.conv2 +conv2d +its number of filters is that of "conv1"\n/);
    // That a kernel of 1 gets no smaller is in the document only.
    expect(stdout).not.toContain('stays: a smaller one');
  });
});
