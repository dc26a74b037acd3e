// A student's first weights from its teacher's: kept layers keep theirs, and of a layer with fewer channels those with the
// largest L1 norm stay (Li et al., arXiv 1608.08710), the same ones for all layers of a coupled group. A group behind a padding of
// channels keeps those that the padded map kept, and of its others the largest.
import {
  analyse,
  channelGroups,
  channelsOf,
  INPUT_ID,
  type ChannelGroup,
  type ChannelGroups,
  type ChannelSegment,
  type NetworkSpec,
  type NodeAnalysis,
  type NodeSpec,
} from '../network/index.js';
import type { Weights } from '../plan/index.js';

/** The channels of one of the teacher's groups that a student's group goes on with, in the student's order. */
interface Source {
  readonly group: string;
  readonly channels: readonly number[];
}

/** By the student's groups; a group that is wider than the teacher's, or not of the teacher, has none. */
type Sources = ReadonlyMap<string, Source | undefined>;

/** For each feature of a student's output, in order, the number of the teacher's feature. */
type Features = readonly number[];

export class Inheritance {
  readonly #weights: Weights;
  readonly #nodes: ReadonlyMap<string, NodeAnalysis>;
  readonly #coupling: ChannelGroups;
  readonly #groups: ReadonlyMap<string, ChannelGroup>;
  /** Channels by falling L1 norm, by group. */
  readonly #ranked = new Map<string, readonly number[]>();

  /** `weights` in PyTorch's shapes. */
  constructor(teacher: { readonly spec: NetworkSpec; readonly weights: Weights }) {
    this.#weights = teacher.weights;
    this.#nodes = analyse(teacher.spec).byId;
    this.#coupling = channelGroups(teacher.spec);
    this.#groups = new Map(this.#coupling.groups.map((group) => [group.id, group]));
  }

  /**
   * Weights of `student` in PyTorch's shapes: the teacher's for a node of the same id and type that computes kept features
   * from kept features, `initial` for every other (the input came from a removed layer, another kernel, more channels than
   * the teacher's). A batch-norm behind a layer that starts anew starts anew, too. Running statistics are the teacher's.
   */
  weightsFor(student: NetworkSpec, initial: Weights): Map<string, Float32Array> {
    const weights = new Map(initial);
    const coupling = channelGroups(student);
    const sources = this.#sourcesOf(coupling.groups);
    /** Nodes that no longer compute the teacher's features. */
    const fresh = new Set<string>();
    for (const analysis of analyse(student).nodes) {
      const { id } = analysis.node;
      const slices = this.#slices(analysis, coupling, sources);
      const follows = analysis.parameters.every(({ shape }) => shape.length === 1);
      const input = analysis.node.inputs.some((from) => fresh.has(from));
      if (slices === undefined || (follows && input)) fresh.add(id);
      else for (const [name, values] of slices) weights.set(`${id}.${name}`, values);
    }
    return weights;
  }

  /** A group's channels begin with those of the group that it extends: they meet in an add, each at its number. */
  #sourcesOf(groups: readonly ChannelGroup[]): Sources {
    const byId = new Map(groups.map((group) => [group.id, group]));
    const sources = new Map<string, Source | undefined>();
    const find = (group: ChannelGroup): Source | undefined => {
      if (!sources.has(group.id)) {
        sources.set(group.id, undefined); // groups that extend each other in a circle have no first one
        const extended = byId.get(group.extends ?? '');
        sources.set(group.id, this.#sourceOf(group, extended && find(extended)));
      }
      return sources.get(group.id);
    };
    for (const group of groups) find(group);
    return sources;
  }

  #sourceOf({ producers, members, width }: ChannelGroup, extended: Source | undefined): Source | undefined {
    const own = [...producers, ...members].find((id) => this.#coupling.layout.has(id));
    const segments = own === undefined ? undefined : this.#coupling.layout.get(own);
    const group = segments?.length === 1 ? this.#groups.get(segments[0]!.group) : undefined;
    if (group === undefined || width > group.width) return undefined;
    const first = extended !== undefined && extended.group === group.extends ? extended.channels.slice(0, width) : [];
    const begins = first.every((channel) => channel < group.width) ? first : [];
    const others = this.#rank(group).filter((channel) => !begins.includes(channel));
    const rest = others.slice(0, width - begins.length).toSorted((a, b) => a - b);
    return { group: group.id, channels: [...begins, ...rest] };
  }

