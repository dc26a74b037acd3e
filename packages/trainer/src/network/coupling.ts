// Which channels have one width: dependency groups over the graph (DepGraph, arXiv 2301.12900), and new widths by group.
import { analyse, type NodeAnalysis } from './analyse.js';
import { nodeTypeOf } from './nodes/index.js';
import type { Coupling } from './nodes/node.js';
import { parseSpec } from './parse.js';
import { type Changes, propagate } from './propagate.js';
import { channelsOf, DIMENSION_LIMIT } from './shape.js';
import { type AttributeValue, INPUT_ID, type NetworkSpec, type NodeSpec, type Shape, SpecError } from './spec.js';
import { suggestion } from './suggest.js';

/** Node outputs that must have one width, because channel c of one is, or is added to, channel c of another. */
export interface ChannelGroup {
  /** The first member in the spec's order. */
  readonly id: string;
  /** Nodes whose width attribute (filters, features) sets the group's width; an add's group has several. */
  readonly producers: readonly string[];
  /** Ids of all node outputs (and `'input'`) made of the group's channels, in the spec's order. */
  readonly members: readonly string[];
  /** Channels. A flattened map of the group is a member with height x width features for each of them. */
  readonly width: number;
  /** Whether the width cannot change, and why. */
  readonly fixed: boolean;
  readonly reason?: string;
  /** The width must be a multiple of this: grouped convolutions; 1 elsewhere. */
  readonly multipleOf: number;
  /** The group whose channel c is channel c of this one too, by a padding of channels; widths are independent all the same. */
  readonly extends?: string;
}

/** Consecutive channels of one output: channel c of `group` is its features [c * factor, (c + 1) * factor) of the segment. */
export interface ChannelSegment {
  readonly group: string;
  readonly factor: number;
}

export interface ChannelGroups {
  /** In order of their first member. */
  readonly groups: readonly ChannelGroup[];
  /** For `'input'` and every node, its output's channels from first to last; one segment unless there is a concat. */
  readonly layout: ReadonlyMap<string, readonly ChannelSegment[]>;
}

const gcd = (a: number, b: number): number => (b === 0 ? a : gcd(b, a % b));
const lcm = (a: number, b: number): number => (a / gcd(a, b)) * b;

/** Union-find over the outputs that start a group. */
class Partition {
  private readonly parent = new Map<string, string>();

  find(key: string): string {
    let root = key;
    for (let up = this.parent.get(root); up !== undefined; up = this.parent.get(root)) root = up;
    for (let at = key; at !== root;) {
      const up = this.parent.get(at) ?? root;
      this.parent.set(at, root);
      at = up;
    }
    return root;
  }

  unite(a: string, b: string): void {
    const [rootA, rootB] = [this.find(a), this.find(b)];
    if (rootA !== rootB) this.parent.set(rootB, rootA);
  }
}

type Layout = readonly ChannelSegment[];

/** Collects unions, fixings and divisibility while it walks the graph; segments name starting outputs, not groups yet. */
class Coupler {
  readonly partition = new Partition();
  readonly layout = new Map<string, Layout>([[INPUT_ID, [{ group: INPUT_ID, factor: 1 }]]]);
  readonly widths = new Map<string, number>();
  readonly producers: string[] = [];
  readonly fixings: { key: string; reason: string }[] = [{ key: INPUT_ID, reason: 'network input' }];
  readonly multiples: { key: string; multipleOf: number }[] = [];
  readonly extensions: { key: string; of: string }[] = [];

  visit({ node, type, inputShapes, outputShape }: NodeAnalysis): void {
    const inputs = node.inputs.map((id) => this.layout.get(id) ?? []);
    const coupling = type.coupling(node.attributes, inputShapes);
    this.layout.set(node.id, this.output(node, coupling, inputs, outputShape));
  }

  private output(node: NodeSpec, coupling: Coupling, inputs: readonly Layout[], shape: Shape): Layout {
    const [first = []] = inputs;
    switch (coupling.kind) {
      case 'free':
        return this.produce(node, shape);
      case 'grouped': {
        const own = this.produce(node, shape);
        for (const { group, factor } of [...own, ...first]) {
          this.multiples.push({ key: group, multipleOf: coupling.groups / gcd(coupling.groups, factor) });
        }
        return own;
      }
      case 'repeat':
        return first.map(({ group, factor }) => ({ group, factor: factor * coupling.factor }));
      case 'extend': {
        const [only, ...others] = first;
        if (only?.factor === 1 && others.length === 0) this.extensions.push({ key: node.id, of: only.group });
        return this.produce(node, shape);
      }
      case 'concat':
        return inputs.flat();
      case 'same':
        for (const other of inputs.slice(1)) this.join(first, other);
        return first;
      default:
        return coupling satisfies never;
    }
  }

  private produce(node: NodeSpec, shape: Shape): Layout {
    this.producers.push(node.id);
    this.widths.set(node.id, channelsOf(shape));
    return [{ group: node.id, factor: 1 }];
  }

