// The node types there are. A new layer is one file beside this one and one line here.
import { SpecError } from '../spec.js';
import { suggestion } from '../suggest.js';
import { add } from './add.js';
import { averagePool } from './average-pool.js';
import { batchNorm } from './batch-norm.js';
import { concat } from './concat.js';
import { conv2d } from './conv2d.js';
import { dropout } from './dropout.js';
import { flatten } from './flatten.js';
import { globalAveragePool } from './global-average-pool.js';
import { hardSigmoid } from './hard-sigmoid.js';
import { hardSwish } from './hard-swish.js';
import { leakyRelu } from './leaky-relu.js';
import { linear } from './linear.js';
import { maxPool } from './max-pool.js';
import { multiply } from './multiply.js';
import type { NodeType } from './node.js';
import { padChannels } from './pad-channels.js';
import { relu } from './relu.js';
import { relu6 } from './relu6.js';
import { sigmoid } from './sigmoid.js';
import { silu } from './silu.js';

const all: readonly NodeType[] = [
  add,
  averagePool,
  batchNorm,
  concat,
  conv2d,
  dropout,
  flatten,
  globalAveragePool,
  hardSigmoid,
  hardSwish,
  leakyRelu,
  linear,
  maxPool,
  multiply,
  padChannels,
  relu,
  relu6,
  sigmoid,
  silu,
];

export const nodeTypes: ReadonlyMap<string, NodeType> = new Map(all.map((type) => [type.type, type]));

/** The declaration of a node's type; throws SpecError with the nearest known name. */
export function nodeTypeOf(node: { readonly id: string; readonly type: string }): NodeType {
  const type = nodeTypes.get(node.type);
  if (type === undefined) {
    const known = [...nodeTypes.keys()];
    throw new SpecError(node.id, `unknown type "${node.type}"${suggestion(node.type, known)}; needs one of ${known.join(', ')}`);
  }
  return type;
}
