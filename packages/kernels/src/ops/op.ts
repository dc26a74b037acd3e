// The op contract: one folder an op, one declaration here described. Conformance tests, gradient checks and benchmarks
// read nothing else.
//
// Layout inside a plan: activations are [N, H, W, C4] with the channels padded to C4 = a multiple of 4; padded channels
// hold zero, in activations and in their gradients, and every op keeps them so. Weights are [O4, KH, KW, I4], padded with
// zeros likewise. Everything is counted in 32-bit words.
import type { Random } from '../testing/random.js';

/** What the adapter can do, as far as the choice of a variant depends on it. */
export interface DeviceTraits {
  /** Lanes of a subgroup when the adapter has subgroups of one fixed size; otherwise 0. */
  readonly subgroupSize: number;
  readonly f16: boolean;
  /** Matrix units for 16 x 16 x 16 products of f16 into f32, and 32 KiB of workgroup memory. */
  readonly matrixUnits?: boolean;
  /** `cpu`: a software adapter such as lavapipe; its fast kernels keep everything in registers. */
  readonly kind: 'cpu' | 'gpu';
  /** Largest number of workgroups in one dimension. */
  readonly maxWorkgroups: number;
  /** Storage buffers that a kernel may bind; LEAST_STORAGE_BUFFERS, which a kernel that does not ask keeps to, unless told. */
  readonly storageBuffers?: number;
}

/** Storage buffers that a kernel may bind on every adapter: the least that WebGPU allows. */
export const LEAST_STORAGE_BUFFERS = 8;

/** Named host tensors as the float64 references see them; integers are held exactly. */
export type Tensors = Record<string, Float64Array>;

export interface TensorDeclaration<S> {
  readonly name: string;
  /** `in` is only read; `out` is written wholly; `inout` is updated in place. */
  readonly role: 'in' | 'out' | 'inout';
  readonly type: 'f32' | 'u32';
  /** Length in 32-bit words. */
  words(shape: S): number;
  /** Test data for an `in` or `inout` tensor; standard normal by default. Must keep padded channels zero. */
  fill?(shape: S, random: Random): ArrayLike<number>;
  /** True when this tensor may be left out (a convolution without bias). */
  optional?(shape: S): boolean;
}

/** One kernel launch. */
export interface Dispatch {
  /** The `.wgsl` file: `new URL('./forward.subgroup.wgsl', import.meta.url)`. */
  readonly wgsl: URL;
  /** Entry point, `main` unless told. */
  readonly entryPoint?: string;
  /** Values for `const NAME = ...;` declarations of the file. They make a different pipeline, so they never hold shapes. */
  readonly constants?: Readonly<Record<string, number>>;
  /** Types for `alias NAME = ...;` declarations of the file, likewise. */
  readonly aliases?: Readonly<Record<string, string>>;
  /** Storage bindings from @binding(1) on, by tensor name; `scratch` is the variant's scratch buffer. */
  readonly bind: readonly string[];
  /** The uniform struct at @binding(0), in order; a plain number is a u32 and `f32(x)` a float. Empty: no uniform. */
  readonly uniforms: readonly (number | { readonly f32: number })[];
  readonly workgroups: readonly [number, number, number];
}

export const f32 = (value: number): { readonly f32: number } => ({ f32: value });

export interface Variant<S> {
  /** Named after the algorithm, like its file: `subgroup`, `tiled`, `plain`. */
  readonly name: string;
  /** Whether it can run here at all: conformance tests run every usable variant. */
  usable(shape: S, device: DeviceTraits): boolean;
  /** False where it can run but is never chosen unless asked for by name; true by default. */
  preferred?(shape: S, device: DeviceTraits): boolean;
  /** Rounds its operands to f16: what mixed precision takes, first of all. */
  readonly roundsOperands?: true;
  /** A device feature that it needs and that adapters may lack; there it is only validated. */
  readonly needs?: string;
  /** In place of the pass's, where it computes with fewer bits. */
  readonly tolerance?: number;
  /** Words of scratch memory that lives only while the dispatches of this pass run. */
  scratchWords?(shape: S, device: DeviceTraits): number;
  dispatches(shape: S, device: DeviceTraits): readonly Dispatch[];
}

/** How a gradient pass relates to its forward pass; what the gradient check differentiates. */
export interface Differentiates<S> {
  readonly pass: string;
  /** Incoming gradients: name here -> name of the forward output it belongs to. */
  readonly cotangents: Readonly<Record<string, string>>;
  /** For a loss: forward output -> its constant cotangent, in place of a tensor. */
  constantCotangents?(shape: S): Readonly<Record<string, number>>;
  /** Gradients computed: name here -> name of the forward input. */
  readonly gradients: Readonly<Record<string, string>>;
}

