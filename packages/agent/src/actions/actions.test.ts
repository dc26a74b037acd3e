import fc from 'fast-check';
import { analyse, channelGroups, macs, parameterCount, parseSpec, zooSpec, type NetworkSpec } from '@n2n/trainer/network';
import { describe, expect, test } from 'vitest';
import { judge } from '../degenerate.js';
import { encodeLayers } from '../encoder.js';
import { fixedLayers } from '../fixed.js';
import { findSkips } from '../skips.js';
import type { Problem } from './problem.js';
import { KEEP, REMOVE, removalProblem } from './removal.js';
import { shrinkageActions, shrinkageProblem, shrinkageSizes, UNCHANGED } from './shrinkage.js';

const mnist = { channels: 1, height: 28, width: 28, classes: 10 };
const cifar = { channels: 3, height: 32, width: 32, classes: 10 };
const networks: Record<string, NetworkSpec> = {
  lenet5: zooSpec('lenet5', mnist),
  'plain-6': zooSpec('plain-6', mnist),
  'vgg13@0.25': zooSpec('vgg13@0.25', cifar),
  'resnet18@0.25': zooSpec('resnet18@0.25', cifar),
  'resnet50@0.25': zooSpec('resnet50@0.25', cifar),
  resnet20: zooSpec('resnet20', cifar),
  'mobilenetv2@0.5': zooSpec('mobilenetv2@0.5', cifar),
  densenet: zooSpec('densenet', cifar),
  'squeezenet@0.5': zooSpec('squeezenet@0.5', cifar),
};

const layers = (spec: NetworkSpec, roundTo = 1): Problem => shrinkageProblem(spec, { roundTo, shrinkageActions: 'layer' });
const groups = (spec: NetworkSpec, roundTo = 1): Problem => shrinkageProblem(spec, { roundTo, shrinkageActions: 'group' });

/** The actions of a problem with some steps set by label. */
function actionsWith(problem: Problem, rest: number, set: Record<string, number>): number[] {
  for (const label of Object.keys(set)) expect(problem.labels).toContain(label);
  return problem.labels.map((label) => set[label] ?? rest);
}

function networkOf(problem: Problem, actions: readonly number[]): NetworkSpec {
  const student = problem.apply(actions);
  if (student.kind !== 'network') throw new Error(student.reason);
  return student.spec;
}

const node = (spec: NetworkSpec, id: string) => spec.nodes.find((other) => other.id === id)!;
const isFree = (problem: Problem, label: string): boolean =>
  problem.episode.legal[problem.labels.indexOf(label)]!.filter(Boolean).length > 1;
const legalActions = (problem: Problem) =>
  fc.tuple(...problem.episode.legal.map((mask) => fc.constantFrom(...mask.flatMap((legal, action) => (legal ? [action] : [])))));

