// From untrusted JSON to a canonical NetworkSpec, or a SpecError that names the node, what it got and what it needs.
import { z } from 'zod';
import { analyse } from './analyse.js';
import { nodeTypeOf } from './nodes/index.js';
import type { NodeType } from './nodes/node.js';
import { DIMENSION_LIMIT, describeShape } from './shape.js';
import { type AttributeValue, INPUT_ID, type NetworkSpec, type NodeSpec, SpecError } from './spec.js';
import { suggestion } from './suggest.js';

/** Most nodes of a spec. */
export const NODE_LIMIT = 10_000;
/** Most inputs of one node. */
export const INPUTS_LIMIT = 1_024;

const dimension = z.custom<number>(
  (value) => Number.isInteger(value) && (value as number) >= 1 && (value as number) <= DIMENSION_LIMIT,
  `an integer from 1 to ${DIMENSION_LIMIT}`,
);
// Ids become parts of tensor names and of messages.
const identifier = z.string('a string').regex(/^[\x21-\x7e]{1,256}$/, '1 to 256 visible ASCII characters');

const nodeSchema = z.strictObject({
  id: identifier.optional(),
  type: z.string('the name of a node type'),
  inputs: z.array(identifier, 'a list of node ids').max(INPUTS_LIMIT, `at most ${INPUTS_LIMIT} ids`).optional(),
  attributes: z.record(z.string(), z.unknown(), 'an object').default({}),
});
type RawNode = z.infer<typeof nodeSchema>;

const specSchema = z.strictObject({
  name: z.string('a string').max(256, 'at most 256 characters').default('network'),
  input: z.strictObject({ channels: dimension, height: dimension, width: dimension }, '{channels, height, width}'),
  classes: dimension,
  nodes: z.array(z.unknown(), 'a list of nodes').min(1, 'at least one node').max(NODE_LIMIT, `at most ${NODE_LIMIT} nodes`),
});

/** A value as an error shows it: JSON, cut short. */
function show(value: unknown): string {
  if (value === undefined) return 'nothing';
  const text = typeof value === 'number' ? String(value) : (JSON.stringify(value) ?? typeof value);
  return text.length > 60 ? `${text.slice(0, 57)}...` : text;
}

function valueAt(value: unknown, path: readonly PropertyKey[]): unknown {
  let current = value;
  for (const key of path) {
    if (typeof current !== 'object' || current === null) return undefined;
    current = (current as Record<PropertyKey, unknown>)[key];
  }
  return current;
}

/** The first issue in words, a misspelt name before what is missing for it: `attribute "kernel": got 0, needs an integer from 1 to 1048576`. */
function explain(error: z.ZodError, value: unknown, noun: string, known: readonly string[]): string {
  const issue = error.issues.find(({ code }) => code === 'unrecognized_keys') ?? error.issues[0];
  if (issue === undefined) return `${noun}: not valid`;
  if (issue.code === 'unrecognized_keys') {
    const key = issue.keys[0] ?? '';
    const needs = known.length === 0 ? 'it takes none' : `needs one of ${known.join(', ')}`;
    return `unknown ${noun} "${key}"${suggestion(key, known)}; ${needs}`;
  }
  const where = issue.path.length === 0 ? '' : `${noun} "${issue.path.join('.')}": `;
  return `${where}got ${show(valueAt(value, issue.path))}, needs ${issue.message}`;
}

/** A node's attributes as its type's schema writes them. */
export function parseAttributes(
  node: Pick<NodeSpec, 'id' | 'type'>,
  type: NodeType,
  value: unknown,
): Readonly<Record<string, AttributeValue>> {
  const result = type.attributes.safeParse(value);
  if (result.success) return result.data;
  throw new SpecError(node.id, `${node.type} ${explain(result.error, value, 'attribute', type.attributeNames)}`);
}

/** Fills in what a terse node leaves out: an id from type and position, the node before it as input. */
function parseNode(value: unknown, index: number, previousId: string): NodeSpec {
  const parsed = nodeSchema.safeParse(value);
  if (!parsed.success) {
    const id = valueAt(value, ['id']);
    const words = explain(parsed.error, value, 'property', Object.keys(nodeSchema.shape));
    throw new SpecError(typeof id === 'string' ? id.slice(0, 256) : `#${index}`, words);
  }
  const raw: RawNode = parsed.data;
  const node = { id: raw.id ?? `${raw.type}${index}`, type: raw.type, inputs: raw.inputs ?? [previousId], attributes: {} };
  const type = nodeTypeOf(node);
  if (raw.inputs === undefined && type.arity > 1) {
    throw new SpecError(node.id, `${type.type} got no "inputs", needs the ids of ${type.arity} or more`);
  }
  return { ...node, attributes: parseAttributes(node, type, raw.attributes) };
}

