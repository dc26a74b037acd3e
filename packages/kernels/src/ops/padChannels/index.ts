// padChannels: a map with more channels, zeros behind its own, or with fewer, the last ones cut: [R, I4] -> [R, O4]. What the
// shortcuts without parameters of residual networks do where the width changes (arXiv 1512.03385, section 4.2).
import { requirePositiveIntegers } from '../checks.js';
import { flatSlicing } from '../flat.js';
import { padded, type DeviceTraits, type Dispatch, type Op } from '../op.js';
import { paddedNormal, type Random } from '../../testing/random.js';
import { forwardReference, gradientReference } from './reference.js';

export interface PadChannelsShape {
  /** Pixels: batch x height x width. */
  readonly rows: number;
  /** Channels of x. */
  readonly inputs: number;
  /** Channels of y. */
  readonly outputs: number;
}

const inputWords = ({ rows, inputs }: PadChannelsShape): number => rows * padded(inputs);
const outputWords = ({ rows, outputs }: PadChannelsShape): number => rows * padded(outputs);
const bytes = (shape: PadChannelsShape): number => 4 * (inputWords(shape) + outputWords(shape));

function copy(rows: number, from: number, to: number, bind: readonly string[], device: DeviceTraits): Dispatch {
  const perRow = padded(to) / 4;
  const { share, workgroups } = flatSlicing(rows * perRow, device);
  const uniforms = [rows * perRow, share, padded(from) / 4, perRow, Math.min(from, to)];
  return { wgsl: new URL('./forward.wgsl', import.meta.url), bind, uniforms, workgroups };
}

export const padChannels: Op<PadChannelsShape> = {
  name: 'padChannels',
  passes: {
    forward: {
      tensors: [
        {
          name: 'x',
          role: 'in',
          type: 'f32',
          words: inputWords,
          fill: ({ rows, inputs }, random: Random) => paddedNormal(rows, inputs, random),
        },
        { name: 'y', role: 'out', type: 'f32', words: outputWords },
      ],
      flops: () => 0,
      bytes,
      tolerance: 0,
      reference: forwardReference,
      variants: [
        {
          name: 'plain',
          usable: () => true,
          dispatches: ({ rows, inputs, outputs }, device) => [copy(rows, inputs, outputs, ['x', 'y'], device)],
        },
      ],
    },
    gradient: {
      tensors: [
        {
          name: 'dy',
          role: 'in',
          type: 'f32',
          words: outputWords,
          fill: ({ rows, outputs }, random: Random) => paddedNormal(rows, outputs, random),
        },
        { name: 'dx', role: 'out', type: 'f32', words: inputWords },
      ],
      flops: () => 0,
      bytes,
      tolerance: 0,
      reference: gradientReference,
      differentiates: { pass: 'forward', cotangents: { dy: 'y' }, gradients: { dx: 'x' } },
      variants: [
        {
          name: 'plain',
          usable: () => true,
          dispatches: ({ rows, inputs, outputs }, device) => [copy(rows, outputs, inputs, ['dy', 'dx'], device)],
        },
      ],
    },
  },
  check: ({ rows, inputs, outputs }) => requirePositiveIntegers('padChannels', { rows, inputs, outputs }),
  samples: [
    { rows: 70, inputs: 16, outputs: 32 },
    { rows: 300, inputs: 5, outputs: 7 },
    { rows: 9, inputs: 3, outputs: 270 },
    { rows: 33, inputs: 13, outputs: 6 },
    { rows: 33, inputs: 30, outputs: 8 },
    { rows: 5, inputs: 7, outputs: 7 },
    { rows: 2, inputs: 1, outputs: 1 },
  ],
  benchmarks: { '64x16x16x16-32': { rows: 64 * 16 * 16, inputs: 16, outputs: 32 } },
  errors: [
    { shape: { rows: 0, inputs: 4, outputs: 8 }, message: /rows is 0; it must be a positive integer/ },
    { shape: { rows: 4, inputs: 4, outputs: 1.5 }, message: /outputs is 1.5/ },
  ],
};
