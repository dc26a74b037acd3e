// From the bytes of an .onnx file to OnnxModel. Subgraphs, functions, sparse tensors and training graphs are refused by name:
// a network that needs them cannot be read by leaving them out.
import { append, readMessage, WireError, type Field } from './wire.js';
import { ONNX_LIMITS } from './limits.js';
import {
  AttributeType,
  type OnnxAttribute,
  type OnnxGraph,
  type OnnxModel,
  type OnnxNode,
  type OnnxTensor,
  type OnnxValueInfo,
} from './schema.js';

/** Whether the operator set is the default one, which has two spellings. */
const isDefaultDomain = (domain: string): boolean => domain === '' || domain === 'ai.onnx';

/** Throws WireError. */
export function decodeModel(bytes: Uint8Array): OnnxModel {
  let irVersion = 0;
  let producer = '';
  let graph: OnnxGraph | undefined;
  const opsets: { domain: string; version: number }[] = [];
  const metadata = new Map<string, string>();
  readMessage(bytes, 'ModelProto', (field) => {
    switch (field.number) {
      case 1:
        irVersion = field.integer();
        return true;
      case 2:
        producer = field.text();
        return true;
      case 7:
        if (graph !== undefined) throw new WireError('ModelProto has two graphs');
        graph = decodeGraph(field.bytes());
        return true;
      case 8:
        return append(opsets, decodeOpset(field.bytes()), ONNX_LIMITS.opsets, 'operator sets');
      case 14:
        return decodeEntry(field.bytes(), metadata, 'metadata property');
      case 20:
        throw new WireError('has a training graph (training_info), which n2n does not read; export for inference');
      case 25:
        throw new WireError('defines functions of its own, which n2n does not read; export without them');
      default:
        return false;
    }
  });
  if (graph === undefined) throw new WireError('has no graph: this is no ONNX model');
  const defaults = opsets.filter(({ domain }) => isDefaultDomain(domain));
  if (defaults.length !== 1) throw new WireError(`imports ${defaults.length} versions of the default operator set, needs one`);
  return { irVersion, producer, opset: defaults[0]?.version ?? 0, graph, metadata };
}

function decodeOpset(bytes: Uint8Array): { domain: string; version: number } {
  let domain = '';
  let version = 0;
  readMessage(bytes, 'OperatorSetIdProto', (field) => {
    if (field.number === 1) domain = field.text();
    else if (field.number === 2) version = field.integer();
    else return false;
    return true;
  });
  return { domain, version };
}

/** A StringStringEntryProto into `to`. */
function decodeEntry(bytes: Uint8Array, to: Map<string, string>, what: string): true {
  let key = '';
  let value = '';
  readMessage(bytes, 'StringStringEntryProto', (field) => {
    if (field.number === 1) key = field.text();
    else if (field.number === 2) value = field.text(ONNX_LIMITS.metadataText);
    else return false;
    return true;
  });
  if (to.has(key)) throw new WireError(`has the ${what} ${JSON.stringify(key.slice(0, 100))} twice`);
  if (to.size >= ONNX_LIMITS.metadata) throw new WireError(`has more than ${ONNX_LIMITS.metadata} entries of one ${what} list`);
  to.set(key, value);
  return true;
}

function decodeGraph(bytes: Uint8Array): OnnxGraph {
  let name = '';
  const nodes: OnnxNode[] = [];
  const initializers: OnnxTensor[] = [];
  const inputs: OnnxValueInfo[] = [];
  const outputs: OnnxValueInfo[] = [];
  readMessage(bytes, 'GraphProto', (field) => {
    switch (field.number) {
      case 1:
        return append(nodes, decodeNode(field.bytes()), ONNX_LIMITS.nodes, 'nodes');
      case 2:
        name = field.text();
        return true;
      case 5:
        return append(initializers, decodeTensor(field.bytes()), ONNX_LIMITS.initializers, 'initializers');
      case 11:
        return append(inputs, decodeValueInfo(field.bytes()), ONNX_LIMITS.initializers, 'inputs');
      case 12:
        return append(outputs, decodeValueInfo(field.bytes()), ONNX_LIMITS.values, 'outputs');
      case 15:
        throw new WireError('has sparse initializers, which n2n does not read');
      default:
        return false;
    }
  });
  return { name, nodes, initializers, inputs, outputs };
}

function decodeNode(bytes: Uint8Array): OnnxNode {
  let name = '';
  let op = '';
  let domain = '';
  const inputs: string[] = [];
  const outputs: string[] = [];
  const attributes: OnnxAttribute[] = [];
  readMessage(bytes, 'NodeProto', (field) => {
    switch (field.number) {
      case 1:
        return append(inputs, field.text(), ONNX_LIMITS.values, 'inputs of one node');
      case 2:
        return append(outputs, field.text(), ONNX_LIMITS.values, 'outputs of one node');
      case 3:
        name = field.text();
        return true;
      case 4:
        op = field.text();
        return true;
      case 5:
        return append(attributes, decodeAttribute(field.bytes()), ONNX_LIMITS.attributes, 'attributes of one node');
      case 7:
        domain = field.text();
        return true;
      default:
        return false;
    }
  });
  return { name, op, domain: isDefaultDomain(domain) ? '' : domain, inputs, outputs, attributes };
}

