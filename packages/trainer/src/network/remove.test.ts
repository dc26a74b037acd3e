// Removal of layers, alone and in residual blocks.
import { describe, expect, test } from 'vitest';
import {
  analyse,
  collapseAdds,
  type NetworkSpec,
  parameterCount,
  parseSpec,
  removableNodes,
  removeNodes,
  shapeAt,
  zooSpec,
} from './index.js';

const cifar = { channels: 3, height: 32, width: 32, classes: 10 };
const resnet = zooSpec('resnet18', cifar);

const node = (spec: NetworkSpec, id: string): NetworkSpec['nodes'][number] | undefined => spec.nodes.find((other) => other.id === id);
const inside = (prefix: string, spec = resnet): string[] => removableNodes(spec).filter((id) => id.startsWith(prefix));

describe('plain networks', () => {
  test("consumers take the removed node's input, and in-channels follow", () => {
    const vgg = zooSpec('vgg11', cifar);
    const removed = removeNodes(vgg, ['features.4', 'features.5']); // The convolution 64 -> 128 and its batch-norm.
    expect(node(removed, 'features.6')?.inputs).toEqual(['features.3']);
    expect(analyse(removed).byId.get('features.8')?.parameters[0]?.shape).toEqual([256, 64, 3, 3]);
    expect(removed.nodes).toHaveLength(vgg.nodes.length - 2);
  });

  test('a removed pool leaves larger maps behind', () => {
    const spec = removeNodes(zooSpec('lenet5', { ...cifar, channels: 1, height: 28, width: 28 }), ['pool1']);
    expect(shapeAt(analyse(spec), 'pool2')).toEqual({ kind: 'map', channels: 16, height: 12, width: 12 });
  });

  test('a depthwise convolution follows the channels that are left', () => {
    const spec = parseSpec({
      input: { channels: 3, height: 8, width: 8 },
      classes: 10,
      nodes: [
        { id: 'stem', type: 'conv2d', attributes: { filters: 8, kernel: 1 } },
        { id: 'up', type: 'conv2d', attributes: { filters: 32, kernel: 1 } },
        { id: 'depthwise', type: 'conv2d', attributes: { filters: 32, kernel: 3, padding: 1, groups: 32 } },
        { id: 'pool', type: 'global-average-pool' },
        { id: 'fc', type: 'linear', attributes: { features: 10 } },
      ],
    });
    expect(node(removeNodes(spec, ['up']), 'depthwise')?.attributes).toMatchObject({ filters: 8, groups: 8 });
    expect(node(removeNodes(spec, ['stem', 'up']), 'depthwise')?.attributes).toMatchObject({ filters: 3, groups: 3 });
  });

  test('what cannot be removed is named', () => {
    expect(() => removeNodes(resnet, ['fc'])).toThrow('node "fc": cannot be removed: it is the output');
    expect(() => removeNodes(resnet, ['layer1.0.add'])).toThrow('it has 2 inputs, needs one to pass on');
    expect(() => removeNodes(resnet, ['avgpool'])).toThrow('it turns a map into a vector');
    expect(() => removeNodes(resnet, ['layer1.0.conv3'])).toThrow('is not in the network (did you mean "layer1.0.conv1"?)');
  });
});

