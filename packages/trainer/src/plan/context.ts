// What the lowering of a node is given and gives, and the places that it names.
import { SpecError, type NodeSpec, type Shape } from '../network/index.js';
import type { Activation, CallList, External, Place } from './graph.js';
import { sampleWords, type SampleLayout } from './layout.js';

/** What lowering one node needs. `backward` gets the same object as `forward`. */
export interface NodeContext {
  readonly calls: CallList;
  readonly node: NodeSpec;
  /** Nodes around it that its passes compute too (see fuse.ts). */
  readonly fused: readonly NodeSpec[];
  /** Whether one kernel computes all of them, in evaluation. */
  readonly inOneKernel: boolean;
  /** What its calls are called: the ids of all these nodes. */
  readonly label: string;
  readonly batch: number;
  readonly training: boolean;
  /** Outside of training: batch-norms take the batch's statistics and leave the running ones alone. */
  readonly batchStatistics: boolean;
  /** What the node reads, then what a fused sum adds. */
  readonly inputs: readonly Place[];
  readonly inputShapes: readonly Shape[];
  readonly inputLayouts: readonly SampleLayout[];
  readonly outputShape: Shape;
  readonly outputLayout: SampleLayout;
  /** Whether anything wants the gradient of input i (the network's input has none). */
  readonly wantsInputGradient: readonly boolean[];
  /** Keyed seed and index of this node, for dropout. */
  readonly seed: number;
  readonly index: number;
  /** Tensors that the backward pass reads: saved by `forward`. */
  readonly saved: Record<string, Activation>;
}

export interface Lowering {
  /** The output layout; by default that of the output shape. */
  layout?(inputs: readonly SampleLayout[]): SampleLayout;
  forward(context: NodeContext): Place;
  /** Whether `backward` adds up the gradient's two parts itself where the output has two readers. */
  takesParts?(context: NodeContext): boolean;
  /**
   * Gradients of the inputs from the gradient of the output, or from its two parts where the lowering takes such; undefined
   * where none is wanted.
   */
  backward(context: NodeContext, dy: Place, dyOther?: Place): readonly (Place | undefined)[];
}

export const parameter = ({ node }: Pick<NodeContext, 'node'>, name: string): External => ({
  kind: 'external',
  arena: 'parameters',
  name: `${node.id}.${name}`,
});
export const gradient = ({ node }: NodeContext, name: string): External => ({
  kind: 'external',
  arena: 'gradients',
  name: `${node.id}.${name}`,
});
export const state = ({ node }: Pick<NodeContext, 'node'>, name: string): External => ({
  kind: 'external',
  arena: 'state',
  name: `${node.id}.${name}`,
});

export const output = (context: NodeContext): Activation =>
  context.calls.activation(context.batch * sampleWords(context.outputLayout), context.node.id);
export const inputGradient = (context: NodeContext): Activation =>
  context.calls.activation(context.batch * sampleWords(context.inputLayouts[0]!), `d ${context.node.id}`);

/** Whether the node's passes compute a node of this type too. */
export const fuses = ({ fused }: NodeContext, type: string): boolean => fused.some((node) => node.type === type);

export function mapShape(context: NodeContext): { channels: number; height: number; width: number } {
  const shape = context.inputShapes[0]!;
  if (shape.kind !== 'map') throw new SpecError(context.node.id, `${context.node.type} needs a feature map, got a vector`);
  return { channels: shape.channels, height: shape.height, width: shape.width };
}
