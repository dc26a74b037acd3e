// Stage 1, layer removal: keep or remove, one decision a layer (METHOD, "Stage 1").
import { removalObstacles, type NetworkSpec, type NodeSpec } from '@n2n/trainer/network';
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
  const kept = keptLayers(spec);
  return {
    episode: {
      states: encodeLayers(spec),
      legal: spec.nodes.map(({ id }) => [true, !kept.has(id)]),
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
 * Layers that stay, and why, as a clause about each: the first layer, the last, linear and average-pool layers, and whatever
 * has a stride - strided convolutions (METHOD), and max-pools, without which a student costs more than its teacher
 * (docs/decisions/0002); what joins branches, turns a map into a vector or makes the logits, as no other layer can stand in for
 * it; and shortcuts' own layers, which follow from what is left.
 */
export function keptLayers(spec: NetworkSpec): ReadonlyMap<string, string> {
  const obstacles = removalObstacles(spec);
  const shortcuts = new Set(findSkips(spec).flatMap(({ projection }) => projection));
  const first = new Set([spec.nodes[0], spec.nodes.find(choosesWidth)]);
  const reasons = spec.nodes.map((node) => {
    const follows = shortcuts.has(node.id) ? 'is part of a shortcut, which follows the layers beside it' : undefined;
    return [node.id, obstacles.get(node.id) ?? (first.has(node) ? 'is the first layer' : (follows ?? alwaysKept(node)))] as const;
  });
  return new Map(reasons.filter((entry): entry is readonly [string, string] => entry[1] !== undefined));
}

function alwaysKept({ type, attributes }: NodeSpec): string | undefined {
  if (type === 'linear') return 'is a linear layer';
  if (type === 'average-pool' || type === 'global-average-pool') return 'is an average-pool layer';
  const stride = attributes['stride'];
  return Array.isArray(stride) && stride.some((step) => step > 1) ? 'has a stride' : undefined;
}
