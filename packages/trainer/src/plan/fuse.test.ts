// Which nodes are fused, and that a fused network computes what the same network computes node by node.
import { afterAll, describe, expect, it } from 'vitest';
import { openDevice } from '@n2n/kernels';
import { parseSpec, zooSpec, type NetworkSpec, type NodeSpec } from '../network/index.js';
import { patterns } from '../testing/patterns.js';
import { evaluate, evaluationFeed, plainOrder } from '../train/evaluate.js';
import { Feed } from '../train/feed.js';
import { DeviceImages } from '../train/images.js';
import { initialWeights } from '../train/initial.js';
import { defaultSgd } from '../train/schedule.js';
import { train } from '../train/train.js';
import { fusedUnits } from './fuse.js';
import { Parameters } from './parameters.js';
import { EvaluationPlan } from './plan.js';

type Nodes = { id: string; type: string; inputs: string[]; attributes?: Record<string, unknown> }[];

const spec = (nodes: Nodes): NetworkSpec =>
  parseSpec({ name: 'fused', input: { channels: 2, height: 9, width: 9 }, classes: 4, nodes: [...nodes, ...head(nodes.at(-1)!.id)] });
const head = (last: string): Nodes => [
  { id: 'gap', type: 'global-average-pool', inputs: [last] },
  { id: 'fc', type: 'linear', inputs: ['gap'], attributes: { features: 4 } },
];
const conv = (id: string, input: string): Nodes[0] => ({
  id,
  type: 'conv2d',
  inputs: [input],
  attributes: { filters: 5, kernel: 3, padding: 1, bias: false },
});
const node = (id: string, type: string, ...inputs: string[]): Nodes[0] => ({ id, type, inputs });
const pool = (id: string, input: string, attributes = {}): Nodes[0] => ({
  id,
  type: 'max-pool',
  inputs: [input],
  attributes: { kernel: 2, ...attributes },
});

const groups = (network: NetworkSpec): string[] =>
  fusedUnits(network)
    .filter(({ nodes }) => nodes[0]!.type === 'batch-norm')
    .map(({ nodes }) => nodes.map(({ id }) => id).join('+'));

