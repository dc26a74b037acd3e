// A network as plain data: what the agent edits, what a plan is compiled from, what a model file carries.

/** Shape of one sample between two nodes, the batch dimension left out: a feature map or a vector. */
export type Shape =
  | { readonly kind: 'map'; readonly channels: number; readonly height: number; readonly width: number }
  | { readonly kind: 'vector'; readonly features: number };

/**
 * One layer. `inputs` are ids of earlier nodes, or `'input'` for the network's input. Attributes are plain JSON, stored
 * with every default written out; each node type's file declares their schema.
 */
export interface NodeSpec {
  readonly id: string;
  readonly type: string;
  readonly inputs: readonly string[];
  readonly attributes: Readonly<Record<string, AttributeValue>>;
}

export type AttributeValue = number | boolean | string | readonly number[];

/** Nodes are in topological order; the last node is the output: a vector of `classes` logits. */
export interface NetworkSpec {
  readonly name: string;
  readonly input: { readonly channels: number; readonly height: number; readonly width: number };
  readonly classes: number;
  readonly nodes: readonly NodeSpec[];
}

/** The id that names the network's input in `NodeSpec.inputs`. */
export const INPUT_ID = 'input';

/** A spec, or an attribute of one, that cannot be a network. Exit code 3 when it came from a file, 2 when from a flag. */
export class SpecError extends Error {
  override readonly name = 'SpecError';
  constructor(
    /** The node at fault, or undefined when it is the spec as a whole. */
    readonly nodeId: string | undefined,
    message: string,
  ) {
    super(nodeId === undefined ? message : `node "${nodeId}": ${message}`);
  }
}
