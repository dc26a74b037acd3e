// gather: fetches the images of a step from a data set of bytes on the device, augments and normalises them. Augmentation is
// random crop with padding and horizontal flip, as torchvision's RandomCrop(size, padding), RandomHorizontalFlip, Normalize in
// this order, then Cutout (DeVries and Taylor, arXiv 1708.04552, section 3), but a view of an image is the same crop at every visit, so that the teacher's logits of it can be kept.
import { requirePositiveIntegers } from '../checks.js';
import { f32, padded, ShapeError, spread, type Op } from '../op.js';
import { checkOrder, orderClock, orderTensor, type OrderShape } from '../order.js';
import { gatherReference } from './reference.js';

export interface GatherShape extends OrderShape {
  readonly height: number;
  readonly width: number;
  /** 1 .. 4. */
  readonly channels: number;
  /** Black pixels around the image from which a crop of its own size is cut; 0 for none. */
  readonly cropPadding: number;
  readonly flip: boolean;
  /**
   * Side in pixels of a square that is masked after normalisation, with 0, which is the mean pixel; its centre is any pixel of the
   * image, so that a part of it may lie outside. 0 for none.
   */
  readonly cutout: number;
  /**
   * 0: the table holds images `first` .. `first + count - 1`. Otherwise it holds those of `ring` steps, one step after another, step s
   * in place s % ring: then `first` is 0 and `count` is ring * batch.
   */
  readonly ring: number;
  /** Of the draws: a 32-bit word. */
  readonly seed: number;
  /** Of each channel, of pixels scaled to 0 .. 1. */
  readonly mean: readonly number[];
  readonly std: readonly number[];
}

const WORKGROUP = 64;
/** Pixels of an invocation. */
const CHUNK = 4;
const MOST_CHANNELS = 4;

/** Words of one image: its bytes [C, H, W], filled up to whole words. */
const imageWords = ({ channels, height, width }: GatherShape): number => Math.ceil((channels * height * width) / 4);

/** byte * scale + offset = (byte / 255 - mean) / std; zero for the channels of the padding. */
function affine({ channels, mean, std }: GatherShape): { readonly f32: number }[] {
  const all = Array.from({ length: MOST_CHANNELS }, (_, c) => c);
  const scale = all.map((c) => (c < channels ? 1 / (255 * std[c]!) : 0));
  const offset = all.map((c) => (c < channels ? -mean[c]! / std[c]! : 0));
  return [...scale, ...offset].map(f32);
}

const gray: GatherShape = {
  batch: 5,
  steps: 2,
  first: 0,
  count: 7,
  height: 28,
  width: 28,
  channels: 1,
  cropPadding: 0,
  flip: false,
  cutout: 0,
  ring: 0,
  seed: 1,
  mean: [0.1307],
  std: [0.3081],
};
const colour: GatherShape = {
  batch: 13,
  steps: 3,
  first: 100,
  count: 11,
  height: 8,
  width: 9,
  channels: 3,
  cropPadding: 4,
  flip: true,
  cutout: 3,
  ring: 0,
  seed: 0xfedcba98,
  mean: [0.49, 0.48, 0.45],
  std: [0.25, 0.24, 0.26],
};

