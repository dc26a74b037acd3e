// Random edits of zoo networks and of random graphs: the result is always a network, or a map has become too small.
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  analyse,
  channelGroups,
  channelsOf,
  type NetworkSpec,
  parameterCount,
  parseSpec,
  removableNodes,
  removeNodes,
  shapeAt,
  SpecError,
  specHash,
  withAttributes,
  withWidths,
  zooSpec,
} from './index.js';

const input = { channels: 3, height: 32, width: 32, classes: 10 };
const zoo = [
  'lenet5',
  'plain-8',
  'vgg13@0.25',
  'resnet18@0.25',
  'resnet50@0.125',
  'resnet20',
  'mobilenetv2@0.25',
  'densenet',
  'squeezenet@0.25',
].map((name) => zooSpec(name, input));

const kinds = ['conv', 'depthwise', 'grouped', 'pool', 'identity', 'projection', 'padded', 'bottleneck', 'fire', 'dense', 'gate'] as const;

interface Piece {
  readonly kind: (typeof kinds)[number];
  readonly width: number;
  readonly stride: number;
}

/** A valid network of random pieces: plain, grouped and depthwise layers, residual blocks of four forms, concatenations, gates. */
function assemble(pieces: readonly Piece[]): NetworkSpec {
  const nodes: object[] = [];
  let last = 'input';
  let channels = input.channels;
  const push = (type: string, attributes: object, inputs = [last]): string => {
    last = `n${nodes.length}`;
    nodes.push({ id: last, type, inputs, attributes });
    return last;
  };
  const conv = (filters: number, kernel: number, stride = 1, groups = 1): string => {
    push('conv2d', { filters, kernel, stride, padding: (kernel - 1) / 2, groups, bias: false });
    channels = filters;
    return push('batch-norm', {});
  };
  for (const { kind, width, stride } of pieces) {
    const [entry, entryChannels] = [last, channels];
    if (kind === 'conv') conv(width, 3, stride);
    else if (kind === 'depthwise') conv(channels * stride, 3, 1, channels);
    else if (kind === 'grouped') {
      conv(4 * width, 1);
      conv(8 * stride, 3, stride, 4);
    } else if (kind === 'pool') push('average-pool', { kernel: 3, stride, padding: 1 });
    else if (kind === 'fire') {
      const one = conv(width, 1);
      last = entry;
      const three = conv(8, 3);
      push('concat', {}, [one, three]);
      channels = width + 8;
    } else if (kind === 'dense') {
      const own = conv(width, 3);
      push('concat', {}, [entry, own]);
      channels = entryChannels + width;
    } else if (kind === 'gate') {
      push('global-average-pool', {});
      push('linear', { features: width });
      push('relu', {});
      push('linear', { features: channels });
      push('multiply', {}, [entry, push('sigmoid', {})]);
    } else {
      const changes = kind === 'projection' || kind === 'padded';
      const out = changes ? width : entryChannels;
      conv(kind === 'bottleneck' ? Math.max(1, Math.floor(width / 2)) : width, kind === 'bottleneck' ? 1 : 3, changes ? stride : 1);
      push('relu', {});
      const branch = conv(out, 3);
      let shortcut = entry;
      if (kind === 'projection') {
        last = entry;
        shortcut = conv(out, 1, stride);
      } else if (kind === 'padded') {
        last = entry;
        push('average-pool', { kernel: 1, stride });
        shortcut = push('pad-channels', { channels: out });
      }
      channels = out;
      push('add', {}, [branch, shortcut]);
    }
    push('relu', {});
  }
  push('global-average-pool', {});
  push('linear', { features: input.classes });
  const { classes, ...size } = input;
  return parseSpec({ name: 'random', input: size, classes, nodes });
}

const piece: fc.Arbitrary<Piece> = fc.record({
  kind: fc.constantFrom(...kinds),
  width: fc.integer({ min: 1, max: 24 }),
  stride: fc.integer({ min: 1, max: 2 }),
});
const network = fc.oneof(fc.constantFrom(...zoo), fc.array(piece, { maxLength: 6 }).map(assemble));

/** Checks that a spec stands on its own: it is accepted as JSON and is its own canonical form. */
function expectCanonical(spec: NetworkSpec): void {
  expect(parseSpec(JSON.parse(JSON.stringify(spec)))).toEqual(spec);
}

