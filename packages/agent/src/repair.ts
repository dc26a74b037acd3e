// From actions to a network: the edit, the repair of what hangs on it, and the judgement whether a student came out.
// Repair follows channel groups and the graph, never the names of blocks, so plain and residual networks take the same way.
import { removeNodes, SpecError, withAttributes, withWidths, type AttributeValue, type NetworkSpec } from '@n2n/trainer/network';

/** A network, or the reason why the actions leave none. */
export type Student = { readonly kind: 'network'; readonly spec: NetworkSpec } | { readonly kind: 'degenerate'; readonly reason: string };

/** New values of some attributes of one node. */
export type AttributeChanges = Readonly<Record<string, AttributeValue>>;

/**
 * The network without these layers. Consumers take a removed layer's input; a residual branch that lost all its convolutions
 * goes, and an add with one input left becomes that input (identity, never x + x); widths and sizes that no longer meet at
 * an add are brought to one.
 */
export function withoutNodes(spec: NetworkSpec, ids: readonly string[]): Student {
  return attempt(() => (ids.length === 0 ? spec : removeNodes(spec, ids)));
}

/**
 * The network with channel groups at new widths and windows at new values. Widths first: a window that no longer fits its
 * shortcut may dissolve an add, and with it the group that a width was chosen for.
 */
export function withChanges(
  spec: NetworkSpec,
  widths: ReadonlyMap<string, number>,
  attributes: ReadonlyMap<string, AttributeChanges>,
): Student {
  return attempt(() => {
    const resized = widths.size === 0 ? spec : withWidths(spec, widths);
    return attributes.size === 0 ? resized : withAttributes(resized, attributes);
  });
}

function attempt(edit: () => NetworkSpec): Student {
  try {
    return { kind: 'network', spec: edit() };
  } catch (error) {
    if (error instanceof SpecError) return { kind: 'degenerate', reason: error.message };
    throw error;
  }
}
