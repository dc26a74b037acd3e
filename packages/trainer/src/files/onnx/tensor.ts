// The elements of an ONNX tensor as numbers.
import { elementCountOf } from './sizes.js';
import { FLOAT_FORMATS, type FloatFormat } from '../dtypes.js';
import { ONNX_LIMITS } from './limits.js';
import { DataType, type OnnxTensor } from './schema.js';
import { WireError } from './wire.js';

const FLOATS: ReadonlyMap<number, FloatFormat> = new Map([
  [DataType.FLOAT, FLOAT_FORMATS.F32],
  [DataType.DOUBLE, FLOAT_FORMATS.F64],
  [DataType.FLOAT16, FLOAT_FORMATS.F16],
  [DataType.BFLOAT16, FLOAT_FORMATS.BF16],
]);
const INTEGER_BYTES: ReadonlyMap<number, number> = new Map([
  [DataType.INT64, 8],
  [DataType.INT32, 4],
  [DataType.BOOL, 1],
]);

export const isFloatType = (dataType: number): boolean => FLOATS.has(dataType);

const label = ({ name }: OnnxTensor): string => `tensor ${JSON.stringify(name.slice(0, 100))}`;

/** Bytes of one element; throws WireError for a type that n2n does not read. */
function elementBytes(tensor: OnnxTensor): number {
  const size = FLOATS.get(tensor.dataType)?.sizeBytes ?? INTEGER_BYTES.get(tensor.dataType);
  if (size === undefined)
    throw new WireError(`${label(tensor)} has data type ${tensor.dataType}; n2n reads float, double, half, bfloat16 and integers`);
  return size;
}

/** Bytes that the dimensions ask for; throws WireError where they are no sizes. */
export function bytesOf(tensor: OnnxTensor): number {
  return elementCountOf(tensor) * elementBytes(tensor);
}

function checkedRaw(tensor: OnnxTensor, raw: Uint8Array): Uint8Array {
  const needed = bytesOf(tensor);
  if (raw.length === needed) return raw;
  throw new WireError(`${label(tensor)} of [${tensor.dims.join(', ')}] has ${raw.length} bytes of data, needs ${needed}`);
}

/** Row-major elements as float32, in an array of its own. Throws WireError when data and dimensions disagree or a value is not finite. */
export function floatsOf(tensor: OnnxTensor): Float32Array {
  const format = FLOATS.get(tensor.dataType);
  if (format === undefined) throw new WireError(`${label(tensor)} has data type ${tensor.dataType}, needs floating-point numbers`);
  const floats = tensor.raw === undefined ? typedFloats(tensor, format) : format.decode(checkedRaw(tensor, tensor.raw));
  const at = floats.findIndex((value) => !Number.isFinite(value));
  if (at >= 0) throw new WireError(`${label(tensor)} has ${floats[at]} at element ${at}; weights must be finite`);
  return floats;
}

function typedFloats(tensor: OnnxTensor, format: FloatFormat): Float32Array {
  const { values = [], dataType } = tensor;
  const needed = elementCountOf(tensor);
  if (values.length !== needed) {
    throw new WireError(`${label(tensor)} of [${tensor.dims.join(', ')}] has ${values.length} elements of data, needs ${needed}`);
  }
  // Half floats come as the bits of a 32-bit integer each.
  if (dataType === DataType.FLOAT16 || dataType === DataType.BFLOAT16) {
    return format.decode(new Uint8Array(Uint16Array.from(values).buffer));
  }
  return Float32Array.from(values);
}

/** Row-major elements of a tensor of integers. */
export function integersOf(tensor: OnnxTensor): number[] {
  const size = INTEGER_BYTES.get(tensor.dataType);
  if (size === undefined) throw new WireError(`${label(tensor)} has data type ${tensor.dataType}, needs integers`);
  const needed = elementCountOf(tensor);
  if (needed > ONNX_LIMITS.integers)
    throw new WireError(`${label(tensor)} has ${needed} integers, at most ${ONNX_LIMITS.integers} are read`);
  if (tensor.raw !== undefined) {
    const raw = checkedRaw(tensor, tensor.raw);
    const view = new DataView(raw.buffer, raw.byteOffset, raw.byteLength);
    return Array.from({ length: needed }, (_, i) =>
      size === 8 ? Number(view.getBigInt64(i * 8, true)) : size === 4 ? view.getInt32(i * 4, true) : view.getUint8(i),
    );
  }
  const { values = [] } = tensor;
  if (values.length !== needed)
    throw new WireError(`${label(tensor)} of [${tensor.dims.join(', ')}] has ${values.length} integers, needs ${needed}`);
  return [...values];
}
