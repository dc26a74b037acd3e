// The contract of a node type: one file here declares one type completely. A new layer is one such file, one line in
// ./index.ts and one line in the plan's table of ops.
import type { z } from 'zod';
import type { AttributeValue, Shape } from '../spec.js';

/**
 * How an output's channels relate to the inputs' channels. Repair and weight slicing follow it:
 * - `same`: channel c of the output is channel c of every input, so all of them have one width (relu, batch-norm, pooling, add);
 * - `free`: the node chooses its own number of output channels (convolution with groups 1, linear);
 * - `grouped`: the node chooses its output channels, in `groups` blocks tied to blocks of its input (grouped convolution):
 *   both widths are multiples of `groups`;
 * - `repeat`: channel c of the input becomes the `factor` output channels [c * factor, (c + 1) * factor): flatten with
 *   factor height x width (channel-major, PyTorch's order), depthwise convolution with factor filters / groups;
 * - `extend`: the node chooses its own number of output channels; channel c is channel c of the input as far as that has one;
 * - `concat`: the output's channels are the inputs' channels one after the other.
 */
export type Coupling =
  | { readonly kind: 'same' }
  | { readonly kind: 'free' }
  | { readonly kind: 'grouped'; readonly groups: number }
  | { readonly kind: 'repeat'; readonly factor: number }
  | { readonly kind: 'extend' }
  | { readonly kind: 'concat' };

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

/** What an exported operator reads: an input of the node, what an earlier step of it gave, one of its tensors, or a constant. */
export type OnnxInput =
  | { readonly input: number }
  | { readonly step: number }
  | { readonly parameter: string }
  | { readonly ints: readonly number[] }
  | { readonly float: number };

/** One ONNX operator (opset 17, default domain). A node's last step gives its output. */
export interface OnnxStep {
  readonly op: string;
  readonly inputs: readonly OnnxInput[];
  /** Not what the node is about: the one step that is gets the node's name, and whoever reads the file calls the node by it. */
  readonly auxiliary?: true;
  readonly attributes?: Readonly<
    Record<string, { readonly int: number } | { readonly float: number } | { readonly ints: readonly number[] }>
  >;
}

export interface NodeType<A extends Record<string, AttributeValue> = Record<string, AttributeValue>> {
  readonly type: string;
  /** Strict: an unknown attribute is an error. Its output has every default written out and is accepted again unchanged. */
  readonly attributes: z.ZodType<A>;
  /** Every name that `attributes` accepts, for error messages. */
  readonly attributeNames: readonly string[];
  /** Number of inputs, or the least number when `variadic`. */
  readonly arity: number;
  readonly variadic?: boolean;
  /** What the inputs of a node with several must share: whole shapes (add), height and width (concat), or channels (multiply). */
  readonly agreement?: 'shape' | 'size' | 'channels';
  readonly shrinkable: readonly Shrinkable[];
  /** The attribute that holds the output channels of a node whose coupling is `free`, `grouped` or `extend` ("filters", "features"). */
  readonly widthAttribute?: string;
  coupling(attributes: A, inputs: readonly Shape[]): Coupling;
  /** Output shape of one sample. Throws a plain Error naming what it got and what it needs; the caller adds the node. */
  shape(attributes: A, inputs: readonly Shape[]): Shape;
  parameters(attributes: A, inputs: readonly Shape[]): readonly ParameterDeclaration[];
  /** Multiply-adds of one sample's forward pass (convolution and linear; 0 elsewhere). */
  macs(attributes: A, inputs: readonly Shape[]): number;
  /** The node as ONNX operators. They compute what the node computes in evaluation, on [N, C, H, W] and [N, C]. */
  onnx(attributes: A, inputs: readonly Shape[]): readonly OnnxStep[];
  /** Attributes that keep the node's meaning when its input changes from `before` to `after` (depthwise groups follow the channels). */
  follow?(attributes: A, before: Shape, after: Shape): A;
  /** Attributes brought in line with each other after some were scaled (a pool's padding stays under its kernel). */
  align?(attributes: A): A;
  /** For nodes with a window: stride and padding changed so that `input` gives a map of `size`. */
  fit?(attributes: A, input: Shape, size: { readonly height: number; readonly width: number }): A;
}
