// What follows from a spec: shapes, parameters, multiply-adds, bytes. Pure; nothing here needs weights or a device.
import type { ParameterDeclaration, NodeType } from './nodes/node.js';
import { nodeTypeOf } from './nodes/index.js';
import { DIMENSION_LIMIT, ELEMENT_LIMIT, describeShape, elementsOf } from './shape.js';
import { INPUT_ID, type NetworkSpec, type NodeSpec, type Shape, SpecError } from './spec.js';

export interface NodeAnalysis {
  readonly node: NodeSpec;
  readonly type: NodeType;
  readonly inputShapes: readonly Shape[];
  readonly outputShape: Shape;
  readonly parameters: readonly ParameterDeclaration[];
  /** Multiply-adds of one sample's forward pass. */
  readonly macs: number;
  /** Elements of one sample's output. */
  readonly outputElements: number;
}

export interface SpecAnalysis {
  readonly inputShape: Shape;
  /** In the spec's order, which is topological. */
  readonly nodes: readonly NodeAnalysis[];
  readonly byId: ReadonlyMap<string, NodeAnalysis>;
}

const BYTES_PER_FLOAT = 4;

export function inputShapeOf(spec: NetworkSpec): Shape {
  return { kind: 'map', ...spec.input };
}

/** Runs `work` and gives a plain Error that it throws the node's name. */
function named<T>(node: NodeSpec, work: () => T): T {
  try {
    return work();
  } catch (error) {
    if (error instanceof SpecError || !(error instanceof Error)) throw error;
    throw new SpecError(node.id, `${node.type} ${error.message}`);
  }
}

function checkElements(node: NodeSpec, what: string, count: number): void {
  if (count > ELEMENT_LIMIT) throw new SpecError(node.id, `${what} has ${count} elements, needs at most ${ELEMENT_LIMIT}`);
}

function checkOutput(node: NodeSpec, shape: Shape): void {
  const sides = shape.kind === 'map' ? [shape.channels, shape.height, shape.width] : [shape.features];
  if (sides.some((side) => side > DIMENSION_LIMIT)) {
    throw new SpecError(node.id, `output is ${describeShape(shape)}, needs no dimension above ${DIMENSION_LIMIT}`);
  }
  checkElements(node, 'output', elementsOf(shape));
}

/** One node's figures from its inputs' shapes; throws SpecError when they do not fit it. */
export function analyseNode(node: NodeSpec, inputShapes: readonly Shape[]): NodeAnalysis {
  const type = nodeTypeOf(node);
  return named(node, () => {
    const outputShape = type.shape(node.attributes, inputShapes);
    checkOutput(node, outputShape);
    const parameters = type.parameters(node.attributes, inputShapes);
    for (const { name, shape } of parameters) {
      checkElements(
        node,
        name,
        shape.reduce((product, side) => product * side, 1),
      );
    }
    const macs = type.macs(node.attributes, inputShapes);
    return { node, type, inputShapes, outputShape, parameters, macs, outputElements: elementsOf(outputShape) };
  });
}

/** Shapes and figures of every node. Throws SpecError at the first node whose inputs do not fit it. */
export function analyse(spec: NetworkSpec): SpecAnalysis {
  const inputShape = inputShapeOf(spec);
  const shapes = new Map<string, Shape>([[INPUT_ID, inputShape]]);
  const byId = new Map<string, NodeAnalysis>();
  for (const node of spec.nodes) {
    const inputShapes = node.inputs.map((id) => {
      const shape = shapes.get(id);
      if (shape === undefined) throw new SpecError(node.id, `input "${id}" is no earlier node; nodes need topological order`);
      return shape;
    });
    const analysis = analyseNode(node, inputShapes);
    shapes.set(node.id, analysis.outputShape);
    byId.set(node.id, analysis);
  }
  return { inputShape, nodes: [...byId.values()], byId };
}

/** Elements of a parameter tensor. */
export function parameterElements(declaration: ParameterDeclaration): number {
  return declaration.shape.reduce((product, side) => product * side, 1);
}

function sumTensors(spec: NetworkSpec, counts: (declaration: ParameterDeclaration) => boolean): number {
  let total = 0;
  for (const { parameters } of analyse(spec).nodes) {
    for (const declaration of parameters) if (counts(declaration)) total += parameterElements(declaration);
  }
  return total;
}

/** Elements of all trained tensors; running statistics do not count (as METHOD's teacher sizes). */
export function parameterCount(spec: NetworkSpec): number {
  return sumTensors(spec, ({ role }) => role === 'trained');
}

/** Multiply-adds of one sample's forward pass: convolutions and linear layers. */
export function macs(spec: NetworkSpec): number {
  return analyse(spec).nodes.reduce((total, node) => total + node.macs, 0);
}

/** Bytes of all tensors of the model as float32, running statistics included: a model file without its header. */
export function modelBytes(spec: NetworkSpec): number {
  return BYTES_PER_FLOAT * sumTensors(spec, () => true);
}

/**
 * Peak activation memory of inference at batch 1 in float32 bytes: nodes run in the spec's order, each writes an output
 * of its own (nothing in place), and an output, like the network's input, lives until its last consumer has run. The
 * peak is the largest sum of live tensors while a node runs.
 */
export function activationBytes(spec: NetworkSpec): number {
  const { nodes, inputShape } = analyse(spec);
  const lastUse = new Map<string, number>();
  nodes.forEach(({ node }, index) => node.inputs.forEach((id) => lastUse.set(id, index)));
  const dying = new Map<number, string[]>();
  for (const [id, index] of lastUse) dying.set(index, [...(dying.get(index) ?? []), id]);
  const elements = new Map<string, number>([[INPUT_ID, elementsOf(inputShape)]]);
  let live = elementsOf(inputShape);
  let peak = live;
  nodes.forEach(({ node, outputElements }, index) => {
    elements.set(node.id, outputElements);
    live += outputElements;
    peak = Math.max(peak, live);
    for (const id of dying.get(index) ?? []) live -= elements.get(id) ?? 0;
  });
  return BYTES_PER_FLOAT * peak;
}

/** Shape of a node's output, or of the network's input for `INPUT_ID`. */
export function shapeAt(analysis: SpecAnalysis, id: string): Shape {
  if (id === INPUT_ID) return analysis.inputShape;
  const node = analysis.byId.get(id);
  if (node === undefined) throw new SpecError(undefined, `no node "${id}"`);
  return node.outputShape;
}
