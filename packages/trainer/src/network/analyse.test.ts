// Shapes, costs and the hash against figures worked out by hand.
import { describe, expect, test } from 'vitest';
import { activationBytes, analyse, macs, modelBytes, parameterCount, parseSpec, specHash, zooSpec } from './index.js';

const residual = {
  input: { channels: 2, height: 6, width: 4 },
  classes: 3,
  nodes: [
    { id: 'a', type: 'conv2d', attributes: { filters: 4, kernel: [3, 1], stride: [2, 1], padding: [1, 0, 0, 0], bias: false } },
    { id: 'n', type: 'batch-norm' },
    { id: 'd', type: 'conv2d', attributes: { filters: 8, kernel: 3, padding: 1, groups: 4 } },
    { id: 'p', type: 'conv2d', inputs: ['n'], attributes: { filters: 8, kernel: 1 } },
    { id: 's', type: 'add', inputs: ['d', 'p'] },
    { id: 'f', type: 'flatten' },
    { id: 'l', type: 'linear', attributes: { features: 3 } },
  ],
};

test('shapes, parameters, MACs and bytes of a small residual network', () => {
  const spec = parseSpec(residual);
  const { byId } = analyse(spec);
  const map = (channels: number): object => ({ kind: 'map', channels, height: 3, width: 4 });
  expect([...byId.values()].map(({ outputShape }) => outputShape)).toEqual([
    map(4), // floor((6 + 1 - 3) / 2) + 1 = 3
    map(4),
    map(8),
    map(8),
    map(8),
    { kind: 'vector', features: 96 },
    { kind: 'vector', features: 3 },
  ]);
  expect(byId.get('d')?.parameters.map(({ name, shape, fanIn }) => ({ name, shape, fanIn }))).toEqual([
    { name: 'weight', shape: [8, 1, 3, 3], fanIn: 9 },
    { name: 'bias', shape: [8], fanIn: undefined },
  ]);
  const trained = 4 * 2 * 3 + 2 * 4 + (8 * 9 + 8) + (8 * 4 + 8) + (96 * 3 + 3);
  expect(parameterCount(spec)).toBe(trained);
  expect(modelBytes(spec)).toBe(4 * (trained + 2 * 4));
  expect(macs(spec)).toBe(12 * (4 * 2 * 3 + 8 * 9 + 8 * 4) + 96 * 3);
  // The largest moment is the add: both branches of 96 elements and its sum.
  expect(activationBytes(spec)).toBe(4 * 3 * 96);
});

test('the peak counts an input that a later node still needs', () => {
  const spec = parseSpec({
    input: { channels: 4, height: 2, width: 2 },
    classes: 4,
    nodes: [
      { id: 'a', type: 'relu' },
      { id: 'b', type: 'relu' },
      { id: 's', type: 'add', inputs: ['b', 'input'] },
      { id: 'g', type: 'global-average-pool' },
    ],
  });
  expect(activationBytes(spec)).toBe(4 * 48);
});

describe('hash', () => {
  const spec = parseSpec(residual);
  const hash = specHash(spec);

  test('is 16 hexadecimal digits, the same for ever', () => {
    expect(hash).toMatch(/^[0-9a-f]{16}$/);
    expect(specHash(zooSpec('lenet5', { channels: 1, height: 28, width: 28, classes: 10 }))).toMatchInlineSnapshot(`"9afbccaa1803e9ee"`);
  });

  test('does not depend on names, ids, key order or the topological order chosen', () => {
    const renamed = {
      ...spec,
      name: 'other',
      nodes: spec.nodes.map(({ id, type, inputs, attributes }) => ({
        attributes: Object.fromEntries(Object.entries(attributes).toReversed()),
        inputs: inputs.map((input) => (input === 'input' ? input : `x.${input}`)),
        type,
        id: `x.${id}`,
      })),
    };
    const [a, n, d, p, ...rest] = spec.nodes;
    const reordered = { ...spec, nodes: [a, n, p, d, ...rest] };
    expect(specHash(renamed)).toBe(hash);
    expect(specHash(parseSpec(reordered))).toBe(hash);
  });

  test('depends on every attribute, on the input, on the classes and on the wiring', () => {
    const variants: object[] = [
      { ...spec, input: { ...spec.input, height: 5 } },
      { ...spec, nodes: spec.nodes.with(1, { id: 'n', type: 'batch-norm', inputs: ['a'], attributes: { epsilon: 1e-3, momentum: 0.1 } }) },
      { ...spec, nodes: spec.nodes.with(1, { id: 'n', type: 'relu', inputs: ['a'], attributes: {} }) },
      { ...spec, nodes: spec.nodes.with(4, { id: 's', type: 'add', inputs: ['p', 'p'], attributes: {} }).filter(({ id }) => id !== 'd') },
      { ...spec, classes: 4, nodes: spec.nodes.with(6, { id: 'l', type: 'linear', inputs: ['f'], attributes: { features: 4 } }) },
    ];
    const hashes = variants.map((variant) => specHash(parseSpec(variant)));
    expect(new Set([hash, ...hashes]).size).toBe(variants.length + 1);
  });

  test('tells two branches with weights of their own from one branch used twice', () => {
    const nodes = spec.nodes.with(3, { ...spec.nodes[2], id: 'p' } as never);
    const two = parseSpec({ ...spec, nodes });
    const one = parseSpec({
      ...spec,
      nodes: nodes.filter(({ id }) => id !== 'p').map((node) => (node.id === 's' ? { ...node, inputs: ['d', 'd'] } : node)),
    });
    expect(specHash(two)).not.toBe(specHash(one));
  });
});
