// Initial weights: every tensor from its own stream, so that none depends on how many others there are.
import { analyse, type NetworkSpec, type ParameterDeclaration } from '../network/index.js';
import { keyedRandom } from '../random.js';

/** Weights in PyTorch's shapes, by `<node>.<parameter>`, drawn as each declaration says. */
export function initialWeights(spec: NetworkSpec, seed: number | string): Map<string, Float32Array> {
  const weights = new Map<string, Float32Array>();
  analyse(spec).nodes.forEach(({ node, parameters }, index) => {
    for (const declaration of parameters) {
      // The position in the list of nodes keys the stream, not the id: specs that differ in names alone start alike. Listing the
      // nodes of one graph in another order gives other weights, though the canonical hash is the same.
      weights.set(`${node.id}.${declaration.name}`, draw(declaration, seed, `initial-weights/${declaration.name}`, index));
    }
  });
  return weights;
}

function draw(declaration: ParameterDeclaration, seed: number | string, purpose: string, index: number): Float32Array {
  const size = declaration.shape.reduce((product, length) => product * length, 1);
  const fanIn = declaration.fanIn ?? 1;
  const stream = keyedRandom(seed, purpose, index);
  switch (declaration.initial) {
    case 'zeros':
      return new Float32Array(size);
    case 'ones':
      return new Float32Array(size).fill(1);
    case 'kaiming':
      return Float32Array.from({ length: size }, () => stream.normal() * Math.sqrt(2 / fanIn));
    case 'uniform':
      return Float32Array.from({ length: size }, () => (2 * stream.uniform() - 1) / Math.sqrt(fanIn));
    default:
      return declaration.initial satisfies never;
  }
}
