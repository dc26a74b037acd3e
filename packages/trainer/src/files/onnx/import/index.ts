// From an ONNX graph to a network: walks the nodes in their order, which ONNX requires to be topological.
import { INPUT_ID, type NetworkSpec } from '../../../network/index.js';
import { elementCountOf } from '../sizes.js';
import { isFloatType } from '../tensor.js';
import type { OnnxGraph, OnnxModel, OnnxValueInfo } from '../schema.js';
import { WireError } from '../wire.js';
import { elementwiseTable } from './elementwise.js';
import { Importer, type Table } from './importer.js';
import { Operator } from './operator.js';
import { shapeTable } from './shape.js';
import type { Feature } from './values.js';
import { weightedTable } from './weighted.js';
import { windowTable } from './window.js';

export { NodeError } from './operator.js';

/** Operator sets that the tables below are written for. */
const OPSETS = { least: 7, most: 21 } as const;

const operators: Table = { ...windowTable, ...weightedTable, ...elementwiseTable, ...shapeTable };

export interface ImportedGraph {
  readonly spec: NetworkSpec;
  readonly weights: Map<string, Float32Array>;
  /** What was left out on purpose, in sentences. */
  readonly notes: readonly string[];
}

/** The network of a model whose tensors are all at hand. Throws WireError, NodeError and SpecError. */
export function importGraph({ opset, graph }: OnnxModel, name: string): ImportedGraph {
  if (!(opset >= OPSETS.least && opset <= OPSETS.most)) {
    throw new WireError(`is written for operator set ${opset}; n2n reads ${OPSETS.least} to ${OPSETS.most}`);
  }
  const info = inputOf(graph);
  const importer = new Importer({ opset, batch: info.dims?.[0], weightBudget: weightBudget(graph) });
  importer.countUses([...graph.nodes.flatMap(({ inputs }) => inputs), ...graph.outputs.map((output) => output.name)]);
  for (const tensor of graph.initializers) importer.define(tensor.name, { kind: 'constant', tensor });
  const input = inputFeature(graph, info);
  importer.define(info.name, input);
  for (const node of graph.nodes) {
    const operator = new Operator(node);
    const translation = node.domain === '' && Object.hasOwn(operators, node.op) ? operators[node.op] : undefined;
    if (translation === undefined) {
      const domain = node.domain === '' ? '' : ` of the domain ${JSON.stringify(node.domain.slice(0, 60))}`;
      return operator.fail(`n2n does not know this operator${domain}; it reads ${Object.keys(operators).toSorted().join(', ')}`);
    }
    operator.allow(translation.attributes);
    importer.define(node.outputs[0] ?? '', translation.read(operator, importer), operator);
  }
  const { channels, height, width } = input.shape;
  return { ...importer.finish(name, { channels, height, width }, outputOf(graph, importer)), notes: importer.notes };
}

/** Twice the numbers in the file, and some for what single values stand for: enough for everything but a file made to fill memory. */
function weightBudget({ initializers }: OnnxGraph): number {
  return initializers.reduce((sum, tensor) => sum + (isFloatType(tensor.dataType) ? elementCountOf(tensor) : 0), 0) * 2 + 2 ** 20;
}

function inputOf({ inputs, initializers }: OnnxGraph): OnnxValueInfo {
  const names = new Set(initializers.map(({ name }) => name));
  const real = inputs.filter(({ name }) => !names.has(name));
  const [input, second] = real;
  if (input === undefined || second !== undefined) {
    throw new WireError(
      `has ${real.length} inputs (${real
        .slice(0, 4)
        .map(({ name }) => name.slice(0, 60))
        .join(', ')}), needs one: the image`,
    );
  }
  if (!isFloatType(input.elementType)) {
    throw new WireError(`its input "${input.name.slice(0, 60)}" has data type ${input.elementType}, needs floating-point numbers`);
  }
  return input;
}

type InputFeature = Feature & { readonly shape: Extract<Feature['shape'], { kind: 'map' }> };

function inputFeature({ nodes }: OnnxGraph, { name, dims }: OnnxValueInfo): InputFeature {
  const [, ...rest] = dims ?? [];
  const [a, b, c] = rest;
  if (dims?.length !== 4 || !rest.every((size) => size !== undefined && Number.isSafeInteger(size) && size > 0)) {
    const shown = dims === undefined ? 'no shape' : `the shape [${dims.map((size) => size ?? '?').join(', ')}]`;
    throw new WireError(`its input "${name.slice(0, 60)}" has ${shown}, needs [N, channels, height, width] with fixed sizes; export it so`);
  }
  const readers = nodes.filter(({ inputs }) => inputs.includes(name));
  // TensorFlow's images have their channels last, and a transposition first.
  const channelsLast =
    readers.length > 0 && readers.every(({ op, attributes }) => op === 'Transpose' && attributes[0]?.ints?.join() === '0,3,1,2');
  const [channels, height, width] = (channelsLast ? [c, a, b] : [a, b, c]) as [number, number, number];
  return {
    kind: 'feature',
    id: INPUT_ID,
    shape: { kind: 'map', channels, height, width },
    dims: rest as number[],
    channelsLast,
    final: false,
  };
}

function outputOf({ outputs }: OnnxGraph, importer: Importer): Feature {
  const [output, second] = outputs;
  if (output === undefined || second !== undefined) throw new WireError(`has ${outputs.length} outputs, needs one: the logits`);
  const value = importer.get(output.name);
  if (value === undefined) throw new WireError(`its output "${output.name.slice(0, 60)}" is given by no node`);
  if (value.kind !== 'feature') throw new WireError(`its output "${output.name.slice(0, 60)}" is a constant`);
  if (value.shape.kind !== 'vector' || value.flattenedLast !== undefined || value.pad !== undefined) {
    throw new WireError(`its output "${output.name.slice(0, 60)}" is [N, ${value.dims.join(', ')}], needs a vector of logits`);
  }
  return value;
}