export interface Pass<S> {
  readonly tensors: readonly TensorDeclaration<S>[];
  /** Floating-point operations; a multiply-add is 2. */
  flops(shape: S): number;
  /** Bytes moved at least: every input read once, every output written once. Defaults to the tensors' sizes. */
  bytes?(shape: S): number;
  /** Largest allowed |gpu - reference| over the largest |reference| of the tensor. */
  readonly tolerance: number;
  /** The float64 twin: reads `in` and `inout` tensors, overwrites `inout` and sets `out` ones (already allocated). */
  reference(shape: S, tensors: Tensors): void;
  readonly differentiates?: Differentiates<S>;
  /** In order of preference: the first usable and preferred one is taken unless a tuner chose another. The last one is usable everywhere. */
  readonly variants: readonly Variant<S>[];
}

/** What a tuner needs to know of an op with variants worth timing. */
export interface Tuning<S> {
  readonly passes: readonly string[];
  /** Shapes of one class are alike in what decides which variant is fastest: `3x3 s1 c64 f64 p16384`. */
  classOf(shape: S): string;
  /** Shapes to time, what networks have most of first; one class each. */
  readonly shapes: readonly S[];
}

/** Variants that a tuner found fastest, by `classKey`; what is not in it goes by the order of preference. */
export type Choices = Readonly<Record<string, string>>;

/** A shape that must be refused, with a piece of the message. */
export interface ErrorSample<S> {
  readonly shape: S;
  readonly message: RegExp;
}

export interface Op<S> {
  readonly name: string;
  readonly passes: Readonly<Record<string, Pass<S>>>;
  /** Throws ShapeError when the shape makes no sense. */
  check(shape: S): void;
  /** Shapes for conformance tests: ordinary, odd and degenerate ones. Small: the reference is slow. */
  readonly samples: readonly S[];
  /** Shapes to time, by the name they get in the results (`64x28x28x16`); without any, the largest sample is timed. */
  readonly benchmarks?: Readonly<Record<string, S>>;
  /** Shapes too large to test whose kernels no sample takes on some adapter: only compiled ahead, with those of the samples. */
  readonly large?: readonly S[];
  /** For ops whose variants a tuner may choose among. */
  readonly tuning?: Tuning<S>;
  readonly errors: readonly ErrorSample<S>[];
}

/** A shape that an op cannot compute. */
export class ShapeError extends Error {
  override readonly name = 'ShapeError';
  constructor(op: string, message: string) {
    super(`${op}: ${message}`);
  }
}

/** Rounds a channel count up to the padded width used on the device. */
export const padded = (channels: number): number => Math.ceil(channels / 4) * 4;

/** Workgroup counts for `total` workgroups when one dimension holds at most `limit`: x * y >= total. Kernels guard the excess. */
export function spread(total: number, limit: number): readonly [number, number, number] {
  if (total <= limit) return [Math.max(1, total), 1, 1];
  const y = Math.ceil(total / limit);
  return [Math.ceil(total / y), y, 1];
}

/** What a choice is kept under: `conv2d/forward/3x3 s1 c64 f64 p16384`; undefined where a tuner has nothing to choose. */
export const classKey = <S>({ name, tuning }: Op<S>, passName: string, shape: S): string | undefined =>
  tuning?.passes.includes(passName) === true ? `${name}/${passName}/${tuning.classOf(shape)}` : undefined;

/** `mixed`: passes that have variants with operands rounded to f16 take those; sums, parameters and all other passes stay f32. */
export type Precision = 'f32' | 'mixed';

export interface VariantRequest {
  /** The variant to use, by name, preferred or not. */
  readonly wanted?: string | undefined;
  /** f32 unless told. Shapes that no variant with rounded operands can run stay f32. */
  readonly precision?: Precision | undefined;
  /** A tuner's choices: followed where the chosen variant can run the shape, else the order of preference holds. */
  readonly choices?: Choices;
}

/** The variant a pass runs for a shape on a device; throws when none is usable, naming op, pass and shape. */
export function chooseVariant<S>(
  op: Op<S>,
  passName: string,
  shape: S,
  device: DeviceTraits,
  { wanted, precision, choices = {} }: VariantRequest = {},
): Variant<S> {
  const pass = op.passes[passName];
  if (pass === undefined) throw new ShapeError(op.name, `has no pass "${passName}"; it has ${Object.keys(op.passes).join(', ')}`);
  const named = (name: string | undefined): Variant<S> | undefined =>
    pass.variants.find((variant) => variant.name === name && variant.usable(shape, device));
  const byPreference = (): Variant<S> | undefined =>
    pass.variants.find((variant) => (variant.preferred?.(shape, device) ?? true) && variant.usable(shape, device));
  const tuned = (): Variant<S> | undefined => named(choices[classKey(op, passName, shape) ?? '']);
  const rounded = (): Variant<S> | undefined =>
    precision === 'mixed' ? pass.variants.find((one) => one.roundsOperands === true && one.usable(shape, device)) : undefined;
  const variant = wanted === undefined ? (rounded() ?? tuned() ?? byPreference()) : named(wanted);
  if (variant === undefined) {
    const names = wanted ?? pass.variants.map((v) => v.name).join(', ');
    throw new ShapeError(op.name, `no usable variant (${names}) of pass "${passName}" for ${JSON.stringify(shape)} on this adapter`);
  }
  return variant;
}
