// What parseSpec accepts, what it fills in, and the words with which it refuses.
import { describe, expect, test } from 'vitest';
import { NODE_LIMIT, parseSpec, SpecError, zooSpec } from './index.js';

const input = { channels: 3, height: 8, width: 8 };
const head = [
  { id: 'pool', type: 'global-average-pool' },
  { id: 'fc', type: 'linear', attributes: { features: 10 } },
];
const spec = (...nodes: unknown[]): unknown => ({ name: 'test', input, classes: 10, nodes: [...nodes, ...head] });

test('a terse spec becomes a canonical one, and a canonical one stays as it is', () => {
  const parsed = parseSpec({
    input,
    classes: 10,
    nodes: [
      { type: 'conv2d', attributes: { filters: 16, kernel: 3, padding: 1 } },
      { id: 'pool', type: 'max-pool', attributes: { kernel: [2, 4], padding: [0, 1] } },
      { type: 'average-pool', attributes: { kernel: 2, stride: 1 } },
      { type: 'batch-norm' },
      { type: 'dropout' },
      ...head.map((node) => ({ ...node, id: `${node.id}_` })),
    ],
  });
  expect(parsed.nodes.slice(0, 5)).toEqual([
    {
      id: 'conv2d0',
      type: 'conv2d',
      inputs: ['input'],
      attributes: { filters: 16, kernel: [3, 3], stride: [1, 1], padding: [1, 1, 1, 1], groups: 1, bias: true },
    },
    { id: 'pool', type: 'max-pool', inputs: ['conv2d0'], attributes: { kernel: [2, 4], stride: [2, 4], padding: [0, 1, 0, 1] } },
    {
      id: 'average-pool2',
      type: 'average-pool',
      inputs: ['pool'],
      attributes: { kernel: [2, 2], stride: [1, 1], padding: [0, 0, 0, 0], countIncludePad: true },
    },
    { id: 'batch-norm3', type: 'batch-norm', inputs: ['average-pool2'], attributes: { epsilon: 1e-5, momentum: 0.1 } },
    { id: 'dropout4', type: 'dropout', inputs: ['batch-norm3'], attributes: { rate: 0.5 } },
  ]);
  expect(parseSpec(JSON.parse(JSON.stringify(parsed)))).toEqual(parsed);
});

const conv = (attributes: object): unknown => ({ id: 'c', type: 'conv2d', attributes });
const relu = (id: string, ...inputs: string[]): unknown => ({ id, type: 'relu', inputs });

