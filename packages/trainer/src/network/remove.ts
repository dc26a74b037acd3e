// Takes layers out of a network and mends what is left.
import { analyse, type SpecAnalysis } from './analyse.js';
import { channelGroups, type ChannelGroups } from './coupling.js';
import { nodesById, prune, upstream } from './graph.js';
import { nodeTypeOf } from './nodes/index.js';
import { parseSpec } from './parse.js';
import { repair } from './repair.js';
import { sameShape } from './shape.js';
import { type NetworkSpec, type NodeSpec, SpecError } from './spec.js';
import { suggestion } from './suggest.js';

/** Nodes whose channels the logits are made of: without one of them, there would be another number of classes. */
function logitProducers(spec: NetworkSpec): ReadonlySet<string> {
  const { groups, layout } = channelGroups(spec);
  const logits = new Set(layout.get(spec.nodes.at(-1)?.id ?? '')?.map(({ group }) => group));
  return new Set(groups.filter(({ id }) => logits.has(id)).flatMap(({ producers }) => producers));
}

/** Why a node cannot be removed, or undefined when it can. */
function obstacle(analysis: SpecAnalysis, logits: ReadonlySet<string>, id: string): string | undefined {
  const found = analysis.byId.get(id);
  if (found === undefined) return `is not in the network${suggestion(id, analysis.byId.keys())}`;
  if (analysis.nodes.at(-1) === found) return 'is the output';
  if (found.node.inputs.length !== 1) return `has ${found.node.inputs.length} inputs, needs one to pass on`;
  if (found.inputShapes[0]?.kind !== found.outputShape.kind) return 'turns a map into a vector';
  if (logits.has(id)) return 'makes the logits';
  return undefined;
}

/** By id of every node that removeNodes refuses, why, as a clause about it: "is the output", "has 2 inputs, ...". */
export function removalObstacles(spec: NetworkSpec): Map<string, string> {
  const analysis = analyse(spec);
  const logits = logitProducers(spec);
  const reasons = spec.nodes.map(({ id }) => [id, obstacle(analysis, logits, id)] as const);
  return new Map(reasons.filter((entry): entry is readonly [string, string] => entry[1] !== undefined));
}

/** Ids that removeNodes accepts: one input, the same kind of shape in and out, not the output, and not what makes the logits. */
export function removableNodes(spec: NetworkSpec): string[] {
  const obstacles = removalObstacles(spec);
  return spec.nodes.map(({ id }) => id).filter((id) => !obstacles.has(id));
}

/** Nodes that keep their input's shape and mix neither channels nor places: batch-norm, activations, dropout. */
function passiveNodes(analysis: SpecAnalysis): Set<string> {
  const passive = analysis.nodes.filter(({ node, type, inputShapes, outputShape }) => {
    const [input] = inputShapes;
    const shaping = type.fit !== undefined || type.widthAttribute !== undefined;
    return node.inputs.length === 1 && !shaping && input !== undefined && sameShape(input, outputShape);
  });
  return new Set(passive.map(({ node }) => node.id));
}

/** Whether two outputs are made of the same channel groups. */
function sameChannels({ layout }: ChannelGroups, a: string, b: string): boolean {
  return JSON.stringify(layout.get(a)) === JSON.stringify(layout.get(b));
}

/** Walks a spec from its input on and leaves nodes out; `alias` says which output stands for one that is gone. */
class Rewiring {
  readonly kept = new Map<string, NodeSpec>();
  private readonly alias = new Map<string, string>();
  private readonly originals: ReadonlyMap<string, NodeSpec>;
  private readonly passive: ReadonlySet<string>;
  private readonly groups: ChannelGroups;

  constructor(
    private readonly spec: NetworkSpec,
    original: SpecAnalysis,
    private readonly removed: ReadonlySet<string>,
  ) {
    this.originals = nodesById(spec.nodes);
    this.passive = passiveNodes(original);
    this.groups = channelGroups(spec);
  }

  resolve(id: string): string {
    return this.alias.get(id) ?? id;
  }

  /** The nearest node upstream of `id`, itself included, that is not passive: what the value at `id` really comes from. */
  private baseOf(byId: ReadonlyMap<string, NodeSpec>, id: string): string {
    let at = id;
    for (let node = byId.get(at); node !== undefined && this.passive.has(at); node = byId.get(at)) at = node.inputs[0] ?? at;
    return at;
  }

