// The shapes of convolutions with the nodes that run in their kernels.
import type { Conv2dNormShape, Conv2dShape } from '@n2n/kernels';
import type { NetworkSpec, NodeSpec, Pair, Sides } from '../network/index.js';

type FeatureMap = NetworkSpec['input'];

/** Keeps every n-th pixel. */
export const isSinglePixelPool = ({ type, attributes }: NodeSpec): boolean => type === 'max-pool' && String(attributes['kernel']) === '1,1';

/** Of nodes that start with a convolution of a map. Where a pool keeps every n-th pixel of the output, no other is computed. */
export function convShape(
  [convolution, ...others]: readonly NodeSpec[],
  batch: number,
  { channels, height, width }: FeatureMap,
): Conv2dShape {
  const { filters, kernel, stride, padding, groups, bias } = convolution!.attributes;
  const [down, right] = stride as unknown as Pair;
  const kept = others.find(isSinglePixelPool)?.attributes['stride'];
  const [keptDown, keptRight] = kept === undefined ? [1, 1] : (kept as unknown as Pair);
  return {
    batch,
    height,
    width,
    channels,
    filters: filters as number,
    kernel: kernel as unknown as Pair,
    stride: [down * keptDown, right * keptRight],
    padding: padding as unknown as Sides,
    groups: groups as number,
    bias: bias as boolean,
  };
}

/** In evaluation, with the batch-norm, the ReLUs and the pool among the nodes. */
export function convNormShape(nodes: readonly NodeSpec[], batch: number, map: FeatureMap): Conv2dNormShape {
  const norm = nodes.find(({ type }) => type === 'batch-norm');
  return {
    ...convShape(nodes, batch, map),
    ...(norm === undefined ? {} : { norm: norm.attributes['epsilon'] as number }),
    relu: nodes.some(({ type }) => type === 'relu'),
    pool: nodes.some((node) => node.type === 'max-pool' && !isSinglePixelPool(node)),
  };
}
