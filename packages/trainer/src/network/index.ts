// Networks as data: specs, node types, what follows from a spec, and edits that keep it valid. Pure: no device, no files.
export { INPUT_ID, SpecError } from './spec.js';
export type { AttributeValue, NetworkSpec, NodeSpec, Shape } from './spec.js';
export { channelsOf, describeShape, DIMENSION_LIMIT, ELEMENT_LIMIT, elementsOf, sameShape } from './shape.js';
export type { Coupling, NodeType, OnnxInput, OnnxStep, ParameterDeclaration, Shrinkable } from './nodes/node.js';
export { nodeTypeOf, nodeTypes } from './nodes/index.js';
export type { AveragePoolAttributes } from './nodes/average-pool.js';
export type { BatchNormAttributes } from './nodes/batch-norm.js';
export type { Conv2dAttributes } from './nodes/conv2d.js';
export type { DropoutAttributes } from './nodes/dropout.js';
export type { LinearAttributes } from './nodes/linear.js';
export type { MaxPoolAttributes } from './nodes/max-pool.js';
export type { Pair, Sides } from './nodes/attributes.js';
export { INPUTS_LIMIT, NODE_LIMIT, parseSpec } from './parse.js';
export {
  activationBytes,
  analyse,
  macs,
  modelBytes,
  type NodeAnalysis,
  parameterCount,
  parameterElements,
  shapeAt,
  type SpecAnalysis,
} from './analyse.js';
export { specHash } from './hash.js';
export { type ChannelGroup, channelGroups, type ChannelGroups, type ChannelSegment, withWidths } from './coupling.js';
export { collapseAdds, removableNodes, removalObstacles, removeNodes } from './remove.js';
export { withAttributes } from './adjust.js';
export { type ZooOptions, zooNames, zooSpec } from './zoo/index.js';
export { suggestion } from './suggest.js';
