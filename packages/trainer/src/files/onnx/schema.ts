// The part of ONNX's protobuf messages (onnx/onnx.proto, IR version 3 and later) that n2n reads and writes, as plain objects.

/** TensorProto.DataType, as far as n2n reads it. */
export const DataType = { FLOAT: 1, INT32: 6, INT64: 7, BOOL: 9, FLOAT16: 10, DOUBLE: 11, BFLOAT16: 16 } as const;

/** AttributeProto.AttributeType. */
export const AttributeType = { FLOAT: 1, INT: 2, STRING: 3, TENSOR: 4, GRAPH: 5, FLOATS: 6, INTS: 7, STRINGS: 8, GRAPHS: 10 } as const;

/** Values are views of the file's bytes, decoded when somebody asks for them. */
export interface OnnxTensor {
  readonly name: string;
  readonly dims: readonly number[];
  readonly dataType: number;
  /** Elements in little-endian order; undefined when the file used a typed field or another file. */
  readonly raw?: Uint8Array;
  /** Elements from float_data, double_data, int32_data or int64_data. */
  readonly values?: readonly number[] | Float32Array | Float64Array;
  /** Keys and values of external_data when the elements lie in another file. */
  readonly external?: ReadonlyMap<string, string>;
}

export interface OnnxAttribute {
  readonly name: string;
  readonly type: number;
  readonly float?: number;
  readonly int?: number;
  readonly text?: string;
  readonly floats?: readonly number[];
  readonly ints?: readonly number[];
  readonly tensor?: OnnxTensor;
}

export interface OnnxNode {
  readonly name: string;
  readonly op: string;
  readonly domain: string;
  /** Names of values; '' for an optional one that is left out. */
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly attributes: readonly OnnxAttribute[];
}

/** A graph input or output; a dimension is a number, or undefined when it is symbolic or unknown. */
export interface OnnxValueInfo {
  readonly name: string;
  readonly elementType: number;
  /** Undefined when the file gives no shape. */
  readonly dims?: readonly (number | undefined)[];
}

export interface OnnxGraph {
  readonly name: string;
  readonly nodes: readonly OnnxNode[];
  readonly initializers: readonly OnnxTensor[];
  readonly inputs: readonly OnnxValueInfo[];
  readonly outputs: readonly OnnxValueInfo[];
}

export interface OnnxModel {
  readonly irVersion: number;
  readonly producer: string;
  /** Version of the default operator set. */
  readonly opset: number;
  readonly graph: OnnxGraph;
  readonly metadata: ReadonlyMap<string, string>;
}
