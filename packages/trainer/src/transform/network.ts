// A network with its weights: what the transformations here take and give.
import type { NetworkSpec, NodeSpec } from '../network/index.js';

export interface Network {
  readonly spec: NetworkSpec;
  /** By `<node>.<parameter>`, in PyTorch's shapes. */
  readonly weights: Map<string, Float32Array>;
}

export function tensorOf(weights: ReadonlyMap<string, Float32Array>, node: NodeSpec, name: string): Float32Array {
  const tensor = weights.get(`${node.id}.${name}`);
  if (tensor === undefined) throw new Error(`the weights lack the tensor "${node.id}.${name}"`);
  return tensor;
}
