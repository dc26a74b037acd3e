// Just enough of the ONNX format (opset 17) to hand the benchmark's cases to onnxruntime: protobuf messages written field by field.

/** @param {number} value not negative */
function varint(value) {
  const bytes = [];
  for (let rest = BigInt(value); ; rest >>= 7n) {
    if (rest < 128n) return Buffer.from([...bytes, Number(rest)]);
    bytes.push(Number(rest & 127n) | 128);
  }
}

const integer = (field, value) => Buffer.concat([varint(field << 3), varint(value)]);
const bytes = (field, content) => Buffer.concat([varint((field << 3) | 2), varint(content.length), content]);
const string = (field, value) => bytes(field, Buffer.from(value));
const message = (field, ...parts) => bytes(field, Buffer.concat(parts));
function float(field, value) {
  const content = Buffer.alloc(4);
  content.writeFloatLE(value);
  return Buffer.concat([varint((field << 3) | 5), content]);
}

const FLOAT = 1;

/** AttributeProto: a list of integers, an integer, or `{ float }`. */
function attribute([name, value]) {
  if (Array.isArray(value)) return message(5, string(1, name), ...value.map((one) => integer(8, one)), integer(20, 7));
  if (typeof value === 'number') return message(5, string(1, name), integer(3, value), integer(20, 2));
  return message(5, string(1, name), float(2, value.float), integer(20, 1));
}

const valueInfo = (field, { name, shape }) =>
  message(
    field,
    string(1, name),
    message(2, message(1, integer(1, FLOAT), message(2, ...shape.map((size) => message(1, integer(1, size)))))),
  );

const tensor = ({ name, shape, values }) =>
  message(
    5,
    ...shape.map((size) => integer(1, size)),
    integer(2, FLOAT),
    string(8, name),
    bytes(9, Buffer.from(values.buffer, values.byteOffset, values.byteLength)),
  );

/**
 * @param {{ nodes: { op: string, inputs: string[], outputs: string[], attributes?: Record<string, unknown> }[],
 *   initializers: { name: string, shape: readonly number[], values: Float32Array }[],
 *   inputs: { name: string, shape: readonly number[] }[], outputs: { name: string, shape: readonly number[] }[] }} graph
 * @returns {Uint8Array} a ModelProto
 */
export function onnxModel({ nodes, initializers, inputs, outputs }) {
  const graph = message(
    7,
    ...nodes.map(({ op, inputs: from, outputs: to, attributes = {} }) =>
      message(
        1,
        ...from.map((name) => string(1, name)),
        ...to.map((name) => string(2, name)),
        string(4, op),
        ...Object.entries(attributes).map(attribute),
      ),
    ),
    string(2, 'benchmark'),
    ...initializers.map(tensor),
    ...inputs.map((value) => valueInfo(11, value)),
    ...outputs.map((value) => valueInfo(12, value)),
  );
  return Buffer.concat([integer(1, 8), message(8, string(1, ''), integer(2, 17)), graph]);
}