function checkArity(node: NodeSpec): void {
  const { arity, variadic = false } = nodeTypeOf(node);
  const count = node.inputs.length;
  if (variadic ? count >= arity : count === arity) return;
  throw new SpecError(node.id, `${node.type} got ${count} inputs, needs ${variadic ? 'at least' : 'exactly'} ${arity}`);
}

/** A cycle through `start` as `a -> b -> a`, following inputs, or undefined. */
function cycleThrough(start: NodeSpec, byId: ReadonlyMap<string, NodeSpec>): string | undefined {
  const consumer = new Map<string, string>();
  const pending = [start.id];
  for (let id = pending.pop(); id !== undefined; id = pending.pop()) {
    for (const input of byId.get(id)?.inputs ?? []) {
      if (input === start.id) {
        const path = [input];
        for (let at: string | undefined = id; at !== undefined; at = at === start.id ? undefined : consumer.get(at)) path.push(at);
        return path.join(' -> ');
      }
      if (!consumer.has(input)) {
        consumer.set(input, id);
        pending.push(input);
      }
    }
  }
  return undefined;
}

function checkReferences(nodes: readonly NodeSpec[]): void {
  const byId = new Map<string, NodeSpec>();
  for (const node of nodes) {
    if (node.id === INPUT_ID) throw new SpecError(node.id, `got the id "${INPUT_ID}", needs another: it names the network's input`);
    if (byId.has(node.id)) throw new SpecError(node.id, 'got an id that an earlier node has, needs ids that differ');
    byId.set(node.id, node);
  }
  const seen = new Set([INPUT_ID]);
  for (const node of nodes) {
    for (const id of node.inputs) {
      if (seen.has(id)) continue;
      if (!byId.has(id)) {
        throw new SpecError(
          node.id,
          `got the input "${id}", needs the id of an earlier node or "${INPUT_ID}"${suggestion(id, byId.keys())}`,
        );
      }
      const cycle = cycleThrough(node, byId);
      throw new SpecError(
        node.id,
        cycle === undefined
          ? `got the input "${id}" that is listed after it, needs topological order`
          : `is part of a cycle (${cycle}), needs a graph without one`,
      );
    }
    seen.add(node.id);
  }
}

function checkOutput(spec: NetworkSpec): void {
  const used = new Set(spec.nodes.flatMap((node) => node.inputs));
  const last = spec.nodes.at(-1);
  const unused = spec.nodes.find((node) => node !== last && !used.has(node.id));
  if (unused !== undefined) {
    throw new SpecError(unused.id, `its output is not used, needs a consumer; only the last node ("${last?.id}") is the network's output`);
  }
  if (!used.has(INPUT_ID)) throw new SpecError(undefined, `no node uses the network's input; needs one with "${INPUT_ID}" in its inputs`);
  const output = analyse(spec).nodes.at(-1);
  if (output === undefined) return;
  if (output.outputShape.kind !== 'vector' || output.outputShape.features !== spec.classes) {
    throw new SpecError(
      output.node.id,
      `is the last node and gives ${describeShape(output.outputShape)}, needs a vector of ${spec.classes} (the classes)`,
    );
  }
}

/**
 * The canonical spec: every default written out, scalars expanded, shapes checked. A node may leave out its id (then
 * type and position make it) and its inputs (then it takes the node before it). Throws SpecError.
 */
export function parseSpec(json: unknown): NetworkSpec {
  const parsed = specSchema.safeParse(json);
  if (!parsed.success) {
    throw new SpecError(undefined, `spec ${explain(parsed.error, json, 'property', Object.keys(specSchema.shape))}`);
  }
  const { name, input, classes } = parsed.data;
  const nodes: NodeSpec[] = [];
  parsed.data.nodes.forEach((value, index) => nodes.push(parseNode(value, index, nodes.at(-1)?.id ?? INPUT_ID)));
  const spec: NetworkSpec = { name, input, classes, nodes };
  checkReferences(nodes);
  nodes.forEach(checkArity);
  checkOutput(spec);
  return spec;
}