describe('fusedUnits', () => {
  const stem = [conv('c', 'input'), node('n', 'batch-norm', 'c')];

  it('takes the ReLU and the pool behind a batch-norm', () => {
    expect(groups(spec([...stem, node('r', 'relu', 'n'), pool('p', 'r')]))).toEqual(['n+r+p']);
  });

  it.each([
    ['other windows', [node('r', 'relu', 'n'), pool('p', 'r', { kernel: 3, stride: 2 })], ['n+r']],
    ['overlapping windows', [node('r', 'relu', 'n'), pool('p', 'r', { stride: 1 })], ['n+r']],
    ['padded windows', [node('r', 'relu', 'n'), pool('p', 'r', { padding: 1 })], ['n+r']],
    ['a second reader of the ReLU', [node('r', 'relu', 'n'), pool('p', 'r'), pool('q', 'r'), node('s', 'add', 'p', 'q')], ['n+r']],
    ['a second reader of the batch-norm', [node('r', 'relu', 'n'), node('s', 'add', 'r', 'n')], ['n']],
  ])('leaves out %s', (_, nodes, expected) => expect(groups(spec([...stem, ...nodes]))).toEqual(expected));

  it.each([
    ['a pool without a ReLU', [pool('p', 'n')], 'n+p'],
    ['a ReLU behind the pool, and one on both sides', [node('r', 'relu', 'n'), pool('p', 'r'), node('q', 'relu', 'p')], 'n+r+p+q'],
    ['a pool that keeps every second pixel', [pool('p', 'n', { kernel: 1, stride: 2 })], 'n+p'],
    ['two ReLUs', [node('r', 'relu', 'n'), node('q', 'relu', 'r')], 'n+r+q'],
  ])('takes %s', (_, nodes, expected) => expect(groups(spec([...stem, ...nodes]))).toEqual([expected]));

  const units = (nodes: Nodes, whole: readonly string[] = []): string[] =>
    fusedUnits(spec(nodes), whole).map((unit) => unit.nodes.map(({ id }) => id).join('+'));

  it('takes the ReLUs around any pool, but none with another reader', () => {
    const pooled = [conv('c', 'input'), node('r', 'relu', 'c'), pool('p', 'r', { kernel: 3, stride: 1 }), node('q', 'relu', 'p')];
    expect(units(pooled)).toEqual(['c', 'r+p+q', 'gap', 'fc']);
    const unfused = [conv('c', 'input'), node('r', 'relu', 'c'), pool('p', 'r'), pool('q', 'r'), node('s', 'add', 'p', 'q')];
    expect(units(unfused)).toEqual(['c', 'r', 'p', 'q', 's', 'gap', 'fc']);
  });

  it('gives a convolution the stride of a pool of single pixels, unless its whole output is wanted', () => {
    const nodes = [conv('c', 'input'), node('r', 'relu', 'c'), pool('p', 'r', { kernel: 1, stride: 2 })];
    expect(units(nodes)).toEqual(['c+r+p', 'gap', 'fc']);
    expect(units(nodes, ['c'])).toEqual(['c', 'r+p', 'gap', 'fc']);
    expect(units([conv('c', 'input'), pool('p', 'c')])).toEqual(['c', 'p', 'gap', 'fc']);
  });

  it('takes a sum behind one of two batch-norms, at the place of the last node', () => {
    const nodes = [...stem, conv('d', 'input'), node('m', 'batch-norm', 'd'), node('s', 'add', 'm', 'n'), node('r', 'relu', 's')];
    const units = fusedUnits(spec(nodes)).map((unit) => unit.nodes.map(({ id }) => id).join('+'));
    expect(units).toEqual(['c', 'd', 'm', 'n+s+r', 'gap', 'fc']);
    expect(fusedUnits(spec(nodes))[3]!.inputs).toEqual(['c', 'm']);
  });

  it('leaves out a sum of three, and one with what the batch-norm reads', () => {
    expect(groups(spec([...stem, conv('d', 'c'), conv('e', 'c'), node('s', 'add', 'n', 'd', 'e')]))).toEqual(['n']);
    expect(groups(spec([...stem, node('s', 'add', 'n', 'c'), node('r', 'relu', 's')]))).toEqual(['n']);
    expect(groups(spec([...stem, node('o', 'dropout', 'c'), node('s', 'add', 'n', 'o')]))).toEqual(['n']);
  });

  it('in evaluation takes what follows a convolution, where one kernel computes it', () => {
    const evaluated = (nodes: Nodes, inOneKernel: (nodes: readonly NodeSpec[]) => boolean = () => true): string[] =>
      fusedUnits(spec(nodes), [], inOneKernel).map((unit) => unit.nodes.map(({ id }) => id).join('+'));
    const nodes = [...stem, node('r', 'relu', 'n'), pool('p', 'r'), node('q', 'relu', 'p')];
    expect(evaluated(nodes)).toEqual(['c+n+r+p+q', 'gap', 'fc']);
    expect(evaluated(nodes, () => false)).toEqual(['c', 'n+r+p+q', 'gap', 'fc']);
    expect(evaluated([conv('c', 'input'), node('r', 'relu', 'c'), pool('p', 'r')])).toEqual(['c+r+p', 'gap', 'fc']);
    expect(evaluated([...stem, pool('p', 'n', { kernel: 3, stride: 2 })])).toEqual(['c+n', 'p', 'gap', 'fc']);
    // Nothing follows, another reads the output too, and a sum that the batch-norm takes along.
    expect(evaluated([conv('c', 'input'), conv('d', 'c')])).toEqual(['c', 'd', 'gap', 'fc']);
    expect(evaluated([...stem, node('s', 'add', 'n', 'c')])).toEqual(['c', 'n', 's', 'gap', 'fc']);
    expect(evaluated([...stem, conv('d', 'input'), node('s', 'add', 'n', 'd')])).toEqual(['c', 'd', 'n+s', 'gap', 'fc']);
  });

  it('lists every node of a network once, each after what it reads', () => {
    for (const name of ['mnist-cnn', 'resnet18', 'resnet50', 'vgg11', 'lenet5']) {
      const network = zooSpec(name, { channels: 3, height: 32, width: 32, classes: 10 });
      const there = new Set(['input']);
      for (const { nodes, inputs } of fusedUnits(network)) {
        for (const id of inputs) expect(there.has(id), `${name}: ${id}`).toBe(true);
        there.add(nodes.at(-1)!.id);
      }
      expect(
        fusedUnits(network)
          .flatMap(({ nodes }) => nodes.map(({ id }) => id))
          .toSorted(),
        name,
      ).toEqual(network.nodes.map(({ id }) => id).toSorted());
    }
  });
});

