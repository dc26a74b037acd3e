// Which nodes run as one: a batch-norm with the sum, the ReLU and the small max-pool behind it, a max-pool with the ReLUs around it,
// and a convolution with a pool that keeps every n-th pixel of its output, which has a stride of n in its place; in evaluation a
// convolution with the batch-norm, the ReLU and the small max-pool behind it. Elementwise passes cost what they read and write, and
// one pass over a map reads and writes it once, or not at all.
import type { NodeSpec, NetworkSpec } from '../network/index.js';
import { isSinglePixelPool } from './convolution.js';

/** Nodes that are lowered together, in topological order; only the last one's output is stored. Mostly a single node. */
export interface Unit {
  readonly nodes: readonly NodeSpec[];
  /** The one of them whose lowering computes them all. */
  readonly lead: NodeSpec;
  /** Ids of the tensors it reads: those of the first node, then the other one of a sum. */
  readonly inputs: readonly string[];
  /** True of a convolution and what follows it in evaluation, where one kernel computes all of them. */
  readonly inOneKernel?: boolean;
}

/**
 * The units of a network, each at its last node's place in the order: all it reads is there by then. The convolutions in `whole`
 * compute all of their output, whoever reads it. `inOneKernel` says of a convolution and nodes behind it whether one kernel computes
 * them; never unless told.
 */
export function fusedUnits(
  spec: NetworkSpec,
  whole: readonly string[] = [],
  inOneKernel: (nodes: readonly NodeSpec[]) => boolean = () => false,
): Unit[] {
  const byId = new Map(spec.nodes.map((node) => [node.id, node]));
  const consumers = new Map<string, NodeSpec[]>();
  for (const node of spec.nodes) for (const id of node.inputs) consumers.set(id, [...(consumers.get(id) ?? []), node]);
  const graph: Graph = { byId, consumers, inOneKernel };
  const taken = new Set<string>();
  const units = new Map<string, Unit>();
  for (const node of spec.nodes) {
    const unit = taken.has(node.id) || whole.includes(node.id) ? undefined : unitFrom(node, graph, taken);
    if (unit === undefined || unit.nodes.length === 1) continue;
    for (const { id } of unit.nodes) taken.add(id);
    units.set(unit.nodes.at(-1)!.id, unit);
  }
  return spec.nodes.flatMap((node) => units.get(node.id) ?? (taken.has(node.id) ? [] : { nodes: [node], lead: node, inputs: node.inputs }));
}

interface Graph {
  readonly byId: ReadonlyMap<string, NodeSpec>;
  readonly consumers: ReadonlyMap<string, readonly NodeSpec[]>;
  readonly inOneKernel: (nodes: readonly NodeSpec[]) => boolean;
}

/** The unit that starts with a node, if one does. */
function unitFrom(node: NodeSpec, graph: Graph, taken: ReadonlySet<string>): Unit | undefined {
  switch (node.type) {
    case 'batch-norm':
      return normUnit(node, graph, taken);
    case 'conv2d':
      return evaluatedUnit(node, graph, taken) ?? stridedUnit(node, graph, taken);
    case 'relu':
    case 'max-pool':
      return poolUnit(node, graph, taken);
    default:
      return undefined;
  }
}

/** The node that is the only reader of the last of `nodes`. */
function onlyReader(nodes: readonly NodeSpec[], graph: Graph, taken: ReadonlySet<string>): NodeSpec | undefined {
  const readers = graph.consumers.get(nodes.at(-1)!.id) ?? [];
  return readers.length === 1 && !taken.has(readers[0]!.id) ? readers[0] : undefined;
}

/** Moves the ReLUs that follow, each the only reader of the one before, to the end of `nodes`: as one they are the same. */
function takeRelus(nodes: NodeSpec[], graph: Graph, taken: ReadonlySet<string>): void {
  for (let next = onlyReader(nodes, graph, taken); next?.type === 'relu'; next = onlyReader(nodes, graph, taken)) nodes.push(next);
}