  run(): NetworkSpec {
    for (const node of this.spec.nodes) {
      const inputs = node.inputs.map((id) => this.resolve(id));
      const left = this.removed.has(node.id) ? inputs : this.joined(node, inputs);
      const leaves = this.removed.has(node.id) || (left.length === 1 && node.inputs.length > 1);
      if (leaves) this.alias.set(node.id, left[0] ?? '');
      else this.kept.set(node.id, { ...node, inputs: left });
    }
    return prune({ ...this.spec, nodes: [...this.kept.values()] }, this.resolve(this.spec.nodes.at(-1)?.id ?? ''));
  }

  /**
   * The inputs that an add keeps. An input is a shortcut when its base is something that another input is computed from as
   * well; a branch that lost its convolutions has become one. A shortcut goes
   * - when another input has come to have the same base: an emptied identity block is the identity and not x + x;
   * - when it, unlike the rest, now carries other channels than before: an emptied block with a projection is the projection.
   */
  private joined(node: NodeSpec, inputs: readonly string[]): readonly string[] {
    const { agreement } = nodeTypeOf(node);
    // A gate that lost all its layers has become what it gates: nothing is scaled any more.
    if (agreement === 'channels' && new Set(inputs).size === 1) return inputs.slice(0, 1);
    if (agreement !== 'shape') return inputs;
    const branches = inputs.map((id, i) => {
      const was = node.inputs[i] ?? '';
      return { id, base: this.baseOf(this.kept, id), baseWas: this.baseOf(this.originals, was) };
    });
    const feeds = (nodes: ReadonlyMap<string, NodeSpec>, base: string, ids: readonly string[], i: number): boolean =>
      ids.some((other, j) => j !== i && upstream(nodes, other).has(base));
    const wasShortcut = branches.map(({ baseWas }, i) => feeds(this.originals, baseWas, node.inputs, i));
    const goes = ({ base, baseWas }: (typeof branches)[number], i: number): boolean => {
      if (!feeds(this.kept, base, inputs, i)) return false;
      const stands = (j: number): boolean => (wasShortcut[i] === wasShortcut[j] ? j < i : wasShortcut[j] === true);
      const doubled = branches.some((other, j) => j !== i && other.base === base && other.baseWas !== baseWas && stands(j));
      const apart = branches.some((other) => other.base !== base || other.baseWas !== baseWas);
      return doubled || (apart && !sameChannels(this.groups, base, baseWas));
    };
    const left = branches.filter((branch, i) => !goes(branch, i));
    const [fallback] = [...branches.filter(({ id, base }) => id === base), ...branches];
    return left.length > 0 ? left.map(({ id }) => id) : fallback ? [fallback.id] : inputs;
  }
}

/**
 * The spec without these nodes: consumers take each one's input instead. Then, so that the result is a network again:
 * - an add whose branch lost all its convolutions keeps the other inputs only; with one left it disappears (identity);
 * - a shortcut whose projection is gone goes too, unless it can be the identity;
 * - where branches differ in size, projections follow the main branch (stride, padding);
 * - where widths differ, what the add joins gets the add's former width; depthwise and grouped convolutions follow;
 * - nodes that nothing uses any more go.
 * Throws SpecError for a node that removableNodes does not list, and when a map becomes too small for a later kernel.
 */
export function removeNodes(spec: NetworkSpec, ids: Iterable<string>): NetworkSpec {
  const removed = new Set(ids);
  const original = analyse(spec);
  const logits = logitProducers(spec);
  for (const id of removed) {
    const reason = obstacle(original, logits, id);
    if (reason !== undefined) throw new SpecError(id, `cannot be removed: it ${reason}`);
  }
  const rewired = new Rewiring(spec, original, removed).run();
  return parseSpec(repair(rewired, original, new Map()));
}

/** The spec with every add whose inputs are all one output replaced by that output. */
export function collapseAdds(spec: NetworkSpec): NetworkSpec {
  const alias = new Map<string, string>();
  const nodes: NodeSpec[] = [];
  for (const node of spec.nodes) {
    const inputs = node.inputs.map((id) => alias.get(id) ?? id);
    const [first = ''] = inputs;
    if (nodeTypeOf(node).agreement === 'shape' && inputs.every((id) => id === first)) alias.set(node.id, first);
    else nodes.push({ ...node, inputs });
  }
  const output = spec.nodes.at(-1)?.id ?? '';
  return parseSpec(prune({ ...spec, nodes }, alias.get(output) ?? output));
}