describe.each(Object.entries(networks))('%s', (_name, spec) => {
  test('whatever the actions of both stages, a valid network or a stated reason comes out', () => {
    const removal = removalProblem(spec);
    let networksSeen = 0;
    fc.assert(
      fc.property(
        legalActions(removal),
        fc.infiniteStream(fc.nat(9)),
        fc.constantFrom(1, 8),
        fc.constantFrom(...shrinkageActions),
        (removals, stream, roundTo, space) => {
          const first = removal.apply(removals);
          if (first.kind === 'degenerate') {
            expect(first.reason).toMatch(/kernel \d+x\d+ does not fit|nothing is left/);
            return true;
          }
          const shrinkage = shrinkageProblem(first.spec, { roundTo, shrinkageActions: space });
          const choice = stream[Symbol.iterator]();
          const actions = shrinkage.episode.legal.map((mask) => {
            const action = choice.next().value as number;
            return mask[action] === true ? action : UNCHANGED;
          });
          const second = shrinkage.apply(actions);
          if (second.kind === 'degenerate') {
            expect(second.reason).toMatch(/kernel \d+x\d+ does not fit|nothing is left/);
            return true;
          }
          networksSeen++;
          expect(parseSpec(JSON.parse(JSON.stringify(second.spec)))).toEqual(second.spec);
          analyse(second.spec);
          const verdict = judge(second, { params: parameterCount(spec), macs: macs(spec) });
          return verdict.kind === 'network' || verdict.reason.length > 0;
        },
      ),
      { numRuns: 40, seed: 7 },
    );
    expect(networksSeen).toBeGreaterThan(5);
  });

  test('changing nothing gives the same network', () => {
    const removal = removalProblem(spec);
    expect(
      networkOf(
        removal,
        removal.labels.map(() => KEEP),
      ),
    ).toEqual(spec);
    const shrinkage = layers(spec);
    expect(
      networkOf(
        shrinkage,
        shrinkage.labels.map(() => UNCHANGED),
      ),
    ).toEqual(spec);
  });

  test('coupled widths are one decision', () => {
    const { groups } = channelGroups(spec);
    const problem = layers(spec);
    for (const group of groups) {
      const free = problem.labels.filter((label) => {
        const [id, attribute] = [label.slice(0, label.lastIndexOf('.')), label.slice(label.lastIndexOf('.') + 1)];
        return group.producers.includes(id) && ['filters', 'features', 'channels'].includes(attribute) && isFree(problem, label);
      });
      expect(free.length, group.id).toBe(group.fixed || group.width <= 10 ? 0 : 1);
    }
  });
});

test('what a search leaves alone is listed with the reason, and nothing else is', () => {
  const spec = networks['resnet20']!;
  const listed = new Map(fixedLayers(spec).map((layer) => [layer.id, layer]));
  expect(listed.get('conv1')!.removal).toBe('is the first layer');
  expect(listed.get('layer2.0.conv1')!.removal).toBe('has a stride');
  expect(listed.get('layer2.0.subsample')!.removal).toBe('is part of a shortcut, which follows the layers beside it');
  expect(listed.get('layer2.0.pad')!.sizes).toEqual({ channels: 'is that of "layer2.0.conv2"' });
  expect(listed.get('layer1.2.conv2')!.sizes['filters']).toBe('is that of "conv1"');
  expect(listed.get('fc')).toMatchObject({ removal: 'is the output', sizes: { features: 'is fixed (logits)' } });
  expect(listed.get('layer1.1.conv1')).toMatchObject({ removal: undefined, sizes: { stride: expect.stringContaining('stays') } });
  expect(listed.has('layer1.1.bn1')).toBe(false);
  const mobile = new Map(fixedLayers(networks['mobilenetv2@0.5']!).map((layer) => [layer.id, layer]));
  expect(mobile.get('features.2.conv.1.0')!.sizes['filters']).toBe('is one for each channel of its input (depthwise)');
  const fire = new Map(fixedLayers(networks['squeezenet@0.5']!).map((layer) => [layer.id, layer]));
  expect(fire.get('classifier.1')).toMatchObject({ removal: 'makes the logits', sizes: { filters: 'is fixed (logits)' } });
  for (const [id, problem] of Object.entries(networks).map(([name, network]) => [name, removalProblem(network)] as const)) {
    const fixed = new Map(fixedLayers(networks[id]!).map((layer) => [layer.id, layer.removal]));
    for (const label of problem.labels) expect(isFree(problem, label), `${id} ${label}`).toBe(fixed.get(label) === undefined);
  }
});

