// Which nodes run as one: a batch-norm with the sum, the ReLU and the 2x2 max-pool behind it. Elementwise passes cost what they
// read and write, and one pass over a map reads and writes it once.
import type { NodeSpec, NetworkSpec } from '../network/index.js';

/** Nodes that are lowered together, in topological order; only the last one's output is stored. Mostly a single node. */
export interface Unit {
  readonly nodes: readonly NodeSpec[];
  /** Ids of the tensors it reads: those of the first node, then the other one of a sum. */
  readonly inputs: readonly string[];
}

/** The units of a network, each at its last node's place in the order: all it reads is there by then. */
export function fusedUnits(spec: NetworkSpec): Unit[] {
  const byId = new Map(spec.nodes.map((node) => [node.id, node]));
  const consumers = new Map<string, NodeSpec[]>();
  for (const node of spec.nodes) for (const id of node.inputs) consumers.set(id, [...(consumers.get(id) ?? []), node]);
  const graph: Graph = { byId, consumers };
  const taken = new Set<string>();
  const units = new Map<string, Unit>();
  for (const node of spec.nodes) {
    if (node.type !== 'batch-norm') continue;
    const unit = unitOf(node, graph, taken);
    for (const { id } of unit.nodes) taken.add(id);
    units.set(unit.nodes.at(-1)!.id, unit);
  }
  return spec.nodes.flatMap((node) => units.get(node.id) ?? (taken.has(node.id) ? [] : { nodes: [node], inputs: node.inputs }));
}

interface Graph {
  readonly byId: ReadonlyMap<string, NodeSpec>;
  readonly consumers: ReadonlyMap<string, readonly NodeSpec[]>;
}

/** The longest run of nodes behind a batch-norm that one pass computes, each the only reader of the one before. */
function unitOf(norm: NodeSpec, graph: Graph, taken: ReadonlySet<string>): Unit {
  const nodes = [norm];
  const inputs = [...norm.inputs];
  const next = (): NodeSpec | undefined => {
    const readers = graph.consumers.get(nodes.at(-1)!.id) ?? [];
    return readers.length === 1 && !taken.has(readers[0]!.id) ? readers[0] : undefined;
  };
  const sum = next();
  const other = sum?.type === 'add' ? joined(norm, sum, graph) : undefined;
  if (other !== undefined) {
    nodes.push(sum!);
    inputs.push(other);
  }
  const relu = next();
  if (relu?.type === 'relu') {
    nodes.push(relu);
    const pool = next();
    if (other === undefined && pool?.type === 'max-pool' && isDisjointPair(pool)) nodes.push(pool);
  }
  return { nodes, inputs };
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

function isDisjointPair({ attributes }: NodeSpec): boolean {
  const is = (name: string, values: readonly number[]): boolean => String(attributes[name]) === String(values);
  return is('kernel', [2, 2]) && is('stride', [2, 2]) && is('padding', [0, 0, 0, 0]);
}
