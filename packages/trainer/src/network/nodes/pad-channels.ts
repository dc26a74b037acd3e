// A map with another number of channels and no parameters: zeros behind the input's own channels, or the last ones cut. With an
// average-pool of kernel 1 before it, the shortcut of a residual network with identity shortcuts (arXiv 1512.03385, option A).
import { z } from 'zod';
import { integer } from './attributes.js';
import type { NodeType } from './node.js';
import { mapInput } from './window.js';

const attributes = z.strictObject({ channels: integer(1) });
export type PadChannelsAttributes = z.infer<typeof attributes>;

export const padChannels: NodeType<PadChannelsAttributes> = {
  type: 'pad-channels',
  attributes,
  attributeNames: Object.keys(attributes.shape),
  arity: 1,
  widthAttribute: 'channels',
  shrinkable: [{ attribute: 'channels', minimum: 10 }],
  coupling: () => ({ kind: 'extend' }),
  shape: ({ channels }, inputs) => ({ ...mapInput(inputs), channels }),
  parameters: () => [],
  macs: () => 0,
  // Both ends of the axes N, C, H, W; a negative size cuts.
  onnx: ({ channels }, inputs) => [
    { op: 'Pad', inputs: [{ input: 0 }, { ints: [0, 0, 0, 0, 0, channels - mapInput(inputs).channels, 0, 0] }] },
  ],
};
