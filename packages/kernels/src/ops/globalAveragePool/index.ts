// globalAveragePool: the mean of every channel over the image, [N, H, W, C4] -> [N, C4].
import { requirePositiveIntegers } from '../checks.js';
import { padded, spread, type DeviceTraits, type Dispatch, type Op } from '../op.js';
import { paddedNormal, type Random } from '../../testing/random.js';
import { forwardReference, gradientReference } from './reference.js';

export interface GlobalAveragePoolShape {
  readonly batch: number;
  readonly height: number;
  readonly width: number;
  readonly channels: number;
}

/** Lanes of a workgroup of each kernel: few for `plain`, so that its few invocations still reach every core. */
const PLAIN_LANES = 8;
const LANES = 64;
/** Pixels an invocation of the gradient writes: they share its divisions. */
const GRADIENT_STRIP = 8;
/** Up to here a GPU gains nothing from several invocations a channel. */
const FEW_PIXELS = 16;

const rows = ({ batch, height, width }: GlobalAveragePoolShape): number => batch * height * width;
const inputWords = (shape: GlobalAveragePoolShape): number => rows(shape) * padded(shape.channels);
const outputWords = ({ batch, channels }: GlobalAveragePoolShape): number => batch * padded(channels);
const uniforms = ({ batch, height, width, channels }: GlobalAveragePoolShape): number[] => [batch, height * width, padded(channels) / 4];

function plain(shape: GlobalAveragePoolShape, { maxWorkgroups }: DeviceTraits): Dispatch[] {
  return [
    {
      wgsl: new URL('./forward.wgsl', import.meta.url),
      bind: ['x', 'y'],
      uniforms: uniforms(shape),
      workgroups: spread(Math.ceil(outputWords(shape) / 4 / PLAIN_LANES), maxWorkgroups),
    },
  ];
}

function workgroup(shape: GlobalAveragePoolShape, { maxWorkgroups }: DeviceTraits): Dispatch[] {
  const vectors = padded(shape.channels) / 4;
  const blocks = Math.ceil(vectors / LANES);
  const blockVectors = Math.ceil(vectors / blocks);
  const [x, y] = spread(shape.batch, maxWorkgroups);
  return [
    {
      wgsl: new URL('./forward.workgroup.wgsl', import.meta.url),
      bind: ['x', 'y'],
      uniforms: [...uniforms(shape), blockVectors, Math.floor(LANES / blockVectors)],
      workgroups: [x, y, blocks],
    },
  ];
}

function gradient(shape: GlobalAveragePoolShape, { maxWorkgroups }: DeviceTraits): Dispatch[] {
  const { batch, height, width, channels } = shape;
  const invocations = (batch * Math.ceil((height * width) / GRADIENT_STRIP) * padded(channels)) / 4;
  return [
    {
      wgsl: new URL('./gradient.wgsl', import.meta.url),
      bind: ['dy', 'dx'],
      uniforms: uniforms(shape),
      workgroups: spread(Math.ceil(invocations / LANES), maxWorkgroups),
    },
  ];
}

export const globalAveragePool: Op<GlobalAveragePoolShape> = {
  name: 'globalAveragePool',
  passes: {
    forward: {
      tensors: [
        {
          name: 'x',
          role: 'in',
          type: 'f32',
          words: inputWords,
          fill: (shape: GlobalAveragePoolShape, random: Random) => paddedNormal(rows(shape), shape.channels, random),
        },
        { name: 'y', role: 'out', type: 'f32', words: outputWords },
      ],
      flops: (shape) => (rows(shape) + shape.batch) * shape.channels,
      // A sum of P values of both signs rounds by about 2^-24 * sqrt(P) of its terms, its mean is 1 / sqrt(P) of them: P = 784.
      tolerance: 1e-5,
      reference: forwardReference,
      variants: [
        // The first is for few pixels or cores, the second usable everywhere.
        { name: 'plain', usable: ({ height, width }, { kind }) => kind === 'cpu' || height * width <= FEW_PIXELS, dispatches: plain },
        { name: 'workgroup', usable: () => true, dispatches: workgroup },
      ],
    },
    gradient: {
      tensors: [
        {
          name: 'dy',
          role: 'in',
          type: 'f32',
          words: outputWords,
          fill: ({ batch, channels }: GlobalAveragePoolShape, random: Random) => paddedNormal(batch, channels, random),
        },
        { name: 'dx', role: 'out', type: 'f32', words: inputWords },
      ],
      flops: outputWords,
      // One division: 2.5 units in the last place.
      tolerance: 5e-7,
      reference: gradientReference,
      differentiates: { pass: 'forward', cotangents: { dy: 'y' }, gradients: { dx: 'x' } },
      variants: [{ name: 'plain', usable: () => true, dispatches: gradient }],
    },
  },
  check: ({ batch, height, width, channels }) => requirePositiveIntegers('globalAveragePool', { batch, height, width, channels }),
  samples: [
    { batch: 5, height: 7, width: 7, channels: 16 },
    { batch: 2, height: 28, width: 28, channels: 3 },
    { batch: 3, height: 13, width: 1, channels: 10 },
    { batch: 17, height: 1, width: 1, channels: 5 },
    { batch: 2, height: 7, width: 5, channels: 260 }, // 65 vectors: two blocks, uneven
  ],
  benchmarks: { '64x28x28x16': { batch: 64, height: 28, width: 28, channels: 16 } },
  errors: [
    { shape: { batch: 1, height: 0, width: 4, channels: 4 }, message: /height is 0; it must be a positive integer/ },
    { shape: { batch: 1, height: 4, width: 4, channels: 1.5 }, message: /channels is 1.5/ },
  ],
};