describe('residual blocks', () => {
  const branch = ['conv1', 'bn1', 'relu1', 'conv2', 'bn2'];
  const emptied = (block: string, layers: readonly string[] = branch): NetworkSpec =>
    removeNodes(
      resnet,
      layers.map((layer) => `${block}.${layer}`),
    );

  test('an emptied identity block is the identity, never x + x', () => {
    const spec = emptied('layer1.0');
    expect(node(spec, 'layer1.0.add')).toBeUndefined();
    expect(node(spec, 'layer1.0.relu')?.inputs).toEqual(['relu']);
    expect(inside('layer1.0', spec)).toEqual(['layer1.0.relu']);
  });

  test.each([
    ['a relu', ['conv1', 'bn1', 'conv2', 'bn2']],
    ['batch-norms and a relu', ['conv1', 'conv2']],
  ])('a block with only %s left on its branch is the identity as well', (_, layers) => {
    expect(emptied('layer3.1', layers)).toEqual(emptied('layer3.1'));
  });

  test('an emptied block with a projection is the projection: other widths and sizes stay', () => {
    const spec = emptied('layer2.0');
    expect(node(spec, 'layer2.0.relu')?.inputs).toEqual(['layer2.0.downsample.1']);
    expect(node(spec, 'layer2.0.downsample.0')?.attributes).toEqual(node(resnet, 'layer2.0.downsample.0')?.attributes);
    expect(parameterCount(resnet) - parameterCount(spec)).toBe(9 * (64 * 128 + 128 * 128) + 4 * 128);
  });

  test('a shortcut goes with its projection', () => {
    const spec = removeNodes(resnet, ['layer2.0.downsample.0', 'layer2.0.downsample.1']);
    expect(node(spec, 'layer2.0.relu')?.inputs).toEqual(['layer2.0.bn2']);
    expect(parameterCount(resnet) - parameterCount(spec)).toBe(64 * 128 + 2 * 128);
  });

  test('a block with nothing left goes, and so does the shortcut of the next, which changes the width', () => {
    const spec = removeNodes(resnet, inside('layer2.0'));
    expect(inside('layer2.0', spec)).toEqual([]);
    expect(node(spec, 'layer2.1.conv1')?.inputs).toEqual(['layer1.1.relu']);
    expect(node(spec, 'layer2.1.relu')?.inputs).toEqual(['layer2.1.bn2']);
    expect(shapeAt(analyse(spec), 'layer2.1.relu')).toEqual({ kind: 'map', channels: 128, height: 32, width: 32 });
  });

  test('a projection follows the main branch that lost its stride', () => {
    const spec = removeNodes(resnet, ['layer2.0.conv1', 'layer2.0.bn1', 'layer2.0.relu1']);
    expect(node(spec, 'layer2.0.downsample.0')?.attributes).toMatchObject({ stride: [1, 1], padding: [0, 0, 0, 0], filters: 128 });
    expect(shapeAt(analyse(spec), 'layer2.0.add')).toEqual({ kind: 'map', channels: 128, height: 32, width: 32 });
  });

  test("a bottleneck that lost its last convolution gets the add's width from the one before", () => {
    const teacher = zooSpec('resnet50', cifar);
    const spec = removeNodes(teacher, ['layer2.1.conv3', 'layer2.1.bn3']);
    expect(node(spec, 'layer2.1.conv2')?.attributes).toMatchObject({ filters: 512 });
    expect(node(spec, 'layer2.0.conv3')?.attributes).toEqual(node(teacher, 'layer2.0.conv3')?.attributes);
    expect(node(spec, 'layer2.1.add')?.inputs).toEqual(['layer2.1.relu2', 'layer2.0.relu']);
  });

  test("an emptied block on the network input joins the input's fixed width", () => {
    const spec = parseSpec({
      input: { channels: 3, height: 4, width: 4 },
      classes: 2,
      nodes: [
        { id: 'a', type: 'conv2d', attributes: { filters: 7, kernel: 1 } },
        { id: 'b', type: 'conv2d', attributes: { filters: 3, kernel: 1 } },
        { id: 's', type: 'add', inputs: ['input', 'b'] },
        { id: 'g', type: 'global-average-pool' },
        { id: 'l', type: 'linear', attributes: { features: 2 } },
      ],
    });
    expect(node(removeNodes(spec, ['b']), 'a')?.attributes).toMatchObject({ filters: 3 });
    expect(removeNodes(spec, ['a', 'b']).nodes.map(({ id }) => id)).toEqual(['g', 'l']);
  });

  test('everything that may go can go at once', () => {
    expect(removeNodes(resnet, removableNodes(resnet)).nodes.map(({ id }) => id)).toEqual(['avgpool', 'fc']);
  });
});

