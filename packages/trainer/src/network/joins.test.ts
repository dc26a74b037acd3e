// Concatenations and gates: shapes, what couples channels, and what removal leaves of them.
import { describe, expect, test } from 'vitest';
import {
  analyse,
  channelGroups,
  type NetworkSpec,
  parseSpec,
  removeNodes,
  shapeAt,
  SpecError,
  withAttributes,
  withWidths,
} from './index.js';

const conv = (id: string, filters: number, from: string, more: object = {}) => ({
  id,
  type: 'conv2d',
  inputs: [from],
  attributes: { filters, kernel: 3, padding: 1, ...more },
});

function network(...nodes: object[]): NetworkSpec {
  const tail = [
    { id: 'mean', type: 'global-average-pool' },
    { id: 'head', type: 'linear', attributes: { features: 5 } },
  ];
  return parseSpec({ input: { channels: 3, height: 8, width: 6 }, classes: 5, nodes: [...nodes, ...tail] });
}

const joined = network(conv('a', 4, 'input'), conv('b', 6, 'a'), conv('c', 3, 'a'), {
  id: 'join',
  type: 'concat',
  inputs: ['b', 'c', 'a'],
});
const gated = network(
  conv('a', 4, 'input'),
  { id: 'squeeze', type: 'global-average-pool' },
  { id: 'down', type: 'linear', attributes: { features: 2 } },
  { id: 'up', type: 'linear', attributes: { features: 4 } },
  { id: 'gate', type: 'sigmoid' },
  { id: 'scaled', type: 'multiply', inputs: ['a', 'gate'] },
);

describe('concat', () => {
  test('adds up channels, each group in its place', () => {
    expect(shapeAt(analyse(joined), 'join')).toEqual({ kind: 'map', channels: 13, height: 8, width: 6 });
    const { layout } = channelGroups(joined);
    expect(layout.get('join')).toEqual([
      { group: 'b', factor: 1 },
      { group: 'c', factor: 1 },
      { group: 'a', factor: 1 },
    ]);
    expect(shapeAt(analyse(withWidths(joined, new Map([['c', 1]]))), 'join')).toMatchObject({ channels: 11 });
  });

  test('keeps inputs of one size when one of them changes, and joins what a removed layer leaves', () => {
    expect(shapeAt(analyse(removeNodes(joined, ['b'])), 'join')).toMatchObject({ channels: 4 + 3 + 4 });
    // The window of b follows; a is what everything else is computed from.
    const strided = withAttributes(joined, new Map([['b', { stride: 2 }]]));
    expect(shapeAt(analyse(strided), 'join')).toEqual({ kind: 'map', channels: 13, height: 8, width: 6 });
  });

  test('refuses maps of different sizes, and a map beside a vector', () => {
    expect(() => network(conv('a', 4, 'input', { stride: 2 }), { type: 'concat', inputs: ['a', 'input'] })).toThrow(
      /concat got a map of 4x4x3 and a map of 3x8x6, needs maps of one height and width, or vectors/,
    );
    expect(() => network(conv('a', 4, 'input'), { type: 'concat' })).toThrow(SpecError);
  });
});

describe('multiply', () => {
  test('joins the widths of a map and of its gate', () => {
    const { groups } = channelGroups(gated);
    expect(groups.find(({ id }) => id === 'a')).toMatchObject({ producers: ['a', 'up'], width: 4, fixed: false });
    const narrow = withWidths(gated, new Map([['a', 2]]));
    expect(narrow.nodes.find(({ id }) => id === 'up')?.attributes).toMatchObject({ features: 2 });
  });

  test('keeps its map when layers of the gate go', () => {
    // The gate comes to be made of what `down` gives: its width becomes the map's.
    const shallow = removeNodes(gated, ['up']);
    expect(shallow.nodes.find(({ id }) => id === 'down')?.attributes).toMatchObject({ features: 4 });
    expect(shallow.nodes.find(({ id }) => id === 'scaled')?.inputs).toEqual(['a', 'gate']);
    const direct = removeNodes(gated, ['up', 'down']);
    expect(direct.nodes.find(({ id }) => id === 'gate')?.inputs).toEqual(['squeeze']);
  });

  test('of a map with itself is nothing any more', () => {
    const square = network(conv('a', 4, 'input'), conv('b', 4, 'a'), { id: 'product', type: 'multiply', inputs: ['a', 'b'] });
    expect(removeNodes(square, ['b']).nodes.map(({ id }) => id)).toEqual(['a', 'mean', 'head']);
  });

  test('refuses what it cannot spread', () => {
    const message = /multiply got a map of 4x8x6 and a map of 3x8x6, needs one shape, or a map and a vector of its channels/;
    expect(() => network(conv('a', 4, 'input'), { type: 'multiply', inputs: ['a', 'input'] })).toThrow(message);
  });
});
