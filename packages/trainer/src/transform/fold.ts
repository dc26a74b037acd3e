// Batch-norms worked into the layers before them: the same function in evaluation with fewer operators.
import { bypass, consumerCounts } from '../network/graph.js';
import { parseSpec, type NetworkSpec, type NodeSpec } from '../network/index.js';
import { tensorOf, type Network } from './network.js';

/**
 * The network with every batch-norm that alone follows a convolution or a linear layer worked into its weights and bias:
 * w' = w * s and b' = (b - mean) * s + beta with s = gamma / sqrt(variance + epsilon), a factor each output channel. The function
 * in evaluation stays the same up to rounding. Other batch-norms stay.
 */
export function foldBatchNorm({ spec, weights }: Network): Network {
  const folded = new Map(weights);
  const consumers = consumerCounts(spec.nodes);
  const layers = new Map<string, NodeSpec>();
  const pairs: { layer: NodeSpec; norm: NodeSpec }[] = [];
  for (const node of spec.nodes) {
    const layer = node.type === 'batch-norm' ? layers.get(node.inputs[0] ?? '') : undefined;
    if (layer !== undefined && consumers.get(layer.id) === 1) pairs.push({ layer, norm: node });
    if (node.type === 'conv2d' || node.type === 'linear') layers.set(node.id, node);
  }
  let result: NetworkSpec = spec;
  for (const { layer, norm } of pairs) {
    fold(folded, layer, norm);
    result = bypass(result, norm.id, layer.id);
  }
  const biased = new Set(pairs.map(({ layer }) => layer.id));
  const nodes = result.nodes.map((node) => (biased.has(node.id) ? { ...node, attributes: { ...node.attributes, bias: true } } : node));
  return { spec: parseSpec({ ...result, nodes }), weights: folded };
}

function fold(weights: Map<string, Float32Array>, layer: NodeSpec, norm: NodeSpec): void {
  const [weight, gamma, beta] = [tensorOf(weights, layer, 'weight'), tensorOf(weights, norm, 'weight'), tensorOf(weights, norm, 'bias')];
  const [mean, variance] = [tensorOf(weights, norm, 'running_mean'), tensorOf(weights, norm, 'running_var')];
  const bias = weights.get(`${layer.id}.bias`);
  const epsilon = Number(norm.attributes['epsilon']);
  const scale = Float64Array.from(gamma, (value, c) => value / Math.sqrt((variance[c] ?? 0) + epsilon));
  const perFilter = weight.length / gamma.length;
  weights.set(
    `${layer.id}.weight`,
    weight.map((value, i) => value * (scale[Math.floor(i / perFilter)] ?? 0)),
  );
  weights.set(
    `${layer.id}.bias`,
    beta.map((value, c) => ((bias?.[c] ?? 0) - (mean[c] ?? 0)) * (scale[c] ?? 0) + value),
  );
  for (const name of ['weight', 'bias', 'running_mean', 'running_var']) weights.delete(`${norm.id}.${name}`);
}
