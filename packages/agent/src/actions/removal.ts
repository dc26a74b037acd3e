// Stage 1, layer removal: keep or remove, one decision a layer (METHOD, "Stage 1").
import { removableNodes, type NetworkSpec, type NodeSpec } from '@n2n/trainer/network';
import { encodeLayers, LAYER_STATE_SIZE } from '../encoder.js';
import { withoutNodes } from '../repair.js';
import { choosesWidth, findSkips } from '../skips.js';
import type { Problem } from './problem.js';

/** Action indices. */
export const KEEP = 0;
export const REMOVE = 1;

/** Logits of a fresh policy at a prior of 1, which keeps a layer with probability 0.73. */
export const removalPrior: readonly number[] = [1, 0];

export const removalSizes = { stateSize: LAYER_STATE_SIZE, actions: 2 } as const;

export function removalProblem(spec: NetworkSpec): Problem {
  const free = freeNodes(spec);
  return {
    episode: {
      states: encodeLayers(spec),
      legal: spec.nodes.map(({ id }) => [true, free.has(id)]),
    },
    labels: spec.nodes.map(({ id }) => id),
    apply: (actions) =>
      withoutNodes(
        spec,
        spec.nodes.filter((_, t) => actions[t] === REMOVE).map(({ id }) => id),
      ),
  };
}

/**
 * Layers that may go. Always kept: the first layer, the last, linear and average-pool layers, and whatever has a stride
 * - strided convolutions (METHOD), and max-pools, without which a student costs more than its teacher (docs/decisions/0002);
 * what joins branches or turns a map into a vector, as no other layer can stand in for it; and projections of shortcuts,
 * which follow from what is left.
 */
function freeNodes(spec: NetworkSpec): ReadonlySet<string> {
  const kept = new Set(findSkips(spec).flatMap(({ projection }) => projection));
  const first = spec.nodes.find(choosesWidth);
  for (const node of spec.nodes) if (node === first || alwaysKept(node)) kept.add(node.id);
  kept.add(spec.nodes[0]?.id ?? '');
  return new Set(removableNodes(spec).filter((id) => !kept.has(id)));
}

function alwaysKept({ type, attributes }: NodeSpec): boolean {
  if (type === 'linear' || type === 'average-pool' || type === 'global-average-pool') return true;
  const stride = attributes['stride'];
  return Array.isArray(stride) && stride.some((step) => step > 1);
}