describe('random edits give networks', () => {
  test('widths of any groups', () => {
    fc.assert(
      // From 2 on: with one channel a group a grouped convolution is depthwise, and the groups are others.
      fc.property(network, fc.infiniteStream(fc.integer({ min: 2, max: 40 })), (spec, draws) => {
        const free = channelGroups(spec).groups.filter(({ fixed }) => !fixed);
        const widths = new Map(free.map(({ id, multipleOf }) => [id, multipleOf * (draws.next().value ?? 2)]));
        const edited = withWidths(spec, widths);
        expectCanonical(edited);
        const after = channelGroups(edited);
        for (const { id, width, members } of after.groups) {
          const before = channelGroups(spec).groups.find((group) => group.id === id);
          expect(width).toBe(widths.get(id) ?? before?.width);
          expect(members).toEqual(before?.members);
        }
        const original = new Map(channelGroups(spec).groups.map(({ id, width }) => [id, width]));
        expect(withWidths(edited, new Map(free.map(({ id }) => [id, original.get(id) ?? 0])))).toEqual(spec);
      }),
      { numRuns: 60 },
    );
  });

  test('a layout accounts for every channel of every output', () => {
    fc.assert(
      fc.property(network, (spec) => {
        const { groups, layout } = channelGroups(spec);
        const widths = new Map(groups.map(({ id, width }) => [id, width]));
        const analysis = analyse(spec);
        for (const [id, segments] of layout) {
          const channels = segments.reduce((sum, { group, factor }) => sum + (widths.get(group) ?? 0) * factor, 0);
          expect(channels).toBe(channelsOf(shapeAt(analysis, id)));
        }
        expect(groups.flatMap(({ producers }) => producers).toSorted()).toEqual(
          analysis.nodes
            .filter(({ node, type, inputShapes }) =>
              ['free', 'grouped', 'extend'].includes(type.coupling(node.attributes, inputShapes).kind),
            )
            .map(({ node }) => node.id)
            .toSorted(),
        );
      }),
      { numRuns: 40 },
    );
  });

  test('removal of any removable nodes', () => {
    fc.assert(
      fc.property(network, fc.infiniteStream(fc.boolean()), (spec, draws) => {
        const removed = removableNodes(spec).filter(() => draws.next().value === true);
        const edited = removeNodes(spec, removed);
        expectCanonical(edited);
        const left = new Set(edited.nodes.map(({ id }) => id));
        expect(removed.filter((id) => left.has(id))).toEqual([]);
        expect(edited.nodes.every(({ type, inputs }) => type !== 'add' || new Set(inputs).size === inputs.length)).toBe(true);
      }),
      { numRuns: 150 },
    );
  });

  test('removal of nothing changes nothing, of one node changes the hash', () => {
    fc.assert(
      fc.property(network, fc.nat(), (spec, pick) => {
        expect(removeNodes(spec, [])).toEqual(spec);
        const removable = removableNodes(spec);
        const id = removable[pick % Math.max(1, removable.length)];
        if (id !== undefined) expect(specHash(removeNodes(spec, [id]))).not.toBe(specHash(spec));
      }),
      { numRuns: 40 },
    );
  });

  test('kernels, strides and paddings of any nodes, unless a map becomes too small', () => {
    const window = fc.record({
      kernel: fc.integer({ min: 1, max: 5 }),
      stride: fc.integer({ min: 1, max: 3 }),
      padding: fc.integer({ min: 0, max: 3 }),
    });
    let valid = 0;
    fc.assert(
      fc.property(network, fc.infiniteStream(fc.option(window)), (spec, draws) => {
        const changes = new Map<string, Record<string, number>>();
        for (const { node, type } of analyse(spec).nodes) {
          const values = type.fit && draws.next().value;
          if (values) changes.set(node.id, values);
        }
        try {
          expectCanonical(withAttributes(spec, changes));
          valid++;
        } catch (error) {
          if (!(error instanceof SpecError)) throw error;
          expect(error.message).toContain('does not fit');
        }
      }),
      { numRuns: 100 },
    );
    expect(valid).toBeGreaterThan(30);
  });
});

describe('invariances', () => {
  test('the hash sees widths and ignores spelling', () => {
    fc.assert(
      fc.property(network, fc.string({ minLength: 1, maxLength: 4, unit: fc.constantFrom('a', 'Z', '.', '7') }), (spec, prefix) => {
        const rename = (id: string): string => (id === 'input' ? id : `${prefix}${id}`);
        const renamed = parseSpec({
          ...spec,
          name: prefix,
          nodes: spec.nodes.map((node) => ({ ...node, id: rename(node.id), inputs: node.inputs.map(rename) })),
        });
        expect(specHash(renamed)).toBe(specHash(spec));
        const group = channelGroups(spec).groups.find(({ fixed }) => !fixed);
        if (group === undefined) return;
        const wider = withWidths(spec, new Map([[group.id, group.width + group.multipleOf]]));
        expect(specHash(wider)).not.toBe(specHash(spec));
        expect(parameterCount(wider)).toBeGreaterThan(parameterCount(spec));
      }),
      { numRuns: 60 },
    );
  });
});
