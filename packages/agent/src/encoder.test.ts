import { nodeTypes, parseSpec, zooSpec } from '@n2n/trainer/network';
import { expect, test } from 'vitest';
import { encodeLayers, LAYER_STATE_SIZE } from './encoder.js';

/** Types with a position of their own; the others share one of these. */
const types = ['add', 'average-pool', 'batch-norm', 'conv2d', 'dropout', 'flatten', 'global-average-pool', 'linear', 'max-pool', 'relu'];
const spec = zooSpec('resnet18', { channels: 3, height: 32, width: 32, classes: 10 });
const states = encodeLayers(spec);
const row = (id: string): number[] => [...states[spec.nodes.findIndex((node) => node.id === id)]!];
const sizes = (id: string): number[] => row(id).slice(types.length);

test('one row a layer, its type one-hot', () => {
  expect(states).toHaveLength(spec.nodes.length);
  for (const [t, state] of states.entries()) {
    expect(state).toHaveLength(LAYER_STATE_SIZE);
    const hot = [...state].slice(0, types.length);
    expect(hot.reduce((a, b) => a + b)).toBe(1);
    expect(types[hot.indexOf(1)]).toBe(spec.nodes[t]!.type);
  }
});

test('every node type has a position: activations share one, and so do joins and what fits a shortcut to one', () => {
  expect(LAYER_STATE_SIZE).toBe(types.length + 6);
  const nodes = [
    { id: 'a', type: 'conv2d', attributes: { filters: 3, kernel: 1 } },
    ...['relu6', 'silu', 'hard-swish', 'leaky-relu', 'sigmoid', 'hard-sigmoid'].map((type) => ({ id: type, type })),
    { id: 'multiply', type: 'multiply', inputs: ['a', 'hard-sigmoid'] },
    { id: 'concat', type: 'concat', inputs: ['multiply', 'relu6'] },
    { id: 'cut', type: 'pad-channels', attributes: { channels: 6 } },
    { id: 'pool', type: 'global-average-pool', inputs: ['cut'] },
  ];
  const small = parseSpec({ input: { channels: 3, height: 4, width: 4 }, classes: 6, nodes });
  const positions = encodeLayers(small).map((state) => types[[...state].slice(0, types.length).indexOf(1)]);
  expect(positions).toEqual(['conv2d', ...new Array<string>(6).fill('relu'), 'add', 'add', 'add', 'global-average-pool']);
  expect([...nodeTypes.keys()]).toHaveLength(types.length + 9);
});

test('sizes are log-scaled and stay near 0 .. 1', () => {
  expect(sizes('conv1').slice(0, 4)).toEqual([2 / 4, 1 / 4, 1 / 4, Math.log2(65) / 10]);
  expect(sizes('layer4.0.conv1')[1]).toBeCloseTo(Math.log2(3) / 4, 12);
  expect(sizes('bn1').slice(0, 3)).toEqual([0, 0, 0]);
  for (const state of states) for (const value of state) expect(Math.abs(value)).toBeLessThanOrEqual(1);
});

test('a layer inside a skip knows where it starts and ends; any other has its own position', () => {
  const at = (id: string): number => (spec.nodes.findIndex((node) => node.id === id) + 1) / spec.nodes.length;
  expect(sizes('layer1.0.conv2').slice(4)).toEqual([at('relu'), at('layer1.0.add')]);
  expect(sizes('layer2.0.downsample.0').slice(4)).toEqual([at('layer1.1.relu'), at('layer2.0.add')]);
  expect(sizes('conv1').slice(4)).toEqual([at('conv1'), at('conv1')]);
  expect(sizes('fc').slice(4)).toEqual([1, 1]);
});
