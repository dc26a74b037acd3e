// From a NetworkSpec to calls: the forward pass, and the backward pass from the gradient of the logits.
import { padded, type Conv2dNormShape } from '@n2n/kernels';
import { analyse, INPUT_ID, nodeTypeOf, SpecError, type NetworkSpec, type NodeSpec } from '../network/index.js';
import { convNormShape } from './convolution.js';
import { fusedUnits, type Unit } from './fuse.js';
import type { Activation, CallList, External, Place } from './graph.js';
import type { Lowering, NodeContext } from './context.js';
import { lowerings, sumOf } from './lower.js';
import { sampleLayouts } from './parameters.js';
import { sampleWords, type SampleLayout } from './layout.js';

export interface BuildOptions {
  readonly batch: number;
  readonly training: boolean;
  /** Keys dropout's masks. */
  readonly seed: number;
  /** Batch-norms take the batch's statistics outside of training too, and leave the running ones alone; not by default. */
  readonly batchStatistics?: boolean;
  /** Ids of convolutions whose whole output is wanted. */
  readonly whole?: readonly string[];
  /** In evaluation by running statistics: whether a convolution's kernel takes along what follows it. */
  readonly fusesNorm?: (shape: Conv2dNormShape) => boolean;
}

/** A batch's input images, [batch, H, W, C4]: written by the feed, read by the plan. */
const inputPlace: External = { kind: 'external', arena: 'batch', name: 'x' };

export interface Built {
  /** [batch, classes4] */
  readonly logits: Activation;
  /** Emits the backward pass. `dlogits` holds the gradient of the loss. */
  backward(dlogits: Activation): void;
}

interface Lowered {
  readonly unit: Unit;
  readonly lowering: Lowering;
  readonly context: NodeContext;
}

export function buildForward(calls: CallList, spec: NetworkSpec, options: BuildOptions): Built {
  const layouts = sampleLayouts(spec);
  const { byId, inputShape } = analyse(spec);
  const places = new Map<string, Place>([[INPUT_ID, inputPlace]]);
  const lowered: Lowered[] = [];
  /** Ids whose gradient somebody needs: those with a trained parameter at or before them. */
  const wanted = new Set<string>();
  const inOneKernel = (nodes: readonly NodeSpec[]): boolean => {
    const map = byId.get(nodes[0]!.inputs[0]!)?.outputShape ?? inputShape;
    return map.kind === 'map' && options.fusesNorm?.(convNormShape(nodes, options.batch, map)) === true;
  };
  for (const unit of fusedUnits(spec, options.whole, inOneKernel)) {
    const { nodes, lead: node, inputs } = unit;
    const tail = nodes.at(-1)!;
    const lowering = lowerings[node.type];
    if (lowering === undefined) throw new SpecError(node.id, `node type "${node.type}" cannot be trained yet`);
    for (const one of nodes) if (nodeTypeOf(one).agreement === 'shape') checkJoin(one, layouts);
    const context: NodeContext = {
      calls,
      node,
      fused: nodes.filter((one) => one !== node),
      inOneKernel: unit.inOneKernel === true,
      label: nodes.map(({ id }) => id).join('+'),
      index: spec.nodes.indexOf(node),
      batch: options.batch,
      training: options.training,
      batchStatistics: options.batchStatistics === true,
      seed: options.seed,
      inputs: inputs.map((id) => places.get(id)!),
      inputShapes: inputs.map((id) => byId.get(id)?.outputShape ?? inputShape),
      inputLayouts: inputs.map((id) => layouts.get(id)!),
      outputShape: byId.get(tail.id)!.outputShape,
      outputLayout: layouts.get(tail.id)!,
      wantsInputGradient: inputs.map((id) => wanted.has(id)),
      saved: {},
    };
    places.set(tail.id, lowering.forward(context));
    if (nodes.some(({ id }) => byId.get(id)!.parameters.length > 0) || inputs.some((id) => wanted.has(id))) wanted.add(tail.id);
    lowered.push({ unit, lowering, context });
  }
  const last = spec.nodes.at(-1)!;
  const logits = places.get(last.id)!;
  if (
    logits.kind !== 'activation' ||
    layouts.get(last.id)!.positions !== 1 ||
    sampleWords(layouts.get(last.id)!) !== padded(spec.classes)
  ) {
    throw new SpecError(last.id, `the last node must compute a vector of ${spec.classes} logits`);
  }
  return { logits, backward: (dlogits) => buildBackward(lowered, wanted, last.id, dlogits) };
}

/** Vectors that flattened different maps have the same length and yet a different order of elements. */
function checkJoin(node: NodeSpec, layouts: ReadonlyMap<string, SampleLayout>): void {
  const [first, ...others] = node.inputs.map((id) => layouts.get(id)!);
  for (const other of others) {
    if (other.channels !== first!.channels || other.positions !== first!.positions) {
      throw new SpecError(node.id, 'joins vectors flattened from maps of different shapes; this is not supported');
    }
  }
}

function buildBackward(lowered: readonly Lowered[], wanted: ReadonlySet<string>, outputId: string, dlogits: Activation): void {
  /** The parts of a tensor's gradient, one a reader, not yet added up. */
  const gradients = new Map<string, readonly Place[]>([[outputId, [dlogits]]]);
  for (const { unit, lowering, context } of lowered.toReversed()) {
    const { id: tail } = unit.nodes.at(-1)!;
    const parts = gradients.get(tail);
    if (parts === undefined || !wanted.has(tail)) continue;
    const most = lowering.takesParts?.(context) === true ? 2 : 1;
    const [dy, dyOther] = addParts(context, parts, most);
    const inputGradients = lowering.backward(context, dy!, dyOther);
    unit.inputs.forEach((id, i) => {
      const gradient = inputGradients[i];
      if (gradient !== undefined && wanted.has(id)) gradients.set(id, [...(gradients.get(id) ?? []), gradient]);
    });
  }
}

/** Adds up the first parts until at most `most` are left, all different: no kernel may be given one tensor twice. */
function addParts(context: NodeContext, parts: readonly Place[], most: number): readonly Place[] {
  if (parts.length <= most && new Set(parts).size === parts.length) return parts;
  const [first, second, ...others] = parts;
  return addParts(context, [sumOf(context, first!, second!, context.outputLayout), ...others], most);
}
