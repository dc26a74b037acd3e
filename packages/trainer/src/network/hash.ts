// The canonical hash of an architecture: the key of the search's cache and the root of a candidate's training seed.
import { createHash } from 'node:crypto';
import { INPUT_ID, type NetworkSpec, type NodeSpec } from './spec.js';

/** Ids in the order in which a depth-first walk from the output, inputs from left to right, completes them. */
function canonicalOrder(spec: NetworkSpec): NodeSpec[] {
  const byId = new Map(spec.nodes.map((node) => [node.id, node]));
  const order: NodeSpec[] = [];
  const entered = new Set<string>();
  const last = spec.nodes.at(-1);
  const stack: { node: NodeSpec; next: number }[] = [];
  if (last !== undefined) stack.push({ node: last, next: 0 });
  for (let top = stack.at(-1); top !== undefined; top = stack.at(-1)) {
    const input = top.node.inputs[top.next++];
    if (input === undefined) {
      order.push(top.node);
      stack.pop();
      continue;
    }
    const node = byId.get(input);
    if (node === undefined || entered.has(input)) continue;
    entered.add(input);
    stack.push({ node, next: 0 });
  }
  return order;
}

/**
 * 16 hexadecimal digits (64 bits of SHA-256). Depends on input, classes and the graph with its attributes; not on the
 * spec's name, on how ids are spelt, on the order of keys, nor on which topological order the nodes are listed in.
 */
export function specHash(spec: NetworkSpec): string {
  const order = canonicalOrder(spec);
  const index = new Map<string, number>([[INPUT_ID, -1], ...order.map((node, i): [string, number] => [node.id, i])]);
  const nodes = order.map((node) => [
    node.type,
    node.inputs.map((id) => index.get(id)),
    Object.entries(node.attributes).toSorted(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0)),
  ]);
  const { channels, height, width } = spec.input;
  const text = JSON.stringify([channels, height, width, spec.classes, nodes]);
  return createHash('sha256').update(text).digest('hex').slice(0, 16);
}
