// How much an ONNX file may hold. A file comes from anywhere: a count that a reader does not bound is memory that a few bytes
// ask for.

export const ONNX_LIMITS = {
  /** Protobuf's own limit, and the most that Node reads at once. */
  bytes: 2 ** 31 - 1,
  nodes: 10_000,
  initializers: 50_000,
  /** Inputs or outputs of one node. */
  values: 1_024,
  attributes: 64,
  /** Elements of one integer or float attribute. */
  list: 65_536,
  dimensions: 8,
  /** Bytes of one name or text. */
  text: 65_536,
  metadata: 1_024,
  /** Bytes of one metadata value: a spec of NODE_LIMIT nodes fits. */
  metadataText: 2 ** 24,
  opsets: 64,
  /** Elements of a tensor of integers (shapes, axes), which are numbers and no array of the device's. */
  integers: 65_536,
  /** Integers of a list that the graph computes: nodes can double it over and over. */
  computed: 1024,
} as const;
