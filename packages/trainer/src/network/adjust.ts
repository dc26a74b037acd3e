// Changes kernels, strides, paddings and the like, and lets what hangs on them follow.
import { analyse } from './analyse.js';
import { nodeTypeOf } from './nodes/index.js';
import { parseAttributes, parseSpec } from './parse.js';
import { type Changes } from './propagate.js';
import { repair } from './repair.js';
import { type AttributeValue, type NetworkSpec, SpecError } from './spec.js';
import { suggestion } from './suggest.js';

/**
 * The spec with new attribute values, widths excepted (withWidths sets those). A pool's padding is kept under its kernel; where
 * an add's branches come to differ in size, projections follow the main branch. Throws SpecError for an unknown node or
 * attribute, a value that its schema refuses, and a map that becomes too small for a kernel.
 */
export function withAttributes(spec: NetworkSpec, changes: Changes): NetworkSpec {
  const original = analyse(spec);
  const parsed = new Map<string, Readonly<Record<string, AttributeValue>>>();
  for (const [id, values] of changes) {
    const found = original.byId.get(id);
    if (found === undefined) throw new SpecError(id, `is not in the network${suggestion(id, original.byId.keys())}`);
    const { node } = found;
    const type = nodeTypeOf(node);
    const width = type.widthAttribute;
    if (width !== undefined && width in values) throw new SpecError(id, `attribute "${width}" is a width, needs withWidths`);
    const attributes = parseAttributes(node, type, { ...node.attributes, ...values });
    parsed.set(id, type.align ? type.align(attributes) : attributes);
  }
  const nodes = spec.nodes.map((node) => ({ ...node, attributes: parsed.get(node.id) ?? node.attributes }));
  return parseSpec(repair({ ...spec, nodes }, original, new Map()));
}