  private join(a: Layout, b: Layout): void {
    const aligned = a.length === b.length && a.every((segment, i) => segment.factor === b[i]?.factor);
    if (aligned) {
      a.forEach((segment, i) => this.partition.unite(segment.group, b[i]?.group ?? segment.group));
      return;
    }
    const reason = 'joined by an add with channels in another layout';
    for (const { group } of [...a, ...b]) this.fixings.push({ key: group, reason });
  }
}

/** The groups of output channels that must have one width, and how each output is laid out in them. */
export function channelGroups(spec: NetworkSpec): ChannelGroups {
  return couple(spec, analyse(spec).nodes, spec.nodes.at(-1)?.id);
}

/** channelGroups of nodes that may be only the beginning of a network; `output` is the logits' node when it is among them. */
export function couple(spec: NetworkSpec, nodes: readonly NodeAnalysis[], output: string | undefined): ChannelGroups {
  const coupler = new Coupler();
  coupler.widths.set(INPUT_ID, spec.input.channels);
  for (const node of nodes) coupler.visit(node);
  const logits = output === undefined ? [] : (coupler.layout.get(output) ?? []);
  for (const { group } of logits) coupler.fixings.push({ key: group, reason: 'logits' });
  return named(coupler);
}

/** Groups named after their first member. */
function named(coupler: Coupler): ChannelGroups {
  const { partition } = coupler;
  const names = new Map<string, string>();
  const members = new Map<string, string[]>();
  const layout = new Map<string, Layout>();
  for (const [id, segments] of coupler.layout) {
    const resolved = segments.map(({ group, factor }) => {
      const root = partition.find(group);
      const name = names.get(root) ?? id;
      names.set(root, name);
      return { group: name, factor };
    });
    layout.set(id, resolved);
    for (const name of new Set(resolved.map(({ group }) => group))) members.set(name, [...(members.get(name) ?? []), id]);
  }
  const nameOf = (key: string): string => names.get(partition.find(key)) ?? key;
  const groups = [...members].map(([id, ids]): ChannelGroup => {
    const reasons = new Set(coupler.fixings.filter(({ key }) => nameOf(key) === id).map(({ reason }) => reason));
    const multiples = coupler.multiples.filter(({ key }) => nameOf(key) === id);
    const extended = coupler.extensions.find(({ key, of }) => nameOf(key) === id && nameOf(of) !== id);
    return {
      id,
      producers: coupler.producers.filter((producer) => nameOf(producer) === id),
      members: ids,
      width: coupler.widths.get(ids[0] ?? id) ?? 0,
      fixed: reasons.size > 0,
      ...(reasons.size > 0 ? { reason: [...reasons].join(', ') } : {}),
      multipleOf: multiples.reduce((product, { multipleOf }) => lcm(product, multipleOf), 1),
      ...(extended === undefined ? {} : { extends: nameOf(extended.of) }),
    };
  });
  return { groups, layout };
}

function checkWidth(group: ChannelGroup, width: number): void {
  const words = `channel group "${group.id}": got width ${width}, needs`;
  if (!Number.isSafeInteger(width) || width < 1 || width > DIMENSION_LIMIT) {
    throw new SpecError(undefined, `${words} an integer from 1 to ${DIMENSION_LIMIT}`);
  }
  if (group.fixed && width !== group.width) throw new SpecError(undefined, `${words} ${group.width}: it is fixed (${group.reason})`);
  if (width % group.multipleOf !== 0) throw new SpecError(undefined, `${words} a multiple of ${group.multipleOf} (grouped convolution)`);
}

/** The producers' attributes that give the groups these widths. */
export function widthChanges(spec: NetworkSpec, groups: readonly ChannelGroup[], widths: ReadonlyMap<string, number>): Changes {
  const byId = new Map(groups.map((group) => [group.id, group]));
  const nodes = new Map(spec.nodes.map((node) => [node.id, node]));
  const changes = new Map<string, Readonly<Record<string, AttributeValue>>>();
  for (const [id, width] of widths) {
    const group = byId.get(id);
    if (group === undefined) {
      throw new SpecError(undefined, `got no channel group "${id}"${suggestion(id, byId.keys())}; needs the id of one from channelGroups`);
    }
    checkWidth(group, width);
    for (const producer of group.producers) {
      const node = nodes.get(producer);
      const attribute = node && nodeTypeOf(node).widthAttribute;
      if (attribute !== undefined) changes.set(producer, { [attribute]: width });
    }
  }
  return changes;
}

/**
 * The spec with the given channel groups (ids from channelGroups) at new widths. Producers' filters or features are set;
 * depthwise filters and groups follow. Throws SpecError for an unknown or fixed group, and for a width that is no
 * positive integer or no multiple of `multipleOf`. Groups keep their members, except that a grouped convolution whose
 * input comes to have one channel a group is depthwise from then on.
 */
export function withWidths(spec: NetworkSpec, widths: ReadonlyMap<string, number>): NetworkSpec {
  const original = analyse(spec);
  const { nodes } = propagate(spec, original, widthChanges(spec, channelGroups(spec).groups, widths));
  return parseSpec({ ...spec, nodes: nodes.map(({ node }) => node) });
}
