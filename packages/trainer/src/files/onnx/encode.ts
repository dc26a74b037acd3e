// From OnnxModel to the bytes of an .onnx file, as parts: a tensor's bytes are written from where they are, never copied.
import { BinaryWriter, WireType } from '@bufbuild/protobuf/wire';
import {
  AttributeType,
  type OnnxAttribute,
  type OnnxGraph,
  type OnnxModel,
  type OnnxNode,
  type OnnxTensor,
  type OnnxValueInfo,
} from './schema.js';

type Parts = readonly Uint8Array[];

const lengthOf = (parts: Parts): number => parts.reduce((sum, { length }) => sum + length, 0);

/** A length-delimited field. */
function nested(field: number, parts: Parts): Uint8Array[] {
  return [new BinaryWriter().tag(field, WireType.LengthDelimited).uint32(lengthOf(parts)).finish(), ...parts];
}

function text(field: number, value: string): Uint8Array[] {
  return value === '' ? [] : [new BinaryWriter().tag(field, WireType.LengthDelimited).string(value).finish()];
}

/** A text that stays in its place even when it is empty: an element of a list. */
const element = (field: number, value: string): Uint8Array =>
  new BinaryWriter().tag(field, WireType.LengthDelimited).string(value).finish();

const integer = (field: number, value: number): Uint8Array => new BinaryWriter().tag(field, WireType.Varint).int64(value).finish();

const integers = (field: number, values: readonly number[]): Uint8Array[] => values.map((value) => integer(field, value));

const float = (field: number, value: number): Uint8Array => new BinaryWriter().tag(field, WireType.Bit32).float(value).finish();

/** The file in parts. */
export function encodeModel({ irVersion, producer, opset, graph, metadata }: OnnxModel): Uint8Array[] {
  return [
    integer(1, irVersion),
    ...text(2, producer),
    ...nested(7, encodeGraph(graph)),
    ...nested(8, [integer(2, opset)]),
    ...[...metadata].flatMap(([key, value]) => nested(14, [element(1, key), element(2, value)])),
  ];
}

function encodeGraph({ name, nodes, initializers, inputs, outputs }: OnnxGraph): Uint8Array[] {
  return [
    ...nodes.flatMap((node) => nested(1, encodeNode(node))),
    ...text(2, name),
    ...initializers.flatMap((tensor) => nested(5, encodeTensor(tensor))),
    ...inputs.flatMap((value) => nested(11, encodeValueInfo(value))),
    ...outputs.flatMap((value) => nested(12, encodeValueInfo(value))),
  ];
}

function encodeNode({ name, op, domain, inputs, outputs, attributes }: OnnxNode): Uint8Array[] {
  return [
    ...inputs.map((input) => element(1, input)),
    ...outputs.map((output) => element(2, output)),
    ...text(3, name),
    ...text(4, op),
    ...attributes.flatMap((attribute) => nested(5, encodeAttribute(attribute))),
    ...text(7, domain),
  ];
}

function encodeAttribute(attribute: OnnxAttribute): Uint8Array[] {
  const value = (): Uint8Array[] => {
    switch (attribute.type) {
      case AttributeType.FLOAT:
        return [float(2, attribute.float ?? 0)];
      case AttributeType.INT:
        return [integer(3, attribute.int ?? 0)];
      case AttributeType.STRING:
        return [element(4, attribute.text ?? '')];
      case AttributeType.INTS:
        return integers(8, attribute.ints ?? []);
      case AttributeType.TENSOR:
        return attribute.tensor === undefined ? [] : nested(5, encodeTensor(attribute.tensor));
      default:
        throw new RangeError(
          `encodeModel: attribute "${attribute.name}" has type ${attribute.type}; only numbers, texts, lists of integers and tensors are written`,
        );
    }
  };
  return [...text(1, attribute.name), ...value(), integer(20, attribute.type)];
}

function encodeTensor({ name, dims, dataType, raw }: OnnxTensor): Uint8Array[] {
  if (raw === undefined) throw new RangeError(`encodeModel: tensor "${name}" has no raw bytes; only those are written`);
  return [...integers(1, dims), integer(2, dataType), ...text(8, name), ...nested(9, [raw])];
}

function encodeValueInfo({ name, elementType, dims = [] }: OnnxValueInfo): Uint8Array[] {
  // Undefined is the batch, the only dimension that is left open.
  const shape = dims.flatMap((size) => nested(1, size === undefined ? text(2, 'batch') : [integer(1, size)]));
  return [...text(1, name), ...nested(2, nested(1, [integer(1, elementType), ...nested(2, shape)]))];
}
