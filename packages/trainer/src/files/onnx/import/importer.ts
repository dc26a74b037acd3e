// Builds the spec while the graph is walked: values by name, nodes and their weights as they come.
import {
  analyse,
  channelsOf,
  INPUT_ID,
  NODE_LIMIT,
  parameterElements,
  parseSpec,
  SpecError,
  type NetworkSpec,
  type NodeSpec,
  type Shape,
  type Sides,
} from '../../../network/index.js';
import { analyseNode } from '../../../network/analyse.js';
import { prune } from '../../../network/graph.js';
import { nodeTypeOf } from '../../../network/nodes/index.js';
import { parseAttributes } from '../../../network/parse.js';
import { ONNX_LIMITS } from '../limits.js';
import { floatsOf, integersOf, isFloatType } from '../tensor.js';
import { WireError } from '../wire.js';
import type { Operator } from './operator.js';
import type { Constant, Feature, Size, Sizes, Value } from './values.js';

export interface ImportContext {
  readonly opset: number;
  /** The batch size that the graph's input declares; undefined when it is open. */
  readonly batch: number | undefined;
  /** Most elements of weights that the file can stand for: more would be one tensor used over and over. */
  readonly weightBudget: number;
}

type Attributes = Readonly<Record<string, unknown>>;

export class Importer {
  readonly notes: string[] = [];
  private readonly values = new Map<string, Value>();
  private readonly uses = new Map<string, number>();
  /** By node id, the ONNX value that the node first gave. */
  private readonly outputs = new Map<string, string>();
  private readonly nodes = new Map<string, NodeSpec>();
  private readonly ids = new Set<string>([INPUT_ID]);
  private readonly weights = new Map<string, Float32Array>();
  private weightElements = 0;

  constructor(readonly context: ImportContext) {}

  define(name: string, value: Value, operator?: Operator): void {
    if (name === '') return;
    if (this.values.has(name)) {
      const problem = `gives ${JSON.stringify(name.slice(0, 100))}, which is there already`;
      if (operator === undefined) throw new WireError(`the graph ${problem}`);
      operator.fail(problem);
    }
    this.values.set(name, value);
    if (value.kind === 'feature' && !this.outputs.has(value.id)) this.outputs.set(value.id, name);
  }

  countUses(names: Iterable<string>): void {
    for (const name of names) this.uses.set(name, (this.uses.get(name) ?? 0) + 1);
  }

  /** Whether nobody else reads what the node `id` gives than the reader of the value `name`. */
  isOnlyReader(id: string, name: string): boolean {
    return this.outputs.get(id) === name && this.uses.get(name) === 1;
  }

  get(name: string): Value | undefined {
    return this.values.get(name);
  }

  /** Input `index` of an operator, whatever it is. */
  value(operator: Operator, index: number): Value {
    const name = operator.node.inputs[index] ?? '';
    if (name === '') return operator.fail(`has no input ${index}`);
    const value = this.values.get(name);
    return value ?? operator.fail(`reads ${JSON.stringify(name.slice(0, 100))}, which no initializer and no earlier node gives`);
  }

  /** Whether the operator has an input at `index`. */
  hasInput(operator: Operator, index: number): boolean {
    return (operator.node.inputs[index] ?? '') !== '';
  }

  /** An input that is computed from the image. Zeros around it and a softmax before it are errors unless the caller takes them. */
  feature(operator: Operator, index: number, takes: { readonly pad?: boolean; readonly final?: boolean } = {}): Feature {
    const value = this.value(operator, index);
    if (value.kind !== 'feature') return operator.fail(`input ${index} is a constant, needs what the network computes`);
    if (value.pad !== undefined && takes.pad !== true)
      operator.fail('follows a Pad; n2n reads padding before a convolution or a pooling only');
    if (value.final && takes.final !== true) operator.fail('follows a softmax; n2n reads a softmax at the end of the network only');
    return value;
  }

  constant(operator: Operator, index: number): Constant {
    const value = this.value(operator, index);
    return value.kind === 'constant' ? value : operator.fail(`input ${index} is computed by the network, needs a constant`);
  }

  /** Elements and dimensions of a constant of floats. */
  floats(operator: Operator, index: number): { readonly data: Float32Array; readonly dims: readonly number[] } {
    const { tensor } = this.constant(operator, index);
    return { data: named(operator, () => floatsOf(tensor)), dims: tensor.dims };
  }

  /** Integers from a constant or from what the graph computes of sizes. */
  sizes(operator: Operator, index: number): readonly Size[] {
    const list = this.list(operator, index) ?? operator.fail(`input ${index} is no list of integers`);
    return list.columns === undefined ? list.sizes : operator.fail(`input ${index} is a table of integers, needs a list`);
  }