describe('removal', () => {
  test('keeps the first layer, the last, layers with a stride, linear and average-pool layers, joins and projections', () => {
    const problem = removalProblem(networks['resnet18@0.25']!);
    for (const id of ['conv1', 'fc', 'avgpool', 'layer2.0.conv1', 'layer1.0.add', 'layer2.0.downsample.0', 'layer2.0.downsample.1']) {
      expect(isFree(problem, id), id).toBe(false);
    }
    for (const id of ['bn1', 'relu', 'layer1.0.conv1', 'layer1.0.conv2', 'layer2.0.conv2', 'layer1.0.bn1', 'layer1.0.relu']) {
      expect(isFree(problem, id), id).toBe(true);
    }
    const lenet = removalProblem(networks['lenet5']!);
    expect(lenet.labels.filter((label) => isFree(lenet, label))).toEqual(['relu1', 'conv2', 'relu2', 'relu3', 'relu4']);
  });

  test('an emptied identity block is the identity', () => {
    const spec = networks['resnet18@0.25']!;
    const problem = removalProblem(spec);
    const student = networkOf(problem, actionsWith(problem, KEEP, { 'layer1.0.conv1': REMOVE, 'layer1.0.conv2': REMOVE }));
    expect(student.nodes.some(({ id }) => id === 'layer1.0.add')).toBe(false);
    expect(node(student, 'layer1.0.relu').inputs).toEqual(['relu']);
    expect(student.nodes.every(({ inputs }) => new Set(inputs).size === inputs.length)).toBe(true);
  });

  test('a removed layer that changed the width is followed by those after it', () => {
    const spec = networks['vgg13@0.25']!;
    const problem = removalProblem(spec);
    // The third convolution takes 16 channels to 32; without it the fourth takes 16.
    const convolutions = spec.nodes.filter(({ type }) => type === 'conv2d').map(({ id }) => id);
    const student = networkOf(problem, actionsWith(problem, KEEP, { [convolutions[2]!]: REMOVE }));
    expect(analyse(student).byId.get(convolutions[3]!)!.inputShapes[0]).toMatchObject({ channels: 16 });
  });

  test('a removed pool makes maps larger and the linear layer follow', () => {
    const spec = networks['lenet5']!;
    const problem = removalProblem(spec);
    const student = networkOf(problem, actionsWith(problem, KEEP, { pool2: REMOVE }));
    expect(analyse(student).byId.get('fc1')!.inputShapes[0]).toEqual({ kind: 'vector', features: 16 * 10 * 10 });
    expect(judge({ kind: 'network', spec: student }, { params: parameterCount(spec), macs: macs(spec) })).toMatchObject({
      kind: 'degenerate',
      reason: expect.stringMatching(/not fewer than/),
    });
  });
});

