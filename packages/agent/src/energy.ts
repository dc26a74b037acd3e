// Energy of one image's forward pass by a stated model, for comparing networks: no device is measured. The figures are those of
// M. Horowitz, "Computing's energy problem (and what we can do about it)", ISSCC 2014, figure 1.1.9: 45 nm, 0.9 V, float32.
import { analyse, elementsOf, modelBytes, shapeAt, type NetworkSpec } from '@n2n/trainer/network';

/** A multiply-add: 3.7 pJ for the multiplication and 0.9 pJ for the addition. */
const MAC_PICOJOULES = 3.7 + 0.9;
/** A byte from DRAM: 1.3 nJ for 64 bits, the lower of the figure's bounds. */
const DRAM_PICOJOULES_PER_BYTE = 1300 / 8;
/** A byte from or to a cache of 1 MB: 100 pJ for 64 bits. */
const CACHE_PICOJOULES_PER_BYTE = 100 / 8;

const BYTES_PER_FLOAT = 4;

/**
 * Microjoules of one image at batch 1: E = 4.6 pJ MACs + 162.5 pJ B_w + 12.5 pJ B_a. B_w: bytes of the model's tensors, each read
 * once from DRAM. B_a: bytes of activations through the cache, each node reading its inputs and writing its output once (no node
 * is fused with another, as in the count of activation bytes). What other arithmetic, control and leakage cost is left out.
 */
export function energyMicrojoules(spec: NetworkSpec): number {
  const analysis = analyse(spec);
  let macs = 0;
  let moved = 0;
  for (const { node, macs: own, outputElements } of analysis.nodes) {
    macs += own;
    moved += outputElements + node.inputs.reduce((sum, id) => sum + elementsOf(shapeAt(analysis, id)), 0);
  }
  const picojoules =
    MAC_PICOJOULES * macs + DRAM_PICOJOULES_PER_BYTE * modelBytes(spec) + CACHE_PICOJOULES_PER_BYTE * BYTES_PER_FLOAT * moved;
  return picojoules / 1e6;
}