describe('refusals name the node, what it got and what it needs', () => {
  test.each<[string, unknown, string | RegExp]>([
    ['no object', 7, 'spec got 7, needs'],
    ['no nodes', { input, classes: 10, nodes: [] }, 'spec property "nodes": got [], needs at least one node'],
    ['no classes', { input, nodes: head }, 'spec property "classes": got nothing, needs an integer from 1'],
    ['an unknown property', { ...(spec() as object), nodez: 1 }, 'unknown property "nodez" (did you mean "nodes"?)'],
    ['a fraction', { ...(spec() as object), classes: 2.5 }, 'spec property "classes": got 2.5, needs an integer'],
    ['a zero side', { ...(spec() as object), input: { ...input, height: 0 } }, 'spec property "input.height": got 0'],
    ['an unknown type', spec({ id: 'c', type: 'conv2' }), 'node "c": unknown type "conv2" (did you mean "conv2d"?); needs one of add,'],
    ['a node that is no object', spec(null), 'node "#0": got null, needs'],
    ['an unknown attribute', spec(conv({ filter: 4, kernel: 3 })), 'node "c": conv2d unknown attribute "filter" (did you mean "filters"?)'],
    ['a missing attribute', spec(conv({ kernel: 3 })), 'node "c": conv2d attribute "filters": got nothing, needs an integer from 1'],
    [
      'a misspelt optional attribute',
      spec(conv({ filters: 4, kernel: 3, strides: 2 })),
      'node "c": conv2d unknown attribute "strides" (did you mean "stride"?); needs one of filters, kernel, stride, padding, groups, bias',
    ],
    [
      'an attribute of a type without any',
      spec({ id: 'r', type: 'relu', attributes: { slope: 1 } }),
      'relu unknown attribute "slope"; it takes none',
    ],
    [
      'a kernel of 0',
      spec(conv({ filters: 4, kernel: 0 })),
      'node "c": conv2d attribute "kernel": got 0, needs an integer from 1 to 1048576, or [height, width]',
    ],
    ['three paddings', spec(conv({ filters: 4, kernel: 1, padding: [1, 1, 1] })), 'attribute "padding": got [1,1,1], needs'],
    [
      'too many filters',
      spec(conv({ filters: 2 ** 20 + 1, kernel: 1 })),
      'attribute "filters": got 1048577, needs an integer from 1 to 1048576',
    ],
    [
      'a rate of 1',
      spec({ id: 'd', type: 'dropout', attributes: { rate: 1 } }),
      'node "d": dropout attribute "rate": got 1, needs a number from 0, below 1',
    ],
    ['a duplicate id', spec(relu('r', 'input'), relu('r', 'r')), 'node "r": got an id that an earlier node has'],
    ['the reserved id', spec(relu('input', 'input')), 'node "input": got the id "input", needs another'],
    [
      'an unknown input',
      spec(relu('relu1', 'input'), relu('b', 'relu2')),
      'node "b": got the input "relu2", needs the id of an earlier node or "input" (did you mean "relu1"?)',
    ],
    ['a forward reference', spec(relu('a', 'b'), relu('b', 'input')), 'node "a": got the input "b" that is listed after it'],
    ['a cycle', spec(relu('a', 'c'), relu('b', 'a'), relu('c', 'b')), 'node "a": is part of a cycle (a -> b -> c -> a)'],
    ['a node on itself', spec(relu('a', 'a')), 'node "a": is part of a cycle (a -> a)'],
    ['an add of one', spec({ id: 's', type: 'add', inputs: ['input'] }), 'node "s": add got 1 inputs, needs at least 2'],
    ['a relu of two', spec(relu('r', 'input', 'input')), 'node "r": relu got 2 inputs, needs exactly 1'],
    ['an add without inputs', spec({ id: 's', type: 'add' }), 'node "s": add got no "inputs"'],
    ['an unused node', spec(relu('lost', 'input'), relu('r', 'input')), 'node "lost": its output is not used'],
    ['a linear on a map', { input, classes: 10, nodes: [head[1]] }, 'node "fc": linear got a map of 3x8x8, needs a vector: put a flatten'],
    [
      'a conv on a vector',
      { input, classes: 10, nodes: [head[0], conv({ filters: 4, kernel: 1 })] },
      'node "c": conv2d got a vector of 3, needs a map',
    ],
    [
      'a kernel over the map',
      spec(conv({ filters: 4, kernel: 11, padding: 1 })),
      'node "c": conv2d kernel 11x11 does not fit: got a map of 3x8x8, 10x10 with padding',
    ],
    [
      'a pool padded too far',
      spec({ id: 'p', type: 'max-pool', attributes: { kernel: 2, padding: 2 } }),
      'node "p": max-pool padding [2, 2, 2, 2] with kernel 2x2',
    ],
    [
      'groups that do not divide',
      spec(conv({ filters: 4, kernel: 1, groups: 2 })),
      'node "c": conv2d groups 2: got 3 input channels and 4 filters',
    ],
    [
      'unequal branches',
      spec(conv({ filters: 4, kernel: 1 }), { id: 's', type: 'add', inputs: ['c', 'input'] }),
      'node "s": add got a map of 4x8x8 and a map of 3x8x8, needs inputs of one shape',
    ],
    [
      'logits of another number',
      { ...(spec() as object), classes: 11 },
      'node "fc": is the last node and gives a vector of 10, needs a vector of 11',
    ],
    ['a map as output', { input, classes: 3, nodes: [relu('r', 'input')] }, 'node "r": is the last node and gives a map of 3x8x8'],
    [
      'an output of too many elements',
      spec(conv({ filters: 2 ** 20, kernel: 1, padding: 100 })),
      /node "c": output has \d+ elements, needs at most 2147483647/,
    ],
  ])('%s', (_, json, message) => {
    let error: unknown;
    try {
      parseSpec(json);
    } catch (caught) {
      error = caught;
    }
    expect(error).toBeInstanceOf(SpecError);
    if (typeof message === 'string') expect((error as SpecError).message).toContain(message);
    else expect((error as SpecError).message).toMatch(message);
  });

  test('more nodes than the limit', () => {
    const nodes = Array.from({ length: NODE_LIMIT - 2 }, () => ({ type: 'relu' }));
    expect(parseSpec(spec(...nodes)).nodes).toHaveLength(NODE_LIMIT);
    expect(() => parseSpec(spec(...nodes, { type: 'relu' }))).toThrow(`needs at most ${NODE_LIMIT} nodes`);
  });
});

test('the error carries the node', () => {
  const broken = { ...zooSpec('lenet5', { channels: 1, height: 28, width: 28, classes: 10 }), classes: 3 };
  expect(() => parseSpec(broken)).toThrow(expect.objectContaining({ name: 'SpecError', nodeId: 'fc3' }));
});