test('a shortcut in another channel layout than its branch is not taken for one of other channels', () => {
  const spec = parseSpec({
    input: { channels: 3, height: 8, width: 8 },
    classes: 10,
    nodes: [
      { id: 'stem', type: 'conv2d', attributes: { filters: 4, kernel: 1 } },
      { id: 'doubled', type: 'conv2d', attributes: { filters: 8, kernel: 1, groups: 4 } },
      { id: 'relu', type: 'relu' },
      { id: 'branch', type: 'conv2d', attributes: { filters: 8, kernel: 1 } },
      { id: 'norm', type: 'batch-norm' },
      { id: 's', type: 'add', inputs: ['norm', 'relu'] },
      { id: 'g', type: 'global-average-pool' },
      { id: 'l', type: 'linear', attributes: { features: 10 } },
    ],
  });
  expect(removeNodes(spec, [])).toEqual(spec);
  expect(node(removeNodes(spec, ['relu']), 's')?.inputs).toEqual(['norm', 'doubled']);
});

test('a branch that cannot have the width of the rest goes', () => {
  const spec = parseSpec({
    input: { channels: 3, height: 8, width: 8 },
    classes: 10,
    nodes: [
      { id: 'wide', type: 'conv2d', attributes: { filters: 16, kernel: 1 } },
      { id: 'pool', type: 'max-pool', attributes: { kernel: 2 } },
      { id: 'branch', type: 'conv2d', inputs: ['input'], attributes: { filters: 16, kernel: 2, stride: 2 } },
      { id: 'other', type: 'conv2d', inputs: ['input'], attributes: { filters: 16, kernel: 4, stride: 2, padding: 1 } },
      { id: 's', type: 'add', inputs: ['pool', 'branch', 'other'] },
      { id: 'g', type: 'global-average-pool' },
      { id: 'l', type: 'linear', attributes: { features: 10 } },
    ],
  });
  const edited = removeNodes(spec, ['wide']);
  expect(edited.nodes.map(({ id }) => id)).toEqual(['branch', 'other', 's', 'g', 'l']);
  expect(node(edited, 's')?.inputs).toEqual(['branch', 'other']);
});

test('x + relu(x) that the network always had stays', () => {
  const spec = parseSpec({
    input: { channels: 3, height: 8, width: 8 },
    classes: 10,
    nodes: [
      { id: 'c', type: 'conv2d', attributes: { filters: 4, kernel: 1 } },
      { id: 'n', type: 'batch-norm' },
      { id: 'r', type: 'relu' },
      { id: 's', type: 'add', inputs: ['r', 'n'] },
      { id: 'g', type: 'global-average-pool' },
      { id: 'l', type: 'linear', attributes: { features: 10 } },
    ],
  });
  expect(removeNodes(spec, ['c']).nodes.map(({ id, inputs }) => [id, ...inputs])).toContainEqual(['s', 'r', 'n']);
});

test('collapseAdds replaces x + x by x and leaves other adds', () => {
  const spec = parseSpec({
    input: { channels: 4, height: 2, width: 2 },
    classes: 4,
    nodes: [
      { id: 'r', type: 'relu' },
      { id: 'double', type: 'add', inputs: ['r', 'r'] },
      { id: 'again', type: 'add', inputs: ['double', 'r'] },
      { id: 'sum', type: 'add', inputs: ['again', 'input'] },
      { id: 'g', type: 'global-average-pool' },
    ],
  });
  const { nodes } = collapseAdds(spec);
  expect(nodes.map(({ id, inputs }) => [id, ...inputs])).toEqual([
    ['r', 'input'],
    ['sum', 'r', 'input'],
    ['g', 'sum'],
  ]);
});
