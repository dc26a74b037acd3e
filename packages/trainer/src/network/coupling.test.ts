// Channel groups on residual, flattened and depthwise networks, and widths set by group.
import { describe, expect, test } from 'vitest';
import { analyse, channelGroups, channelsOf, parameterCount, parseSpec, shapeAt, withWidths, zooSpec } from './index.js';

const cifar = { channels: 3, height: 32, width: 32, classes: 10 };

describe('groups of resnet18', () => {
  const spec = zooSpec('resnet18', cifar);
  const { groups, layout } = channelGroups(spec);
  const byProducer = (id: string): (typeof groups)[number] | undefined => groups.find(({ producers }) => producers.includes(id));

  test('whatever an add joins is one group: a stage has one', () => {
    // Input, four stages, the first convolution of eight blocks, logits.
    expect(groups).toHaveLength(1 + 4 + 8 + 1);
    expect(byProducer('conv1')).toMatchObject({
      id: 'conv1',
      producers: ['conv1', 'layer1.0.conv2', 'layer1.1.conv2'],
      width: 64,
      fixed: false,
    });
    expect(byProducer('layer3.0.downsample.0')?.producers).toEqual(['layer3.0.conv2', 'layer3.0.downsample.0', 'layer3.1.conv2']);
    expect(byProducer('layer2.0.conv1')?.members).toEqual(['layer2.0.conv1', 'layer2.0.bn1', 'layer2.0.relu1']);
  });

  test('the pooled vector has the channels of the last stage', () => {
    expect(layout.get('avgpool')).toEqual([{ group: 'layer4.0.conv2', factor: 1 }]);
  });

  test('input and logits are fixed, nothing else', () => {
    expect(groups.filter(({ fixed }) => fixed).map(({ id, reason }) => [id, reason])).toEqual([
      ['input', 'network input'],
      ['fc', 'logits'],
    ]);
  });

  test('halving a group sets all its producers and no others', () => {
    const halved = withWidths(spec, new Map([['conv1', 32]]));
    const changed = halved.nodes.filter((node, i) => JSON.stringify(node) !== JSON.stringify(spec.nodes[i]));
    expect(changed.map(({ id }) => id)).toEqual(['conv1', 'layer1.0.conv2', 'layer1.1.conv2']);
    expect(changed.every(({ attributes }) => attributes['filters'] === 32)).toBe(true);
  });

  test('a fixed group, an unknown group and a bad width are refused', () => {
    expect(() => withWidths(spec, new Map([['fc', 5]]))).toThrow('channel group "fc": got width 5, needs 10: it is fixed (logits)');
    expect(() => withWidths(spec, new Map([['conv2', 5]]))).toThrow('got no channel group "conv2" (did you mean "conv1"?)');
    expect(() => withWidths(spec, new Map([['conv1', 0]]))).toThrow('got width 0, needs an integer from 1');
    expect(() => withWidths(spec, new Map([['conv1', 1.5]]))).toThrow('got width 1.5, needs an integer from 1');
  });
});

test('a flattened map has height x width features for each channel', () => {
  const spec = zooSpec('lenet5', { ...cifar, channels: 1, height: 28, width: 28 });
  const { layout, groups } = channelGroups(spec);
  expect(layout.get('flatten')).toEqual([{ group: 'conv2', factor: 25 }]);
  expect(groups.find(({ id }) => id === 'conv2')).toMatchObject({ width: 16, members: ['conv2', 'relu2', 'pool2', 'flatten'] });
  const narrow = withWidths(spec, new Map([['conv2', 5]]));
  expect(channelsOf(shapeAt(analyse(narrow), 'flatten'))).toBe(125);
  expect(parameterCount(spec) - parameterCount(narrow)).toBe(11 * (6 * 25 + 1) + 11 * 25 * 120);
});

const separable = parseSpec({
  input: { channels: 3, height: 8, width: 8 },
  classes: 10,
  nodes: [
    { id: 'stem', type: 'conv2d', attributes: { filters: 12, kernel: 3 } },
    { id: 'depthwise', type: 'conv2d', attributes: { filters: 24, kernel: 3, groups: 12 } },
    { id: 'norm', type: 'batch-norm' },
    { id: 'grouped', type: 'conv2d', attributes: { filters: 18, kernel: 1, groups: 3 } },
    { id: 'pool', type: 'global-average-pool' },
    { id: 'fc', type: 'linear', attributes: { features: 10 } },
  ],
});

describe('grouped convolutions', () => {
  test("a depthwise one has its input's group, a grouped one its own, with widths that its groups divide", () => {
    const { groups, layout } = channelGroups(separable);
    expect(layout.get('norm')).toEqual([{ group: 'stem', factor: 2 }]);
    expect(groups.map(({ id, producers, multipleOf }) => [id, producers, multipleOf])).toEqual([
      ['input', [], 1],
      ['stem', ['stem'], 3],
      ['grouped', ['grouped'], 3],
      ['fc', ['fc'], 1],
    ]);
  });

  test('depthwise filters and groups follow', () => {
    const { nodes } = withWidths(separable, new Map([['stem', 9]]));
    expect(nodes[1]?.attributes).toMatchObject({ filters: 18, groups: 9 });
    expect(nodes[3]?.attributes).toMatchObject({ filters: 18, groups: 3 });
    expect(() => withWidths(separable, new Map([['stem', 10]]))).toThrow('needs a multiple of 3 (grouped convolution)');
  });

  test('a depthwise convolution on the network input is fixed with it', () => {
    const spec = parseSpec({
      input: { channels: 3, height: 4, width: 4 },
      classes: 3,
      nodes: [{ type: 'conv2d', id: 'd', attributes: { filters: 3, kernel: 3, groups: 3 } }, { type: 'global-average-pool' }],
    });
    expect(channelGroups(spec).groups).toEqual([
      {
        id: 'input',
        producers: [],
        members: ['input', 'd', 'global-average-pool1'],
        width: 3,
        fixed: true,
        reason: 'network input, logits',
        multipleOf: 1,
      },
    ]);
  });
});

test('channels that an add joins in different layouts are fixed', () => {
  const spec = parseSpec({
    input: { channels: 1, height: 2, width: 2 },
    classes: 2,
    nodes: [
      { id: 'c', type: 'conv2d', attributes: { filters: 3, kernel: 1 } },
      { id: 'f', type: 'flatten' },
      { id: 'l', type: 'linear', attributes: { features: 12 } },
      { id: 's', type: 'add', inputs: ['f', 'l'] },
      { id: 'out', type: 'linear', attributes: { features: 2 } },
    ],
  });
  const reason = 'joined by an add with channels in another layout';
  expect(
    channelGroups(spec)
      .groups.filter((group) => group.reason === reason)
      .map(({ id }) => id),
  ).toEqual(['c', 'l']);
});