  /** Integers, also as a table; undefined where an input is something else. */
  list(operator: Operator, index: number): Sizes | undefined {
    const value = this.value(operator, index);
    if (value.kind === 'sizes') return value;
    if (value.kind !== 'constant' || isFloatType(value.tensor.dataType) || value.tensor.dims.length > 1) return undefined;
    const sizes = named(operator, () => integersOf(value.tensor));
    if (sizes.length > ONNX_LIMITS.computed)
      operator.fail(`input ${index} is a list of ${sizes.length} integers; n2n computes with at most ${ONNX_LIMITS.computed}`);
    return { kind: 'sizes', sizes, scalar: value.tensor.dims.length === 0 };
  }

  /** As `sizes`, without the batch. */
  integers(operator: Operator, index: number): readonly number[] {
    return this.sizes(operator, index).map((size) =>
      typeof size === 'number' ? size : operator.fail(`input ${index} holds the size of the batch`),
    );
  }

  /** Adds a node to the spec. Weights are in the order of the type's parameters. */
  add(
    operator: Operator,
    type: string,
    attributes: Attributes,
    inputs: readonly Feature[],
    weights: readonly Float32Array[] = [],
  ): Feature {
    if (this.nodes.size >= NODE_LIMIT) operator.fail(`is one node more than the ${NODE_LIMIT} that a network may have`);
    const id = this.idFor(operator);
    const bare = { id, type, inputs: inputs.map((input) => input.id), attributes: {} };
    const analysis = named(operator, () => {
      const node = { ...bare, attributes: parseAttributes(bare, nodeTypeOf(bare), attributes) };
      return analyseNode(
        node,
        inputs.map(({ shape }) => shape),
      );
    });
    analysis.parameters.forEach((declaration, i) => {
      const data = weights[i];
      const needed = parameterElements(declaration);
      if (data?.length !== needed)
        operator.fail(`has ${data?.length ?? 0} elements of ${declaration.name}, needs ${needed} ([${declaration.shape.join(', ')}])`);
      this.weightElements += needed;
      if (this.weightElements > this.context.weightBudget)
        operator.fail('uses weights that so many other nodes use that they cannot all have their own');
      this.weights.set(`${id}.${declaration.name}`, data);
    });
    this.nodes.set(id, analysis.node);
    return { kind: 'feature', id, shape: analysis.outputShape, dims: dimsOf(analysis.outputShape), channelsLast: false, final: false };
  }

  /** The node that computes a feature, and its weights for a change in place (a bias that an Add brings). */
  nodeOf(id: string): NodeSpec | undefined {
    return this.nodes.get(id);
  }

  /** Gives a node without bias the bias that follows it. */
  setBias(id: string, bias: Float32Array): void {
    const node = this.nodes.get(id);
    if (node === undefined) throw new Error(`no node "${id}"`);
    this.nodes.set(id, { ...node, attributes: { ...node.attributes, bias: true } });
    this.weights.set(`${id}.bias`, bias);
  }

  /** The spec whose output is `output`, and its weights. */
  finish(name: string, input: NetworkSpec['input'], output: Feature): { spec: NetworkSpec; weights: Map<string, Float32Array> } {
    const classes = channelsOf(output.shape);
    const pruned = prune({ name, input, classes, nodes: [...this.nodes.values()] }, output.id);
    const spec = parseSpec(pruned);
    const weights = new Map<string, Float32Array>();
    for (const { node, parameters } of analyse(spec).nodes) {
      for (const declaration of parameters) {
        const key = `${node.id}.${declaration.name}`;
        const data = this.weights.get(key);
        if (data === undefined) throw new SpecError(node.id, `has no tensor "${declaration.name}"`);
        weights.set(key, data);
      }
    }
    return { spec, weights };
  }

  /** `layer1.0.conv1` of the tensor `layer1.0.conv1.weight`, else the node's own name: what people know the layer by. */
  private idFor({ node }: Operator): string {
    const tensor = node.inputs.slice(1).find((input) => input.endsWith('.weight') && this.values.get(input)?.kind === 'constant');
    const wanted = (tensor?.slice(0, -'.weight'.length) || node.name || node.outputs[0] || node.op)
      .replaceAll(/[^\u0021-\u007e]/g, '_')
      .replace(/^\/+/, '')
      .slice(0, 200);
    let id = wanted || 'node';
    for (let n = 2; this.ids.has(id); n++) id = `${wanted}.${n}`;
    this.ids.add(id);
    return id;
  }
}

/** ONNX's dimensions of a shape, the batch left out. */
export function dimsOf(shape: Shape): readonly number[] {
  return shape.kind === 'map' ? [shape.channels, shape.height, shape.width] : [shape.features];
}

export const NO_PAD: Sides = [0, 0, 0, 0];

/** Runs `work`; what it throws about the spec or a tensor names the ONNX node. */
export function named<T>(operator: Operator, work: () => T): T {
  try {
    return work();
  } catch (error) {
    if (error instanceof SpecError || error instanceof WireError) return operator.fail(error.message);
    throw error;
  }
}

/** How an operator becomes nodes: the attributes it may have, and what its first output is. */
export interface Translation {
  readonly attributes: readonly string[];
  read(operator: Operator, importer: Importer): Value;
}

export type Table = Readonly<Record<string, Translation>>;
