// Batch-norms put back where an exporter folded them away. Exported networks have none, and students train badly without.
import { channelGroups, INPUT_ID, parseSpec, type NetworkSpec, type NodeSpec } from '../network/index.js';
import { tensorOf, type Network } from './network.js';

/** Mean and variance of each channel of a convolution's output, bias included. */
export interface ChannelStatistics {
  readonly mean: Float64Array;
  readonly variance: Float64Array;
}

const EPSILON = 1e-5;

/**
 * Convolutions that a batch-norm should follow and none does: those with a bias, for folding leaves one, and whose channels are not
 * the logits.
 */
export function bareConvolutions(spec: NetworkSpec): string[] {
  const { layout, groups } = channelGroups(spec);
  const logits = new Set((layout.get(spec.nodes.at(-1)?.id ?? INPUT_ID) ?? []).map(({ group }) => group));
  const producers = new Set(groups.filter(({ id }) => logits.has(id)).flatMap((group) => group.producers));
  const normed = new Set(spec.nodes.filter(({ type }) => type === 'batch-norm').flatMap(({ inputs }) => inputs));
  return spec.nodes
    .filter(({ id, type, attributes }) => type === 'conv2d' && attributes['bias'] === true && !producers.has(id) && !normed.has(id))
    .map(({ id }) => id);
}

/**
 * The network with a batch-norm after each of `convolutions`, which computes the identity in evaluation; the convolution's bias
 * moves into it, so that each such layer has the parameters it had before it was folded. `statistics` are those of the
 * convolutions' outputs: with them the batch-norm is nearly the identity in training as well, where it normalises by the batch.
 * Without them its running mean is 0 and its variance 1.
 */
export function insertBatchNorm(
  { spec, weights }: Network,
  convolutions: readonly string[],
  statistics: ReadonlyMap<string, ChannelStatistics> = new Map(),
): Network {
  const chosen = new Set(convolutions);
  const ids = new Set(spec.nodes.map(({ id }) => id));
  const renamed = new Map<string, string>();
  const changed = new Map(weights);
  const nodes: NodeSpec[] = [];
  for (const node of spec.nodes) {
    const inputs = node.inputs.map((id) => renamed.get(id) ?? id);
    if (!chosen.has(node.id)) {
      nodes.push({ ...node, inputs });
      continue;
    }
    let id = `${node.id}.norm`;
    while (ids.has(id)) id += '_';
    ids.add(id);
    renamed.set(node.id, id);
    nodes.push({ ...node, inputs, attributes: { ...node.attributes, bias: false } });
    nodes.push({ id, type: 'batch-norm', inputs: [node.id], attributes: { epsilon: EPSILON, momentum: 0.1 } });
    addNorm(changed, node, id, statistics.get(node.id));
  }
  return { spec: parseSpec({ ...spec, nodes }), weights: changed };
}

/** y = (x - m) / sqrt(v + epsilon) * gamma + beta with gamma = sqrt(v + epsilon) and beta = bias + m is x + bias for any m and v. */
function addNorm(weights: Map<string, Float32Array>, convolution: NodeSpec, id: string, statistics: ChannelStatistics | undefined): void {
  const bias = tensorOf(weights, convolution, 'bias');
  weights.delete(`${convolution.id}.bias`);
  // The statistics are of outputs with the bias; without it the mean is that much smaller.
  const mean = bias.map((value, c) => (statistics === undefined ? 0 : (statistics.mean[c] ?? 0) - value));
  const variance = bias.map((_, c) => statistics?.variance[c] ?? 1);
  weights.set(
    `${id}.weight`,
    variance.map((value) => Math.sqrt(value + EPSILON)),
  );
  weights.set(
    `${id}.bias`,
    bias.map((value, c) => value + (mean[c] ?? 0)),
  );
  weights.set(`${id}.running_mean`, mean);
  weights.set(`${id}.running_var`, variance);
}