const gpu = await openDevice();
afterAll(() => gpu.close());

/** Every kind of unit: odd poolings, a sum of two batch-norms, an identity shortcut without a ReLU behind it. */
const network = spec([
  conv('c1', 'input'),
  node('n1', 'batch-norm', 'c1'),
  node('r1', 'relu', 'n1'),
  pool('p1', 'r1'),
  conv('c2', 'p1'),
  node('n2', 'batch-norm', 'c2'),
  conv('d2', 'p1'),
  node('m2', 'batch-norm', 'd2'),
  node('s2', 'add', 'n2', 'm2'),
  node('r2', 'relu', 's2'),
  conv('c3', 'r2'),
  node('n3', 'batch-norm', 'c3'),
  node('s3', 'add', 'r2', 'n3'),
  conv('c4', 's3'),
  node('n4', 'batch-norm', 'c4'),
  node('r4', 'relu', 'n4'),
  pool('p4', 'r4', { kernel: 1, stride: 1 }),
]);

/** Of pools: behind convolutions, of single pixels with and without a ReLU, behind a batch-norm without one, with ReLUs around. */
const pooled = spec([
  conv('c1', 'input'),
  node('r1', 'relu', 'c1'),
  pool('p1', 'r1', { kernel: 2, stride: 1 }),
  conv('c2', 'p1'),
  node('r2', 'relu', 'c2'),
  pool('p2', 'r2', { kernel: 1, stride: 2 }),
  conv('c3', 'p2'),
  node('n3', 'batch-norm', 'c3'),
  pool('p3', 'n3', { kernel: 1, stride: 2 }),
  node('r3', 'relu', 'p3'),
  conv('c4', 'r3'),
  node('n4', 'batch-norm', 'c4'),
  pool('p4', 'n4'),
]);

/** The same with a dropout of nothing behind every node of the body: nothing is fused. */
function apart({ nodes, ...rest }: NetworkSpec): NetworkSpec {
  const behind = (id: string): string => (/^[nmrspc]\d/.test(id) ? `${id}-apart` : id);
  const all = nodes.flatMap(({ id, inputs, ...other }) => [
    { id, inputs: inputs.map(behind), ...other },
    ...(behind(id) === id ? [] : [{ id: behind(id), type: 'dropout', inputs: [id], attributes: { rate: 0 } }]),
  ]);
  return parseSpec({ ...rest, nodes: all });
}

const unitsOf = (one: NetworkSpec): string[] => fusedUnits(one).map(({ nodes }) => nodes.map(({ id }) => id).join('+'));