  /** Channels of the group by falling L1 norm of their filters, summed over the layers that compute them. */
  #rank(group: ChannelGroup): readonly number[] {
    const known = this.#ranked.get(group.id);
    if (known !== undefined) return known;
    const norms = new Float64Array(group.width);
    for (const id of group.producers) {
      const weight = this.#weights.get(`${id}.weight`);
      if (weight === undefined) continue;
      const row = weight.length / group.width;
      weight.forEach((value, i) => (norms[Math.floor(i / row)]! += Math.abs(value)));
    }
    const ranked = Array.from(norms, (_, channel) => channel).toSorted((a, b) => norms[b]! - norms[a]! || a - b);
    this.#ranked.set(group.id, ranked);
    return ranked;
  }

  /** The teacher's values of each of the node's parameters; undefined when some cannot be taken over. */
  #slices(
    { node, inputShapes, parameters }: NodeAnalysis,
    coupling: ChannelGroups,
    sources: Sources,
  ): Map<string, Float32Array> | undefined {
    const slices = new Map<string, Float32Array>();
    if (parameters.length === 0) return slices;
    const own = this.#nodes.get(node.id);
    if (own?.node.type !== node.type) return undefined;
    const rows = this.#features(coupling.layout.get(node.id), node.id, sources);
    const columns = this.#columns(own, node, channelsOf(inputShapes[0]!), coupling, sources);
    for (const { name, shape } of parameters) {
      const values = this.#weights.get(`${node.id}.${name}`);
      const before = own.parameters.find((declaration) => declaration.name === name)?.shape;
      if (values === undefined || before === undefined || rows === undefined) return undefined;
      const sameWindow = shape.length === before.length && shape.slice(2).every((size, i) => size === before[i + 2]);
      if (!sameWindow || (shape.length > 1 && columns === undefined)) return undefined;
      slices.set(name, slice(values, before, rows, shape.length > 1 ? columns! : [0]));
    }
    return slices;
  }

  /** The second dimension of a weight: the input's features, or those of one group of channels. */
  #columns(own: NodeAnalysis, node: NodeSpec, channels: number, coupling: ChannelGroups, sources: Sources): Features | undefined {
    const [input = INPUT_ID] = node.inputs;
    const [ownInput = INPUT_ID] = own.node.inputs;
    const features = this.#features(coupling.layout.get(input), ownInput, sources);
    const [groups, ownGroups] = [node, own.node].map(({ attributes }) => Number(attributes['groups'] ?? 1)) as [number, number];
    if (groups === 1 && ownGroups === 1) return features;
    const ownChannels = channelsOf(own.inputShapes[0]!);
    const depthwise = groups === channels && ownGroups === ownChannels;
    // Blocks of channels that are tied to blocks keep their weights only when none of their channels goes.
    const sameFilters = node.attributes['filters'] === own.node.attributes['filters'];
    const whole = groups === ownGroups && channels === ownChannels && sameFilters && features !== undefined;
    return depthwise || whole ? Array.from({ length: ownChannels / ownGroups }, (_, i) => i) : undefined;
  }

  /** The teacher's features at `id` that the student's `segments` go on with; undefined when they are made of other channels. */
  #features(segments: readonly ChannelSegment[] | undefined, id: string, sources: Sources): Features | undefined {
    const own = this.#coupling.layout.get(id);
    if (segments === undefined || own?.length !== segments.length) return undefined;
    const features: number[] = [];
    let first = 0;
    for (const [i, { group, factor }] of segments.entries()) {
      const source = sources.get(group);
      const segment = own[i]!;
      if (source?.group !== segment.group || factor !== segment.factor) return undefined;
      for (const channel of source.channels) for (let j = 0; j < factor; j++) features.push(first + channel * factor + j);
      first += this.#groups.get(segment.group)!.width * factor;
    }
    return features;
  }
}

/** values [R, C, ...] at the given rows and columns; a tensor of one dimension has one column. */
function slice(values: Float32Array, shape: readonly number[], rows: Features, columns: Features): Float32Array {
  const [, all = 1, ...window] = shape;
  const size = window.reduce((product, length) => product * length, 1);
  const result = new Float32Array(rows.length * columns.length * size);
  let at = 0;
  for (const row of rows) {
    for (const column of columns) {
      const from = (row * all + column) * size;
      result.set(values.subarray(from, from + size), at);
      at += size;
    }
  }
  return result;
}