describe('shrinkage', () => {
  const lenet = networks['lenet5']!;

  test("scales widths down to the floor of 10, or the layer's own width if that is smaller", () => {
    const problem = layers(lenet);
    expect(isFree(problem, 'conv1.filters')).toBe(false);
    const student = networkOf(problem, actionsWith(problem, UNCHANGED, { 'conv2.filters': 0, 'fc1.features': 4, 'fc2.features': 0 }));
    expect(node(student, 'conv2').attributes['filters']).toBe(10);
    expect(node(student, 'fc1').attributes['features']).toBe(60);
    expect(node(student, 'fc2').attributes['features']).toBe(10);
    expect(node(student, 'fc3').attributes['features']).toBe(10);
  });

  test('the logits and what is at its floor already cannot be chosen', () => {
    const problem = layers(lenet);
    expect(problem.labels.filter((label) => isFree(problem, label))).toEqual([
      'conv1.kernel',
      'conv1.padding',
      'pool1.kernel',
      'conv2.kernel',
      'conv2.filters',
      'pool2.kernel',
      'fc1.features',
      'fc2.features',
    ]);
    for (const [t, mask] of problem.episode.legal.entries()) expect(mask[UNCHANGED], problem.labels[t]).toBe(true);
  });

  test("a convolution that kept its map's size still does with any smaller kernel", () => {
    const spec = networks['plain-6']!;
    const problem = layers(spec);
    for (const action of [0, 4, 6]) {
      const student = networkOf(problem, actionsWith(problem, UNCHANGED, { 'conv1.kernel': action, 'conv3.kernel': action }));
      expect(analyse(student).byId.get('conv3')!.outputShape).toMatchObject(
        (({ kind, height, width }) => ({ kind, height, width }))(
          analyse(spec).byId.get('conv3')!.outputShape as { kind: 'map'; height: number; width: number },
        ),
      );
      expect(macs(student)).toBeLessThan(macs(spec));
    }
  });

  test('padding has an action of its own', () => {
    const problem = layers(lenet);
    const student = networkOf(problem, actionsWith(problem, UNCHANGED, { 'conv1.padding': 0 }));
    expect(node(student, 'conv1').attributes['padding']).toEqual([0, 0, 0, 0]);
    expect(analyse(student).byId.get('conv1')!.outputShape).toMatchObject({ height: 24, width: 24 });
  });

  test('one width of a residual stage holds for all that its adds join', () => {
    const spec = networks['resnet18@0.25']!;
    const problem = layers(spec);
    expect(isFree(problem, 'layer2.0.downsample.0.filters')).toBe(false);
    const student = networkOf(problem, actionsWith(problem, UNCHANGED, { 'layer2.0.conv2.filters': 4 }));
    expect(node(student, 'layer2.0.downsample.0').attributes).toMatchObject({ stride: [2, 2], filters: 16 });
    expect(node(student, 'layer2.1.conv2').attributes['filters']).toBe(16);
    expect(node(student, 'layer2.1.conv1').attributes['filters']).toBe(32);
    expect(analyse(student).byId.get('layer2.0.add')!.outputShape).toEqual({ kind: 'map', channels: 16, height: 16, width: 16 });
  });

  test('strides stay, so that no map grows', () => {
    const problem = layers(networks['resnet18@0.25']!);
    for (const label of problem.labels.filter((each) => each.endsWith('.stride'))) expect(isFree(problem, label), label).toBe(false);
  });

  test('widths can be brought to a multiple', () => {
    const problem = layers(networks['plain-6']!, 8);
    const student = networkOf(problem, actionsWith(problem, UNCHANGED, { 'conv1.filters': 0, 'conv3.filters': 6, 'conv5.filters': 2 }));
    expect(['conv1', 'conv3', 'conv5', 'conv6'].map((id) => node(student, id).attributes['filters'])).toEqual([16, 48, 40, 128]);
  });

  test('a map that shrinks to nothing is a stated reason', () => {
    // conv1 without padding and conv2 with kernels of 5 leave 4x4; a network for 8x8 images has no room for that.
    const small = parseSpec({
      input: { channels: 1, height: 5, width: 5 },
      classes: 10,
      nodes: [
        { type: 'conv2d', id: 'a', attributes: { filters: 12, kernel: 3, padding: 1 } },
        { type: 'conv2d', id: 'b', attributes: { filters: 12, kernel: 5 } },
        { type: 'flatten' },
        { type: 'linear', attributes: { features: 10 } },
      ],
    });
    const problem = layers(small);
    const student = problem.apply(actionsWith(problem, UNCHANGED, { 'a.padding': 0 }));
    expect(student).toMatchObject({ kind: 'degenerate', reason: expect.stringMatching(/node "b".*kernel 5x5 does not fit/) });
  });
});

test('skips are found from the graph: where they part, where they meet, what projects', () => {
  const skips = findSkips(networks['resnet18@0.25']!);
  expect(skips).toHaveLength(8);
  expect(skips[0]).toMatchObject({ start: 'relu', end: 'layer1.0.add', projection: [] });
  expect(skips[2]).toMatchObject({
    start: 'layer1.1.relu',
    end: 'layer2.0.add',
    projection: ['layer2.0.downsample.0', 'layer2.0.downsample.1'],
  });
  expect(skips[2]!.inside).toContain('layer2.0.conv1');
  expect(findSkips(networks['lenet5']!)).toEqual([]);
});