/** A pool with the ReLUs before and behind it: the largest of ReLUs is the ReLU of the largest. */
function poolUnit(first: NodeSpec, graph: Graph, taken: ReadonlySet<string>): Unit | undefined {
  const nodes = [first];
  if (first.type === 'relu') {
    takeRelus(nodes, graph, taken);
    const pool = onlyReader(nodes, graph, taken);
    if (pool?.type !== 'max-pool') return undefined;
    nodes.push(pool);
  }
  const lead = nodes.at(-1)!;
  takeRelus(nodes, graph, taken);
  return { nodes, lead, inputs: first.inputs };
}

/** A convolution, the ReLUs behind it, and a pool of windows of one pixel, which drops what it does not step on. */
function stridedUnit(convolution: NodeSpec, graph: Graph, taken: ReadonlySet<string>): Unit | undefined {
  const nodes = [convolution];
  takeRelus(nodes, graph, taken);
  const pool = onlyReader(nodes, graph, taken);
  if (pool === undefined || !isSinglePixelPool(pool)) return undefined;
  nodes.push(pool);
  takeRelus(nodes, graph, taken);
  return { nodes, lead: convolution, inputs: convolution.inputs };
}

/** In evaluation: a convolution and the batch-norm, the ReLUs and the small pool behind it, if one kernel computes them. */
function evaluatedUnit(convolution: NodeSpec, graph: Graph, taken: ReadonlySet<string>): Unit | undefined {
  const nodes = [convolution];
  const norm = onlyReader(nodes, graph, taken);
  if (norm?.type === 'batch-norm') {
    nodes.push(norm);
    // The batch-norm's own pass takes a sum along.
    const sum = onlyReader(nodes, graph, taken);
    if (sum?.type === 'add' && joined(norm, sum, graph) !== undefined) return undefined;
  }
  takeRelus(nodes, graph, taken);
  takeSmallPool(nodes, graph, taken);
  if (nodes.length === 1 || !graph.inOneKernel(nodes)) return undefined;
  return { nodes, lead: convolution, inputs: convolution.inputs, inOneKernel: true };
}

/** The longest run of nodes behind a batch-norm that one pass computes, each the only reader of the one before. */
function normUnit(norm: NodeSpec, graph: Graph, taken: ReadonlySet<string>): Unit {
  const nodes = [norm];
  const inputs = [...norm.inputs];
  const sum = onlyReader(nodes, graph, taken);
  const other = sum?.type === 'add' ? joined(norm, sum, graph) : undefined;
  if (other !== undefined) {
    nodes.push(sum!);
    inputs.push(other);
  }
  takeRelus(nodes, graph, taken);
  if (other === undefined) takeSmallPool(nodes, graph, taken);
  return { nodes, lead: norm, inputs };
}

/** Moves a small max-pool that follows, and the ReLUs behind it, to the end of `nodes`. */
function takeSmallPool(nodes: NodeSpec[], graph: Graph, taken: ReadonlySet<string>): void {
  const pool = onlyReader(nodes, graph, taken);
  if (pool?.type !== 'max-pool' || !isSmallPool(pool)) return;
  nodes.push(pool);
  takeRelus(nodes, graph, taken);
}

/**
 * What a sum of two adds to the batch-norm; undefined where that cannot run in the batch-norm's pass: a tensor that the
 * batch-norm itself reads cannot be bound twice. Of two batch-norms that are summed the first takes the sum.
 */
function joined(norm: NodeSpec, sum: NodeSpec, graph: Graph): string | undefined {
  if (sum.inputs.length !== 2) return undefined;
  const other = sum.inputs.find((id) => id !== norm.id);
  if (other === undefined || source(other, graph) === source(norm.inputs[0]!, graph)) return undefined;
  return other;
}

/** The tensor behind nodes that store none of their own. */
function source(id: string, graph: Graph): string {
  const node = graph.byId.get(id);
  return node?.type === 'flatten' || node?.type === 'dropout' ? source(node.inputs[0]!, graph) : id;
}

/** 2x2 windows side by side, or the first pixel of each. */
function isSmallPool({ attributes }: NodeSpec): boolean {
  const is = (name: string, values: readonly number[]): boolean => String(attributes[name]) === String(values);
  return (is('kernel', [2, 2]) || is('kernel', [1, 1])) && is('stride', [2, 2]) && is('padding', [0, 0, 0, 0]);
}
