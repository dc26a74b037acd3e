// A model as an ONNX graph: each node's own declaration says which operators it becomes.
import { analyse, INPUT_ID, type NodeAnalysis, type OnnxInput, type OnnxStep } from '../../network/index.js';
import { foldBatchNorm } from '../../transform/index.js';
import { PREPROCESSING_KEY, preprocessingText, type Model } from '../model.js';
import { AttributeType, DataType, type OnnxAttribute, type OnnxGraph, type OnnxModel, type OnnxNode, type OnnxTensor } from './schema.js';

/** What the files that n2n writes are known by. */
export const PRODUCER = 'n2n';
/** Operator set 17 and the file version that came with it (ONNX 1.12). */
const OPSET = 17;
const IR_VERSION = 8;
/** The output's name, if no node has it; the input has the spec's own. */
const OUTPUT = 'logits';

export interface ExportOptions {
  readonly foldBatchNorm: boolean;
}

/** The model with its batch size left open; input [N, C, H, W] already preprocessed, output [N, classes]. */
export function exportModel(model: Model, options: ExportOptions): OnnxModel {
  const { spec, weights } = options.foldBatchNorm ? foldBatchNorm(model) : model;
  const { channels, height, width } = spec.input;
  const graph = new GraphWriter(weights);
  const last = spec.nodes.at(-1)?.id;
  for (const analysis of analyse(spec).nodes) graph.add(analysis, analysis.node.id === last ? OUTPUT : analysis.node.id);
  return {
    irVersion: IR_VERSION,
    producer: PRODUCER,
    opset: OPSET,
    graph: {
      name: spec.name,
      nodes: graph.nodes,
      initializers: graph.initializers,
      inputs: [{ name: INPUT_ID, elementType: DataType.FLOAT, dims: [undefined, channels, height, width] }],
      outputs: [{ name: graph.valueOf(last ?? ''), elementType: DataType.FLOAT, dims: [undefined, spec.classes] }],
    } satisfies OnnxGraph,
    metadata: new Map([
      [PREPROCESSING_KEY, preprocessingText(model.preprocessing)],
      ['n2n.preprocessing.about', 'pixels are scaled to 0..1, then (x - mean[c]) / std[c] for each channel c'],
    ]),
  };
}

class GraphWriter {
  readonly nodes: OnnxNode[] = [];
  readonly initializers: OnnxTensor[] = [];
  /** Names of ONNX values that are given away, and those of the nodes' outputs by node id. */
  private readonly names = new Set<string>([INPUT_ID]);
  private readonly values = new Map<string, string>([[INPUT_ID, INPUT_ID]]);
  private readonly constants = new Map<string, string>();

  constructor(private readonly weights: ReadonlyMap<string, Float32Array>) {
    for (const name of weights.keys()) this.names.add(name);
  }

  valueOf(id: string): string {
    return this.values.get(id) ?? '';
  }

  /** The operators of one node; the last one gives `output`. Those before it give `<output>:0`, `<output>:1`, .... */
  add({ node, type, inputShapes, parameters }: NodeAnalysis, output: string): void {
    const steps = type.onnx(node.attributes, inputShapes);
    for (const { name, shape } of parameters) this.addWeight(`${node.id}.${name}`, shape);
    const given = steps.map((_, i) => this.claim(i === steps.length - 1 ? output : `${output}:${i}`));
    const resolve = (input: OnnxInput): string => {
      if ('input' in input) return this.valueOf(node.inputs[input.input] ?? '');
      if ('step' in input) return given[input.step] ?? '';
      if ('parameter' in input) return `${node.id}.${input.parameter}`;
      return 'ints' in input ? this.integers(input.ints) : this.float(input.float);
    };
    steps.forEach((step, i) => {
      this.nodes.push({
        name: step.auxiliary === true ? `${node.id}:${i}` : node.id,
        op: step.op,
        domain: '',
        inputs: step.inputs.map(resolve),
        outputs: given.slice(i, i + 1),
        attributes: attributesOf(step),
      });
    });
    this.values.set(node.id, given.at(-1) ?? '');
  }

  /** The name, or a longer one where a tensor or a value has it. */
  private claim(name: string): string {
    let free = name;
    while (this.names.has(free)) free += '_';
    this.names.add(free);
    return free;
  }

  private addWeight(name: string, dims: readonly number[]): void {
    const data = this.weights.get(name);
    if (data === undefined) throw new Error(`the weights lack the tensor "${name}"`);
    const raw = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
    this.initializers.push({ name, dims, dataType: DataType.FLOAT, raw });
  }

  private integers(values: readonly number[]): string {
    return this.constant(values.join(','), DataType.INT64, [values.length], new Uint8Array(BigInt64Array.from(values, BigInt).buffer));
  }

  private float(value: number): string {
    return this.constant(`${value}f`, DataType.FLOAT, [], new Uint8Array(Float32Array.of(value).buffer));
  }

  /** One initializer for each constant, however many operators read it. */
  private constant(text: string, dataType: number, dims: readonly number[], raw: Uint8Array): string {
    const known = this.constants.get(text);
    if (known !== undefined) return known;
    const name = this.claim(`constant:${text}`);
    this.constants.set(text, name);
    this.initializers.push({ name, dims, dataType, raw });
    return name;
  }
}

function attributesOf({ attributes = {} }: OnnxStep): OnnxAttribute[] {
  return Object.entries(attributes).map(([name, value]): OnnxAttribute => {
    if ('int' in value) return { name, type: AttributeType.INT, int: value.int };
    if ('float' in value) return { name, type: AttributeType.FLOAT, float: value.float };
    return { name, type: AttributeType.INTS, ints: value.ints };
  });
}
