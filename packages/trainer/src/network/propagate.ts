// Recomputes an edited graph from its input on: shapes, and the attributes that follow an input's new shape.
import { analyseNode, inputShapeOf, type NodeAnalysis, type SpecAnalysis } from './analyse.js';
import { nodeTypeOf } from './nodes/index.js';
import { channelsOf, sameShape, sameSize } from './shape.js';
import { type AttributeValue, INPUT_ID, type NetworkSpec, type NodeSpec, type Shape, SpecError } from './spec.js';

/** New values of some attributes, by node id. */
export type Changes = ReadonlyMap<string, Readonly<Record<string, AttributeValue>>>;

export interface Propagation {
  /** Nodes with their final attributes, up to the first whose inputs disagree. */
  readonly nodes: readonly NodeAnalysis[];
  /** The first node whose inputs do not share what they must. */
  readonly disagreement?: { readonly node: NodeSpec; readonly inputShapes: readonly Shape[] };
}

const agreements = {
  shape: sameShape,
  size: sameSize,
  channels: (a: Shape, b: Shape) => channelsOf(a) === channelsOf(b),
} as const;

function agrees(agreement: keyof typeof agreements | undefined, [first, ...others]: readonly Shape[]): boolean {
  if (agreement === undefined || first === undefined) return true;
  return others.every((other) => agreements[agreement](first, other));
}

/**
 * Walks `spec` with `changes` laid over its attributes. What follows an input (depthwise filters and groups) is derived
 * from the node's input in `original`, the valid spec that the edit started from. Throws SpecError where a node cannot run.
 */
export function propagate(spec: NetworkSpec, original: SpecAnalysis, changes: Changes): Propagation {
  const shapes = new Map<string, Shape>([[INPUT_ID, inputShapeOf(spec)]]);
  const nodes: NodeAnalysis[] = [];
  for (const node of spec.nodes) {
    const type = nodeTypeOf(node);
    const inputShapes = node.inputs.map((id) => {
      const shape = shapes.get(id);
      if (shape === undefined) throw new SpecError(node.id, `input "${id}" is no earlier node; nodes need topological order`);
      return shape;
    });
    if (!agrees(type.agreement, inputShapes)) return { nodes, disagreement: { node, inputShapes } };
    const [before, after] = [original.byId.get(node.id)?.inputShapes[0], inputShapes[0]];
    const followed = before && after && type.follow ? type.follow(node.attributes, before, after) : node.attributes;
    const analysis = analyseNode({ ...node, attributes: { ...followed, ...changes.get(node.id) } }, inputShapes);
    shapes.set(node.id, analysis.outputShape);
    nodes.push(analysis);
  }
  return { nodes };
}
