// Questions about a node list as a graph: who consumes what, who lies upstream of whom.
import { INPUT_ID, type NetworkSpec, type NodeSpec, SpecError } from './spec.js';

export function nodesById(nodes: readonly NodeSpec[]): Map<string, NodeSpec> {
  return new Map(nodes.map((node) => [node.id, node]));
}

/** How many inputs of other nodes each output feeds. */
export function consumerCounts(nodes: readonly NodeSpec[]): Map<string, number> {
  const counts = new Map<string, number>();
  for (const id of nodes.flatMap((node) => node.inputs)) counts.set(id, (counts.get(id) ?? 0) + 1);
  return counts;
}

/** Ids of `id` itself and of everything that it is computed from. */
export function upstream(byId: ReadonlyMap<string, NodeSpec>, id: string): Set<string> {
  const seen = new Set([id]);
  const pending = [id];
  for (let at = pending.pop(); at !== undefined; at = pending.pop()) {
    for (const input of byId.get(at)?.inputs ?? []) {
      if (seen.has(input)) continue;
      seen.add(input);
      pending.push(input);
    }
  }
  return seen;
}

/** The spec with `id` replaced, wherever it is an input, by `by`, and the node `id` itself taken out. */
export function bypass(spec: NetworkSpec, id: string, by: string): NetworkSpec {
  const nodes = spec.nodes
    .filter((node) => node.id !== id)
    .map((node) => (node.inputs.includes(id) ? { ...node, inputs: node.inputs.map((input) => (input === id ? by : input)) } : node));
  return { ...spec, nodes };
}

/** Only the nodes that `output` is computed from, `output` last. */
export function prune(spec: NetworkSpec, output: string): NetworkSpec {
  if (output === INPUT_ID) throw new SpecError(undefined, 'nothing is left between input and output, needs at least one node');
  const kept = upstream(nodesById(spec.nodes), output);
  return { ...spec, nodes: spec.nodes.filter((node) => kept.has(node.id)) };
}