describe('degenerate students', () => {
  const build = (nodes: object[], height = 8) => parseSpec({ input: { channels: 3, height, width: height }, classes: 4, nodes });

  test('a linear layer with more than 50,000 inputs', () => {
    const spec = build(
      [
        { type: 'conv2d', attributes: { filters: 13, kernel: 1 } },
        { type: 'flatten' },
        { id: 'fc', type: 'linear', attributes: { features: 4 } },
      ],
      64,
    );
    expect(judge({ kind: 'network', spec }, { params: 1e9, macs: 1e12 })).toEqual({
      kind: 'degenerate',
      reason: 'node "fc": linear layer has 53248 inputs, at most 50000 are allowed',
    });
  });

  test('nothing between input and output', () => {
    const spec = build([{ type: 'flatten' }, { type: 'linear', attributes: { features: 4 } }]);
    expect(judge({ kind: 'network', spec }, { params: 1e9, macs: 1e12 })).toMatchObject({
      kind: 'degenerate',
      reason: expect.stringMatching(/nothing is left/),
    });
  });

  test('not smaller than the teacher; smaller by one is enough', () => {
    const spec = networks['lenet5']!;
    const params = parameterCount(spec);
    expect(judge({ kind: 'network', spec }, { params, macs: 1e12 })).toMatchObject({ kind: 'degenerate' });
    expect(judge({ kind: 'network', spec }, { params: params + 1, macs: 1e12 })).toEqual({ kind: 'network', spec });
    expect(judge({ kind: 'network', spec }, { params: params + 1, macs: macs(spec) })).toEqual({ kind: 'network', spec });
    expect(judge({ kind: 'network', spec }, { params: params + 1, macs: macs(spec) - 1 })).toMatchObject({ kind: 'degenerate' });
  });
});

describe('one action a channel group', () => {
  const spec = networks['resnet18@0.25']!;
  const problem = groups(spec);
  const free = channelGroups(spec).groups.filter(({ fixed }) => !fixed);

  test('has one decision for every group of coupled channels that may change, and for nothing else', () => {
    expect(problem.labels).toHaveLength(free.length);
    for (const label of problem.labels) expect(label).toMatch(/\.filters$/);
    const deciders = problem.labels.map((label) => label.replace('.filters', ''));
    for (const { producers } of free) expect(deciders.filter((id) => producers.includes(id))).toHaveLength(1);
    expect(problem.labels.length).toBeLessThan(layers(spec).labels.length / 3);
  });

  test('its state is that of the deciding layer and the number of layers that produce the group', () => {
    const rows = encodeLayers(spec);
    for (const [t, label] of problem.labels.entries()) {
      const id = label.replace('.filters', '');
      const { producers } = free.find((group) => group.producers.includes(id))!;
      const state = problem.episode.states[t]!;
      expect(state).toHaveLength(shrinkageSizes.group.stateSize);
      expect([...state].slice(0, -1)).toEqual([...rows[spec.nodes.findIndex((other) => other.id === id)]!]);
      expect(state.at(-1)).toBe(Math.log2(1 + producers.length) / 4);
    }
  });

  test('scales all producers of a group to one width, as the same action on its layer does', () => {
    const shared = free.reduce((most, group) => (group.producers.length > most.producers.length ? group : most));
    expect(shared.producers.length).toBeGreaterThan(2);
    const at = problem.labels.findIndex((label) => shared.producers.includes(label.replace('.filters', '')));
    const student = networkOf(
      problem,
      problem.labels.map((_, t) => (t === at ? 7 : UNCHANGED)),
    );
    const label = problem.labels[at]!;
    expect(student).toEqual(networkOf(layers(spec), actionsWith(layers(spec), UNCHANGED, { [label]: 7 })));
    for (const id of shared.producers) expect(node(student, id).attributes['filters']).toBe(Math.round(0.8 * shared.width));
  });
});
