// From a NetworkSpec to calls: the forward pass, and the backward pass from the gradient of the logits.
import { padded } from '@n2n/kernels';
import { analyse, INPUT_ID, nodeTypeOf, SpecError, type NetworkSpec } from '../network/index.js';
import type { Activation, CallList, External, Place } from './graph.js';
import { lowerings, sumOf, type Lowering, type NodeContext } from './lower.js';
import { sampleLayouts } from './parameters.js';
import { sampleWords } from './layout.js';

export interface BuildOptions {
  readonly batch: number;
  readonly training: boolean;
  /** Keys dropout's masks. */
  readonly seed: number;
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
  readonly lowering: Lowering;
  readonly context: NodeContext;
}

export function buildForward(calls: CallList, spec: NetworkSpec, options: BuildOptions): Built {
  const layouts = sampleLayouts(spec);
  const places = new Map<string, Place>([[INPUT_ID, inputPlace]]);
  const lowered: Lowered[] = [];
  /** Ids whose gradient somebody needs: those with a trained parameter at or before them. */
  const wanted = new Set<string>();
  analyse(spec).nodes.forEach(({ node, inputShapes, outputShape, parameters }, index) => {
    const lowering = lowerings[node.type];
    if (lowering === undefined) throw new SpecError(node.id, `node type "${node.type}" cannot be trained yet`);
    const context: NodeContext = {
      calls,
      node,
      index,
      batch: options.batch,
      training: options.training,
      seed: options.seed,
      inputs: node.inputs.map((id) => places.get(id)!),
      inputShapes,
      inputLayouts: node.inputs.map((id) => layouts.get(id)!),
      outputShape,
      outputLayout: layouts.get(node.id)!,
      wantsInputGradient: node.inputs.map((id) => wanted.has(id)),
      saved: {},
    };
    if (nodeTypeOf(node).agreement === 'shape') checkJoin(context);
    places.set(node.id, lowering.forward(context));
    if (parameters.length > 0 || node.inputs.some((id) => wanted.has(id))) wanted.add(node.id);
    lowered.push({ lowering, context });
  });
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
function checkJoin({ node, inputLayouts }: NodeContext): void {
  const [first] = inputLayouts;
  for (const other of inputLayouts) {
    if (other.channels !== first!.channels || other.positions !== first!.positions) {
      throw new SpecError(node.id, 'joins vectors flattened from maps of different shapes; this is not supported');
    }
  }
}

function buildBackward(lowered: readonly Lowered[], wanted: ReadonlySet<string>, outputId: string, dlogits: Activation): void {
  const gradients = new Map<string, Place>([[outputId, dlogits]]);
  for (const { lowering, context } of lowered.toReversed()) {
    const dy = gradients.get(context.node.id);
    if (dy === undefined || !wanted.has(context.node.id)) continue;
    const inputGradients = lowering.backward(context, dy);
    context.node.inputs.forEach((id, i) => {
      const gradient = inputGradients[i];
      if (gradient === undefined || !wanted.has(id)) return;
      const earlier = gradients.get(id);
      const summed = earlier === undefined ? gradient : sumOf(context, earlier, gradient, context.inputLayouts[i]!);
      gradients.set(id, summed);
    });
  }
}
