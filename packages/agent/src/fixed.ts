// What a search leaves alone in a network, and why: nothing is skipped silently.
import { analyse, type NetworkSpec } from '@n2n/trainer/network';
import { keptLayers } from './actions/removal.js';
import { fixedSizes } from './actions/shrinkage.js';

export interface FixedLayer {
  readonly id: string;
  readonly type: string;
  /** Why the removal stage keeps it, as a clause: "has a stride"; undefined when it may go. */
  readonly removal: string | undefined;
  /** By attribute (filters, kernel, ...), why the shrinkage stage leaves it; those that it may scale are missing. */
  readonly sizes: Readonly<Record<string, string>>;
  /** The attribute among them that is the layer's width. */
  readonly widthAttribute: string | undefined;
}

/** Every layer of which something stays, in the spec's order. */
export function fixedLayers(spec: NetworkSpec): FixedLayer[] {
  const kept = keptLayers(spec);
  const sizes = fixedSizes(spec);
  return analyse(spec)
    .nodes.map(({ node: { id, type: name }, type }): FixedLayer => ({
      id,
      type: name,
      removal: kept.get(id),
      sizes: sizes.get(id) ?? {},
      widthAttribute: type.widthAttribute,
    }))
    .filter((layer) => layer.removal !== undefined || Object.keys(layer.sizes).length > 0);
}