export const gather: Op<GatherShape> = {
  name: 'gather',
  passes: {
    forward: {
      tensors: [
        {
          name: 'images',
          role: 'in',
          type: 'u32',
          words: (shape) => shape.count * imageWords(shape),
          fill: (shape, random) => Array.from({ length: shape.count * imageWords(shape) }, () => random.integer(2 ** 32)),
        },
        orderTensor,
        orderClock,
        { name: 'x', role: 'inout', type: 'f32', words: ({ batch, height, width, channels }) => batch * height * width * padded(channels) },
      ],
      flops: ({ batch, height, width, channels }) => batch * height * width * channels * 2,
      bytes: ({ batch, height, width, channels }) => batch * height * width * (channels + 4 * padded(channels)),
      tolerance: 1e-6,
      reference: gatherReference,
      variants: [
        {
          name: 'plain',
          usable: () => true,
          dispatches: (shape, device) => {
            const { batch, height, width, channels, first, count, steps, cropPadding, flip, seed, cutout, ring } = shape;
            const invocations = batch * height * Math.ceil(width / CHUNK);
            return [
              {
                wgsl: new URL('./forward.wgsl', import.meta.url),
                bind: ['images', 'order', 'clock', 'x'],
                uniforms: [
                  batch,
                  height,
                  width,
                  channels,
                  first,
                  count,
                  steps,
                  imageWords(shape),
                  cropPadding,
                  Number(flip),
                  seed >>> 0,
                  cutout,
                  ring,
                  ...affine(shape),
                ],
                workgroups: spread(Math.ceil(invocations / WORKGROUP), device.maxWorkgroups),
              },
            ];
          },
        },
      ],
    },
  },
  check(shape) {
    const { height, width, channels, mean, std } = shape;
    checkOrder('gather', shape);
    requirePositiveIntegers('gather', { height, width, channels });
    if (channels > MOST_CHANNELS) throw new ShapeError('gather', `channels is ${channels}; images have at most ${MOST_CHANNELS}`);
    for (const name of ['cropPadding', 'cutout', 'ring'] as const) {
      const value = shape[name];
      if (!Number.isInteger(value) || value < 0) throw new ShapeError('gather', `${name} is ${value}; it must be an integer of at least 0`);
    }
    if (shape.ring > 0 && (shape.first !== 0 || shape.count !== shape.ring * shape.batch)) {
      throw new ShapeError(
        'gather',
        `a ring of ${shape.ring} steps of ${shape.batch} has images ${shape.first} .. ${shape.first + shape.count}; it needs 0 .. ${shape.ring * shape.batch}`,
      );
    }
    for (const [name, values] of Object.entries({ mean, std })) {
      if (values.length !== channels)
        throw new ShapeError('gather', `${name} has ${values.length} values; the images have ${channels} channels`);
    }
    if (!std.every((value) => value > 0)) throw new ShapeError('gather', `std is ${std.join(', ')}; every value must be above 0`);
  },
  samples: [
    gray,
    colour,
    { ...gray, cropPadding: 2, flip: true, batch: 9, height: 7, width: 5, first: 3 },
    { ...colour, first: 0, ring: 2, count: 26, steps: 4 },
    { ...gray, ring: 1, count: 5, steps: 3 },
    { ...gray, cutout: 4, batch: 9, height: 7, width: 11 },
    { ...gray, batch: 1, count: 1, steps: 1, height: 1, width: 1, flip: true, cropPadding: 1 },
    { ...colour, channels: 4, height: 5, width: 13, cropPadding: 20, cutout: 50, mean: [0, 0.1, 0.2, 0.3], std: [1, 1, 0.5, 2] },
    { ...colour, channels: 2, height: 3, width: 2, cropPadding: 0, cutout: 1, mean: [0, 0], std: [1, 1] },
  ],
  benchmarks: {
    '64x1x28x28': { ...gray, batch: 64, count: 64 },
    '64x3x32x32': { ...colour, batch: 64, first: 0, count: 64, height: 32, width: 32 },
  },
  errors: [
    { shape: { ...gray, channels: 5, mean: [0, 0, 0, 0, 0], std: [1, 1, 1, 1, 1] }, message: /channels is 5/ },
    { shape: { ...gray, mean: [0, 0] }, message: /mean has 2 values; the images have 1 channels/ },
    { shape: { ...gray, std: [0] }, message: /std is 0/ },
    { shape: { ...gray, cropPadding: -1 }, message: /cropPadding is -1/ },
    { shape: { ...gray, ring: 2 }, message: /a ring of 2 steps of 5 has images 0 .. 7; it needs 0 .. 10/ },
    { shape: { ...gray, cutout: 1.5 }, message: /cutout is 1.5/ },
    { shape: { ...gray, width: 0 }, message: /width is 0/ },
    { shape: { ...gray, count: 0 }, message: /count is 0/ },
  ],
};
