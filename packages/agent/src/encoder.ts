// What a policy sees of a network: one row a layer, x_t = (type, kernel, stride, padding, outputs, skip start, skip end)
// (METHOD, "Layer state"). Types are one-hot and sizes log-scaled, because raw values up to 512 saturate an LSTM.
import { analyse, channelsOf, nodeTypes, type AttributeValue, type NetworkSpec } from '@n2n/trainer/network';
import { findSkips } from './skips.js';

/** Types that a policy need not tell apart share the position of one: activations, and what joins branches or lets them be joined. */
const SHARED: ReadonlyMap<string, string> = new Map([
  ...['relu6', 'leaky-relu', 'silu', 'hard-swish', 'sigmoid', 'hard-sigmoid'].map((type): [string, string] => [type, 'relu']),
  ...['concat', 'multiply', 'pad-channels'].map((type): [string, string] => [type, 'add']),
]);

/** Node types in the order of their one-hot positions. */
const TYPES: readonly string[] = [...nodeTypes.keys()].filter((type) => !SHARED.has(type));

/** Changes with whatever a feature means: a policy that learned under another one cannot read these states. */
export const encoderVersion = `layers/1 ${TYPES.join(',')}`;

/** Length of a layer's state. */
export const LAYER_STATE_SIZE = TYPES.length + 6;

/** Divisors that bring log2(1 + value) of common sizes to 0 .. 1: windows up to 15, outputs up to 1023. */
const WINDOW_SCALE = 4;
const OUTPUT_SCALE = 10;

/** The state of every node of a spec, in its order; each has LAYER_STATE_SIZE features. */
export function encodeLayers(spec: NetworkSpec): Float64Array[] {
  const places = skipPlaces(spec);
  return analyse(spec).nodes.map(({ node, outputShape }, index) => {
    const { kernel, stride, padding } = node.attributes;
    const own = (index + 1) / spec.nodes.length;
    const place = places.get(node.id) ?? { start: own, end: own };
    const state = new Float64Array(LAYER_STATE_SIZE);
    state[TYPES.indexOf(SHARED.get(node.type) ?? node.type)] = 1;
    state.set(
      [
        logMean(kernel) / WINDOW_SCALE,
        logMean(stride) / WINDOW_SCALE,
        logMean(padding) / WINDOW_SCALE,
        Math.log2(1 + channelsOf(outputShape)) / OUTPUT_SCALE,
        place.start,
        place.end,
      ],
      TYPES.length,
    );
    return state;
  });
}

/** log2(1 + v) of a window's sizes, averaged over the axes; 0 for a layer without one. */
function logMean(value: AttributeValue | undefined): number {
  const values = typeof value === 'number' ? [value] : Array.isArray(value) ? (value as readonly number[]) : [];
  return values.length === 0 ? 0 : values.reduce((sum, v) => sum + Math.log2(1 + v), 0) / values.length;
}

/**
 * For each node on a branch of a skip, and for the join itself, where the innermost skip around it starts and ends: position
 * t of T nodes as (t + 1) / T, the network's input as 0. A node outside every skip has no entry; its state has its own position
 * as start and end, a skip over nothing, which tells apart layers of a plain network that are equal in all else.
 */
function skipPlaces(spec: NetworkSpec): Map<string, { start: number; end: number }> {
  const position = new Map(spec.nodes.map(({ id }, index) => [id, (index + 1) / spec.nodes.length]));
  const places = new Map<string, { start: number; end: number }>();
  for (const { start, end, inside } of findSkips(spec)) {
    const place = { start: position.get(start) ?? 0, end: position.get(end) ?? 0 };
    for (const id of [...inside, end]) {
      const present = places.get(id);
      if (present === undefined || place.end - place.start < present.end - present.start) places.set(id, place);
    }
  }
  return places;
}