function decodeAttribute(bytes: Uint8Array): OnnxAttribute {
  let name = '';
  let type = 0;
  let single: Pick<OnnxAttribute, 'float' | 'int' | 'text' | 'tensor'> = {};
  const floats: number[] = [];
  const ints: number[] = [];
  // What a subgraph holds is never looked at; that there is one is an error of the node's, so it is only noted here.
  let hasGraph = false;
  readMessage(bytes, 'AttributeProto', (field) => {
    switch (field.number) {
      case 1:
        name = field.text();
        return true;
      case 2:
        single = { ...single, float: field.float() };
        return true;
      case 3:
        single = { ...single, int: field.integer() };
        return true;
      case 4:
        single = { ...single, text: field.text() };
        return true;
      case 5:
        single = { ...single, tensor: decodeTensor(field.bytes()) };
        return true;
      case 7:
        field.floats(floats, ONNX_LIMITS.list);
        return true;
      case 8:
        field.integers(ints, ONNX_LIMITS.list);
        return true;
      case 6:
      case 11:
        hasGraph = true;
        return false;
      case 20:
        type = field.integer();
        return true;
      default:
        return false;
    }
  });
  return { name, type: hasGraph ? AttributeType.GRAPH : type, ...single, floats, ints };
}

function decodeTensor(bytes: Uint8Array): OnnxTensor {
  let name = '';
  let dataType = 0;
  let raw: Uint8Array | undefined;
  let location = 0;
  const dims: number[] = [];
  const values: number[] = [];
  const packed: { type: 'float' | 'double'; bytes: Uint8Array }[] = [];
  const external = new Map<string, string>();
  readMessage(bytes, 'TensorProto', (field) => {
    switch (field.number) {
      case 1:
        field.integers(dims, ONNX_LIMITS.dimensions);
        return true;
      case 2:
        dataType = field.integer();
        return true;
      case 3:
        throw new WireError('has a tensor in segments, which n2n does not read');
      case 4:
        return append(packed, { type: 'float', bytes: field.bytes() }, 1, 'lists of float_data in one tensor');
      case 10:
        return append(packed, { type: 'double', bytes: field.bytes() }, 1, 'lists of double_data in one tensor');
      case 5:
      case 7:
        return appendIntegers(field, values);
      case 8:
        name = field.text();
        return true;
      case 9:
        raw = field.bytes();
        return true;
      case 13:
        return decodeEntry(field.bytes(), external, 'external data');
      case 14:
        location = field.integer();
        return true;
      default:
        return false;
    }
  });
  const list = packedValues(packed);
  const data = raw ?? list ?? (values.length > 0 ? values : undefined);
  if (location === 1) {
    if (data !== undefined) throw new WireError(`tensor ${JSON.stringify(name)} has data both in this file and in another`);
    return { name, dims, dataType, external };
  }
  if (raw !== undefined && (list !== undefined || values.length > 0)) {
    throw new WireError(`tensor ${JSON.stringify(name)} has its data twice, raw and typed`);
  }
  return { name, dims, dataType, ...(raw === undefined ? { values: list ?? values } : { raw }) };
}

/** int32_data also carries half floats and booleans; only small tensors come this way. */
function appendIntegers(field: Field, to: number[]): true {
  field.integers(to, ONNX_LIMITS.integers);
  return true;
}

/** Packed float_data or double_data as numbers. */
function packedValues(packed: readonly { type: 'float' | 'double'; bytes: Uint8Array }[]): Float32Array | Float64Array | undefined {
  const [first, second] = packed;
  if (first === undefined) return undefined;
  if (second !== undefined) throw new WireError('has a tensor with float_data and double_data');
  const size = first.type === 'float' ? 4 : 8;
  if (first.bytes.length % size !== 0) throw new WireError(`has ${first.type}_data of ${first.bytes.length} bytes, no multiple of ${size}`);
  const copy = first.bytes.slice().buffer;
  return first.type === 'float' ? new Float32Array(copy) : new Float64Array(copy);
}

function decodeValueInfo(bytes: Uint8Array): OnnxValueInfo {
  let name = '';
  let elementType = 0;
  let dims: (number | undefined)[] | undefined;
  readMessage(bytes, 'ValueInfoProto', (field) => {
    if (field.number === 1) name = field.text();
    else if (field.number === 2) ({ elementType, dims } = decodeType(field.bytes()));
    else return false;
    return true;
  });
  return { name, elementType, ...(dims === undefined ? {} : { dims }) };
}

/** TypeProto.tensor_type {elem_type, shape}; any other type has element type 0. */
function decodeType(bytes: Uint8Array): { elementType: number; dims: (number | undefined)[] | undefined } {
  let elementType = 0;
  let dims: (number | undefined)[] | undefined;
  readMessage(bytes, 'TypeProto', (type) => {
    if (type.number !== 1) return false;
    readMessage(type.bytes(), 'TypeProto.Tensor', (tensor) => {
      if (tensor.number === 1) elementType = tensor.integer();
      else if (tensor.number === 2) dims = decodeShape(tensor.bytes());
      else return false;
      return true;
    });
    return true;
  });
  return { elementType, dims };
}

function decodeShape(bytes: Uint8Array): (number | undefined)[] {
  const dims: (number | undefined)[] = [];
  readMessage(bytes, 'TensorShapeProto', (shape) => {
    if (shape.number !== 1) return false;
    let size: number | undefined;
    readMessage(shape.bytes(), 'Dimension', (dimension) => {
      if (dimension.number !== 1) return false;
      size = dimension.integer();
      return true;
    });
    return append(dims, size, ONNX_LIMITS.dimensions, 'dimensions of one tensor');
  });
  return dims;
}
