// The contract of a node type: one file here declares one type completely. A new layer is one such file, one line in
// ./index.ts and one line in the plan's table of ops.
import type { z } from 'zod';
import type { AttributeValue, Shape } from '../spec.js';

/**
 * How an output's channels relate to the inputs' channels. Repair (packages/agent) and weight slicing follow it:
 * - `same`: channel c of the output is channel c of every input, so all of them have one width (relu, batch-norm, pooling, add);
 * - `free`: the node chooses its own number of output channels (convolution with groups 1, linear);
 * - `grouped`: the node chooses its output channels, in `groups` blocks tied to blocks of its input (grouped convolution);
 *   with one channel a group it is depthwise and behaves as `same`;
 * - `concat`: the output's channels are the inputs' channels one after the other;
 * - `flatten`: channel c of the input becomes height x width features in a row, channel-major (PyTorch's flatten).
 */
export type Coupling = 'same' | 'free' | 'grouped' | 'concat' | 'flatten';

/** A tensor that a node owns. Its full name in files is `<node id>.<name>`; shapes are PyTorch's (OIHW, [out, in]). */
export interface ParameterDeclaration {
  readonly name: string;
  readonly shape: readonly number[];
  /** `trained` tensors have a gradient; `state` ones (running statistics) are updated by the forward pass. */
  readonly role: 'trained' | 'state';
  /** `kaiming`: normal with variance 2 / fanIn; `uniform`: U(-1/sqrt(fanIn), 1/sqrt(fanIn)). */
  readonly initial: 'kaiming' | 'uniform' | 'zeros' | 'ones';
  /** Inputs of one output unit; needed by `kaiming` and `uniform`. */
  readonly fanIn?: number;
}

/** An attribute that the shrinkage policy may scale; `minimum` is the smallest legal value (METHOD: filters 10, kernel and stride 1, padding 0). */
export interface Shrinkable {
  readonly attribute: string;
  readonly minimum: number;
}

export interface NodeType<A extends Record<string, AttributeValue> = Record<string, AttributeValue>> {
  readonly type: string;
  /** Strict: an unknown attribute is an error. */
  readonly attributes: z.ZodType<A>;
  /** Number of inputs, or the least number when `variadic`. */
  readonly arity: number;
  readonly variadic?: boolean;
  readonly coupling: Coupling;
  readonly shrinkable: readonly Shrinkable[];
  /** Output shape of one sample. Throws SpecError-ready text (a plain Error) naming what it got and what it needs. */
  shape(attributes: A, inputs: readonly Shape[]): Shape;
  parameters(attributes: A, inputs: readonly Shape[]): readonly ParameterDeclaration[];
  /** Multiply-adds of one sample's forward pass (convolution and linear; 0 elsewhere). */
  macs(attributes: A, inputs: readonly Shape[]): number;
  /** The attribute that holds the output channels of a `free` or `grouped` node ("filters", "features"). */
  readonly widthAttribute?: string;
}