it.each([
  ['sums', network, ['c1', 'n1+r1+p1', 'c2', 'd2', 'm2', 'n2+s2+r2', 'c3', 'n3+s3', 'c4', 'n4+r4', 'p4', 'gap', 'fc']],
  ['pools', pooled, ['c1', 'r1+p1', 'c2+r2+p2', 'c3', 'n3+p3+r3', 'c4', 'n4+p4', 'gap', 'fc']],
])('a fused network of %s is trained and evaluated as the same network node by node', async (_, network, units) => {
  expect(unitsOf(network)).toEqual(units);
  expect(unitsOf(apart(network)).filter((unit) => unit.includes('+'))).toEqual([]);
  const images = await DeviceImages.create(gpu, patterns(24, 4, 2, 9), network.input);
  const indices = Uint32Array.from({ length: 24 }, (_, i) => i);
  const preprocessing = { mean: [0.4, 0.4], std: [0.3, 0.3] };
  const feed = await Feed.create(gpu, images, { batch: 12, steps: 2, preprocessing });
  const run = async (one: NetworkSpec): Promise<{ weights: Map<string, Float32Array>; loss: number; kernels: number }> => {
    const parameters = await Parameters.create(gpu, one, initialWeights(network, 'a'));
    const before = gpu.statistics.dispatches;
    const optimiser = { ...defaultSgd, learningRate: 0.02 };
    const objective = { hard: { weight: 1, smoothing: 0 } };
    await train(gpu, parameters, feed, { objective, optimiser, schedule: { kind: 'constant' }, epochs: 2, indices, seed: 1, views: 0 });
    const kernels = gpu.statistics.dispatches - before;
    const { loss } = await evaluate(gpu, parameters, await evaluationFeed(gpu, images, preprocessing, 10, 24), indices);
    return { weights: await parameters.read(), loss, kernels };
  };
  const [fused, plain] = [await run(network), await run(apart(network))];
  expect(fused.kernels).toBeLessThan(plain.kernels);
  expect(fused.loss).toBeCloseTo(plain.loss, 4);
  const initial = initialWeights(network, 'a');
  for (const [name, expected] of plain.weights) {
    const moved = Math.max(...expected.map((value, i) => Math.abs(value - initial.get(name)![i]!)));
    const worst = Math.max(...expected.map((value, i) => Math.abs(value - fused.weights.get(name)![i]!)));
    expect(moved, name).toBeGreaterThan(0);
    expect(worst / moved, name).toBeLessThan(2e-3);
  }
});

it.each([
  ['sums', network, ['c1+n1+r1+p1', 'c2', 'd2+m2', 'n2+s2+r2', 'c3', 'n3+s3', 'c4+n4+r4', 'p4', 'gap', 'fc']],
  ['pools', pooled, ['c1+r1', 'p1', 'c2+r2+p2', 'c3+n3+p3+r3', 'c4+n4+p4', 'gap', 'fc']],
])('convolutions of a network of %s take what follows along in evaluation', async (_, network, labels) => {
  const images = await DeviceImages.create(gpu, patterns(24, 4, 2, 9), network.input);
  const feed = await evaluationFeed(gpu, images, { mean: [0.4, 0.4], std: [0.3, 0.3] }, 10, 24);
  feed.setOrder(plainOrder(Uint32Array.from({ length: 24 }, (_, i) => i)));
  const run = async (one: NetworkSpec, batchStatistics: boolean): Promise<{ logits: Float32Array; labels: string[] }> => {
    const weights = initialWeights(network, 'a');
    for (const [name, values] of weights) {
      if (name.endsWith('running_mean')) values.forEach((_, c) => (values[c] = 0.1 * c - 0.2));
      if (name.endsWith('running_var')) values.forEach((_, c) => (values[c] = 0.5 + 0.2 * c));
    }
    const parameters = await Parameters.create(gpu, one, weights);
    const plan = await EvaluationPlan.create(gpu, parameters, feed, { batchStatistics });
    feed.fill.replay();
    plan.recording.replay();
    const ran = plan.recording.steps.map(({ label }) => label.split(' ')[0]!).filter((label) => label !== 'metrics');
    return { logits: await gpu.read(plan.logits), labels: [...new Set(ran)] };
  };
  const [fused, plain] = [await run(network, false), await run(apart(network), false)];
  expect(fused.labels).toEqual(labels);
  const largest = Math.max(...plain.logits.map(Math.abs));
  plain.logits.forEach((value, i) => expect(Math.abs(fused.logits[i]! - value) / largest).toBeLessThan(1e-5));
  expect((await run(network, true)).labels).toEqual(expect.arrayContaining(['c3', 'c4']));
});
