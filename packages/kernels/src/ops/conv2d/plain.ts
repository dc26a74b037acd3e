// The dispatches of conv2d's `plain` variants: vec4 register tiles without subgroups, and a direct scalar form for groups.
import { padded, spread, type DeviceTraits, type Dispatch, type Variant } from '../op.js';
import { epilogueUniforms, outputsOf, plainEpilogue, type ForwardVariant } from './epilogue.js';
import { inputWords, outputPixels, outputSize, outputWords, weightWords, type Conv2dShape } from './shape.js';

const INVOCATIONS_PER_WORKGROUP = 64;
/** Pixels that one invocation of the forward pass and the input gradient owns. */
const PIXELS_PER_INVOCATION = 4;
/** Split sums are cut until there are about this many invocations, enough to fill a large GPU. */
const WANTED_INVOCATIONS = 16_384;
/** At most this many partial sums of one number: each is written and read again. */
const MOST_SPLITS = 256;

export const workgroupsOf = (invocations: number, device: DeviceTraits): readonly [number, number, number] =>
  spread(Math.ceil(invocations / INVOCATIONS_PER_WORKGROUP), device.maxWorkgroups);

/** The common head of the uniforms: image, depths, output, window, steps, top and left padding. */
export const sizesOf = (shape: Conv2dShape, depths: readonly number[]): number[] => [
  shape.height,
  shape.width,
  ...depths,
  ...outputSize(shape),
  ...shape.kernel,
  ...shape.stride,
  shape.padding[0],
  shape.padding[1],
];

/** Channels and filters in vec4f. */
export const vectorsOf = ({ channels, filters }: Conv2dShape): readonly [number, number] => [padded(channels) / 4, padded(filters) / 4];

/** Of grouped convolutions the sums alone. */
export const plainForward: ForwardVariant = {
  name: 'plain',
  usable: () => true,
  dispatches(shape, device, epilogue = plainEpilogue(shape)) {
    const { channels, filters, groups } = shape;
    const bind = ['x', 'weight', epilogue.terms, 'y'];
    if (groups === 1) {
      const vectors = vectorsOf(shape);
      const outputs = outputsOf(shape, epilogue);
      return [
        {
          wgsl: new URL('./forward.plain.wgsl', import.meta.url),
          bind,
          uniforms: [...sizesOf(shape, vectors), outputs, ...epilogueUniforms(epilogue)],
          workgroups: workgroupsOf(Math.ceil((outputs * epilogue.side ** 2) / PIXELS_PER_INVOCATION) * vectors[1], device),
        },
      ];
    }
    return [
      {
        wgsl: new URL('./forward.grouped.wgsl', import.meta.url),
        bind,
        uniforms: [...sizesOf(shape, [channels, filters]), outputPixels(shape), groups, Number(shape.bias)],
        workgroups: workgroupsOf(outputWords(shape) / 4, device),
      },
    ];
  },
};

export const plainInputGradient: Variant<Conv2dShape> = {
  name: 'plain',
  usable: () => true,
  dispatches(shape, device) {
    const { batch, height, width, channels, filters, groups } = shape;
    const pixels = batch * height * width;
    const bind = ['dy', 'weight', 'dx'];
    if (groups === 1) {
      const vectors = vectorsOf(shape);
      return [
        {
          wgsl: new URL('./input-gradient.plain.wgsl', import.meta.url),
          bind,
          uniforms: [...sizesOf(shape, vectors), pixels],
          workgroups: workgroupsOf(Math.ceil(pixels / PIXELS_PER_INVOCATION) * vectors[0], device),
        },
      ];
    }
    return [
      {
        wgsl: new URL('./input-gradient.grouped.wgsl', import.meta.url),
        bind,
        uniforms: [...sizesOf(shape, [channels, filters]), pixels, groups],
        workgroups: workgroupsOf(inputWords(shape) / 4, device),
      },
    ];
  },
};

/** Units of work a split, and splits. */
export interface WorkSplit {
  readonly each: number;
  readonly splits: number;
}

/** How `units` of work are cut so that `invocations` a cut reach the wanted number. */
export function splitWork(units: number, invocations: number): WorkSplit {
  const wanted = Math.min(MOST_SPLITS, units, Math.max(1, Math.round(WANTED_INVOCATIONS / invocations)));
  const each = Math.ceil(units / wanted);
  return { each, splits: Math.ceil(units / each) };
}

/** The dispatch that adds `splits` partial tensors of `words` in the scratch buffer into `total`; none for one split. */
export function sumPartials(total: string, words: number, splits: number, device: DeviceTraits): Dispatch[] {
  if (splits === 1) return [];
  return [
    {
      wgsl: new URL('./sum-partials.wgsl', import.meta.url),
      bind: ['scratch', total],
      uniforms: [words / 4, splits],
      workgroups: workgroupsOf(words / 4, device),
    },
  ];
}

const weightSplit = (shape: Conv2dShape): WorkSplit =>
  splitWork(shape.batch * outputSize(shape)[0], shape.groups === 1 ? weightWords(shape) / 16 : weightWords(shape));

export const plainWeightGradient: Variant<Conv2dShape> = {
  name: 'plain',
  usable: () => true,
  scratchWords: (shape) => {
    const { splits } = weightSplit(shape);
    return splits === 1 ? 0 : splits * weightWords(shape);
  },
  dispatches(shape, device) {
    const { channels, filters, groups } = shape;
    const grouped = groups > 1;
    const { each, splits } = weightSplit(shape);
    const depths = grouped ? [channels, filters] : vectorsOf(shape);
    const rows = shape.batch * outputSize(shape)[0];
    return [
      {
        wgsl: grouped
          ? new URL('./weight-gradient.grouped.wgsl', import.meta.url)
          : new URL('./weight-gradient.plain.wgsl', import.meta.url),
        bind: ['x', 'dy', splits === 1 ? 'dweight' : 'scratch'],
        uniforms: [...sizesOf(shape, depths), rows, each, splits, ...(grouped ? [groups] : [])],
        workgroups: workgroupsOf((splits * weightWords(shape)) / (grouped ? 1 : 16), device),
      },
      ...sumPartials('dweight', weightWords(shape), splits, device),
    ];
  },
};

const biasSplit = (shape: Conv2dShape): WorkSplit => splitWork(outputPixels(shape), padded(shape.filters) / 4);

export const plainBiasGradient: Variant<Conv2dShape> = {
  name: 'plain',
  usable: () => true,
  scratchWords: (shape) => {
    const { splits } = biasSplit(shape);
    return splits === 1 ? 0 : splits * padded(shape.filters);
  },
  dispatches(shape, device) {
    const { each, splits } = biasSplit(shape);
    const filters4 = padded(shape.filters) / 4;
    return [
      {
        wgsl: new URL('./bias-gradient.plain.wgsl', import.meta.url),
        bind: ['dy', splits === 1 ? 'dbias' : 'scratch'],
        uniforms: [outputPixels(shape), filters4, each],
        workgroups: workgroupsOf(splits * filters4, device),
      },
      ...sumPartials('dbias', filters4 * 4, splits, device),
    ];
  },
};
