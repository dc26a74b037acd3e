// New kernels, strides and paddings, and what follows them.
import { describe, expect, test } from 'vitest';
import { analyse, type AttributeValue, type NetworkSpec, parseSpec, shapeAt, withAttributes, zooSpec } from './index.js';

const cifar = { channels: 3, height: 32, width: 32, classes: 10 };
const resnet = zooSpec('resnet18', cifar);
const attributes = (spec: NetworkSpec, id: string): unknown => spec.nodes.find((node) => node.id === id)?.attributes;
const change = (spec: NetworkSpec, id: string, values: Record<string, AttributeValue>): NetworkSpec =>
  withAttributes(spec, new Map([[id, values]]));

describe('in a residual network', () => {
  test("the projection follows the main branch's stride", () => {
    const spec = change(resnet, 'layer2.0.conv1', { stride: 1 });
    expect(attributes(spec, 'layer2.0.downsample.0')).toMatchObject({ stride: [1, 1], padding: [0, 0, 0, 0] });
    expect(shapeAt(analyse(spec), 'layer2.1.relu')).toMatchObject({ height: 32, width: 32 });
  });

  test("the projection follows the main branch's kernel and padding", () => {
    const spec = change(resnet, 'layer2.0.conv2', { kernel: 1 });
    expect(shapeAt(analyse(spec), 'layer2.0.add')).toMatchObject({ height: 18, width: 18 });
    expect(attributes(spec, 'layer2.0.conv2')).toMatchObject({ kernel: [1, 1], padding: [1, 1, 1, 1] });
  });

  test('in an identity block the branch follows the shortcut', () => {
    const spec = change(resnet, 'layer1.0.conv1', { kernel: 2 });
    expect(attributes(spec, 'layer1.0.conv1')).toMatchObject({ kernel: [2, 2], padding: [1, 1, 1, 1] });
    expect(attributes(spec, 'layer1.0.conv2')).toMatchObject({ stride: [1, 1], padding: [0, 0, 1, 1] });
    expect(shapeAt(analyse(spec), 'layer1.0.add')).toMatchObject({ height: 32, width: 32 });
  });

  test('what does not disagree stays as it is', () => {
    const spec = change(resnet, 'conv1', { kernel: [5, 1], padding: [2, 0] });
    expect(spec.nodes.filter((node, i) => JSON.stringify(node) !== JSON.stringify(resnet.nodes[i])).map(({ id }) => id)).toEqual(['conv1']);
  });
});

test('a pool keeps its padding under its kernel', () => {
  const spec = parseSpec({
    input: { channels: 4, height: 8, width: 8 },
    classes: 4,
    nodes: [
      { id: 'p', type: 'max-pool', attributes: { kernel: 3, stride: 2, padding: 1 } },
      { id: 'g', type: 'global-average-pool' },
    ],
  });
  expect(attributes(change(spec, 'p', { kernel: 1 }), 'p')).toEqual({ kernel: [1, 1], stride: [2, 2], padding: [0, 0, 0, 0] });
});

test('refusals', () => {
  expect(() => change(resnet, 'conv1', { filters: 3 })).toThrow('node "conv1": attribute "filters" is a width, needs withWidths');
  expect(() => change(resnet, 'conv1', { kernel: 0 })).toThrow('node "conv1": conv2d attribute "kernel": got 0');
  expect(() => change(resnet, 'conv9', { kernel: 1 })).toThrow('node "conv9": is not in the network');
  const lenet = zooSpec('lenet5', { ...cifar, channels: 1, height: 28, width: 28 });
  expect(() => change(lenet, 'conv1', { stride: 8 })).toThrow('node "conv2": conv2d kernel 5x5 does not fit');
});
