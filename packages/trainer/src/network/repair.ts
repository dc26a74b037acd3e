// Makes the inputs of adds agree again after an edit. Three means, in this order: the windows of a branch are fitted to
// the size of the others; the widths of what the add joins become one; an input that can do neither is dropped.
import { type NodeAnalysis, type SpecAnalysis } from './analyse.js';
import { type ChannelGroup, couple, widthChanges } from './coupling.js';
import { nodeTypeOf } from './nodes/index.js';
import { bypass, consumerCounts, prune } from './graph.js';
import { type Changes, propagate, type Propagation } from './propagate.js';
import { channelsOf, sameSize } from './shape.js';
import { type AttributeValue, type NetworkSpec, type NodeSpec, type Shape, SpecError } from './spec.js';

type Attributes = Readonly<Record<string, AttributeValue>>;
type Disagreement = NonNullable<Propagation['disagreement']>;

/**
 * The edited spec with every node's inputs in agreement and with nothing unused; `original` is the analysis of the valid
 * spec that the edit started from, `changes` are attributes to lay over the edited one. Throws SpecError where a map shrinks to nothing.
 */
export function repair(edited: NetworkSpec, original: SpecAnalysis, changes: Changes): NetworkSpec {
  let spec = edited;
  let output = edited.nodes.at(-1)?.id ?? '';
  const overrides = new Map(changes);
  const tried = new Set<string>();
  const attempt = (kind: string, node: NodeSpec, means: () => Changes | undefined): boolean => {
    const key = `${kind} ${node.id}`;
    if (tried.has(key)) return false;
    tried.add(key);
    const found = means();
    for (const [id, attributes] of found ?? []) overrides.set(id, { ...overrides.get(id), ...attributes });
    return found !== undefined;
  };
  for (;;) {
    const walk = propagate(spec, original, overrides);
    const { disagreement } = walk;
    if (disagreement === undefined) return prune({ ...spec, nodes: walk.nodes.map(({ node }) => node) }, output);
    const { node, inputShapes } = disagreement;
    const [first, ...others] = inputShapes;
    const { agreement } = nodeTypeOf(node);
    const sizes = agreement === 'channels' || (first !== undefined && others.every((shape) => sameSize(first, shape)));
    if (!sizes && attempt('size', node, () => sizeChanges(spec, walk, disagreement))) continue;
    if (sizes && attempt('width', node, () => joinedWidth(spec, walk, disagreement, original))) continue;
    // The latest input is the block's own work; what cannot be made to fit it is a shortcut.
    // A product keeps what it scales and loses its gate.
    const kept = agreement === 'channels' ? node.inputs.slice(0, 1) : latestAgreeing(walk, disagreement);
    if (kept.length > 1) {
      spec = { ...spec, nodes: spec.nodes.map((other) => (other.id === node.id ? { ...other, inputs: kept } : other)) };
      continue;
    }
    const [only = ''] = kept;
    spec = bypass(spec, node.id, only);
    if (output === node.id) output = only;
  }
}

/** The latest input and those that agree with it. */
function latestAgreeing(walk: Propagation, { node, inputShapes }: Disagreement): string[] {
  const position = new Map(walk.nodes.map((analysis, index) => [analysis.node.id, index]));
  const at = (id: string): number => position.get(id) ?? -1;
  const latest = node.inputs.reduce((best, id) => (at(id) > at(best) ? id : best));
  const shape = inputShapes[node.inputs.indexOf(latest)];
  return node.inputs.filter((id, i) => {
    const other = inputShapes[i];
    const oneWidth = nodeTypeOf(node).agreement !== 'shape' || (shape && other && channelsOf(shape) === channelsOf(other));
    return id === latest || (shape && other && sameSize(shape, other) && oneWidth);
  });
}

interface Branch {
  readonly id: string;
  readonly shape: Shape;
  /** Nodes that feed this input of the add and nothing else. */
  readonly length: number;
  /** The last of them with a window, if nothing after it changes sizes. */
  readonly window: NodeAnalysis | undefined;
}

function branchOf(id: string, shape: Shape, byId: ReadonlyMap<string, NodeAnalysis>, consumers: ReadonlyMap<string, number>): Branch {
  let length = 0;
  let window: NodeAnalysis | undefined;
  let keepsSize = true;
  for (let at = byId.get(id); at !== undefined && consumers.get(at.node.id) === 1; at = byId.get(at.node.inputs[0] ?? '')) {
    length++;
    if (at.type.fit !== undefined) window ??= keepsSize ? at : undefined;
    const [input] = at.inputShapes;
    keepsSize &&= at.inputShapes.length === 1 && input !== undefined && sameSize(input, at.outputShape);
    if (at.inputShapes.length !== 1) break;
  }
  return { id, shape, length, window };
}

/**
 * New strides and paddings that give all inputs one size. A branch without a window of its own (an identity shortcut)
 * says which; else the longest does: projections follow the main branch. Undefined when some branch cannot follow.
 */
function sizeChanges(spec: NetworkSpec, walk: Propagation, { node, inputShapes }: Disagreement): Changes | undefined {
  const byId = new Map(walk.nodes.map((analysis) => [analysis.node.id, analysis]));
  const consumers = consumerCounts(spec.nodes);
  const branches = node.inputs.flatMap((id, i) => {
    const shape = inputShapes[i];
    return shape === undefined ? [] : [branchOf(id, shape, byId, consumers)];
  });
  const rank = (branch: Branch): number => (branch.window === undefined ? Infinity : branch.length);
  const reference = branches.reduce((best, branch) => (rank(branch) > rank(best) ? branch : best));
  if (reference.shape.kind !== 'map') return undefined;
  const changes = new Map<string, Attributes>();
  for (const { shape, window } of branches) {
    if (sameSize(shape, reference.shape)) continue;
    const [input] = window?.inputShapes ?? [];
    if (window?.type.fit === undefined || input === undefined) return undefined;
    try {
      const { stride, padding } = window.type.fit(window.node.attributes, input, reference.shape);
      if (stride === undefined || padding === undefined) return undefined;
      changes.set(window.node.id, { stride, padding });
    } catch {
      return undefined; // No stride and padding reach that size: the caller drops the branch.
    }
  }
  return changes;
}

/** For every group that the add joins, the add's width before the edit. Undefined when they cannot have it. */
function joinedWidth(spec: NetworkSpec, walk: Propagation, { node }: Disagreement, original: SpecAnalysis): Changes | undefined {
  const { groups, layout } = couple(spec, walk.nodes, undefined);
  const byId = new Map(groups.map((group) => [group.id, group]));
  const layouts = node.inputs.map((id) => layout.get(id) ?? []);
  const [first = []] = layouts;
  const aligned = layouts.every((other) => other.length === 1 && other[0]?.factor === first[0]?.factor);
  const factor = first[0]?.factor ?? 1;
  const before = original.byId.get(node.id);
  if (!aligned || before === undefined) return undefined;
  const joined = layouts.flatMap((other) => other.map(({ group }) => byId.get(group))).filter((g): g is ChannelGroup => g !== undefined);
  const width = channelsOf(before.outputShape) / factor;
  try {
    return widthChanges(spec, groups, new Map(joined.map((group) => [group.id, width])));
  } catch (error) {
    if (error instanceof SpecError) return undefined; // A fixed width, or a grouped convolution that does not divide it.
    throw error;
  }
}
