// Where skip connections start and end, and which layers are their projections: from the graph alone, for any network.
import { INPUT_ID, nodeTypeOf, type NetworkSpec, type NodeSpec } from '@n2n/trainer/network';

/** A join of branches: from the output where they part to the node where they meet. */
export interface Skip {
  /** The last output that every branch is computed from; `'input'` for the network's input. */
  readonly start: string;
  /** The node with several inputs. */
  readonly end: string;
  /** Nodes that lie on some branch, start and end left out. */
  readonly inside: readonly string[];
  /** Those of them that only serve a projection: a branch that chooses a width at most once beside one that does so more often. */
  readonly projection: readonly string[];
}

/** All joins of a spec, in its order. */
export function findSkips(spec: NetworkSpec): Skip[] {
  const byId = new Map(spec.nodes.map((node) => [node.id, node]));
  const upstream = upstreamSets(spec);
  const dominator = dominators(spec);
  return spec.nodes
    .filter((node) => new Set(node.inputs).size > 1)
    .map((node) => {
      const start = dominator.get(node.id) ?? INPUT_ID;
      const before = upstream.get(start) ?? new Set([INPUT_ID]);
      const branches = node.inputs.map((id) => [...(upstream.get(id) ?? [])].filter((other) => !before.has(other)));
      const all = new Set(branches.flat());
      const inside = spec.nodes.filter(({ id }) => all.has(id)).map(({ id }) => id);
      const projection = projectionOf(branches, byId);
      return { start, end: node.id, inside, projection: inside.filter((id) => projection.has(id)) };
    });
}

function projectionOf(branches: readonly (readonly string[])[], byId: ReadonlyMap<string, NodeSpec>): ReadonlySet<string> {
  const choosers = branches.map((branch) => branch.filter((id) => choosesWidth(byId.get(id))).length);
  const main = choosers.indexOf(Math.max(...choosers));
  const mainNodes = new Set(branches[main]);
  const projections = branches.filter((_, b) => b !== main && choosers[b]! <= 1 && choosers[b]! < choosers[main]!);
  return new Set(projections.flat().filter((id) => !mainNodes.has(id)));
}

/** Whether a node's type has a width of its own: convolution, linear. */
export function choosesWidth(node: NodeSpec | undefined): boolean {
  return node !== undefined && nodeTypeOf(node).widthAttribute !== undefined;
}

/** For every output, the outputs that it is computed from, itself and `'input'` included. */
function upstreamSets(spec: NetworkSpec): Map<string, ReadonlySet<string>> {
  const sets = new Map<string, ReadonlySet<string>>([[INPUT_ID, new Set([INPUT_ID])]]);
  for (const node of spec.nodes) {
    const own = new Set([node.id]);
    for (const input of node.inputs) for (const id of sets.get(input) ?? []) own.add(id);
    sets.set(node.id, own);
  }
  return sets;
}

/** The immediate dominator of each node: the last output that every path from the network's input to it goes through. */
function dominators(spec: NetworkSpec): Map<string, string> {
  const immediate = new Map<string, string>();
  const depth = new Map<string, number>([[INPUT_ID, 0]]);
  const meet = (a: string, b: string): string => {
    let [x, y] = [a, b];
    while (x !== y) {
      if (depth.get(x)! >= depth.get(y)!) x = immediate.get(x)!;
      else y = immediate.get(y)!;
    }
    return x;
  };
  for (const node of spec.nodes) {
    const above = node.inputs.reduce(meet);
    immediate.set(node.id, above);
    depth.set(node.id, depth.get(above)! + 1);
  }
  return immediate;
}
