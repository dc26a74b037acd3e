// Operators with a window: convolution, pooling, and the padding that goes before them.
import type { Pair, Sides } from '../../../network/index.js';
import { NO_PAD, type Importer, type Table } from './importer.js';
import type { Operator } from './operator.js';
import type { Feature, Value } from './values.js';

type MapFeature = Feature & { readonly shape: Extract<Feature['shape'], { kind: 'map' }> };

function mapInput(operator: Operator, importer: Importer): MapFeature {
  const x = importer.feature(operator, 0, { pad: true });
  if (x.channelsLast) return operator.fail('reads a map with its channels last; ONNX convolves and pools channels-first maps');
  if (x.shape.kind !== 'map') return operator.fail(`reads a vector of ${x.shape.features}, needs a map`);
  return { ...x, shape: x.shape };
}

function pairOf(operator: Operator, name: string, fallback: Pair): Pair {
  const values = operator.ints(name) ?? fallback;
  const [height, width] = values;
  if (values.length !== 2 || height === undefined || width === undefined)
    return operator.fail(`${name} has ${values.length} values; n2n reads 2-D windows`);
  return [height, width];
}

interface Geometry {
  readonly kernel: Pair;
  readonly stride: Pair;
  readonly padding: Sides;
  /** Whether rounding up the output's size (ceil_mode) asked for more padding below and to the right. */
  readonly extended: boolean;
}

/** Window attributes with auto_pad, ceil_mode and a Pad before it worked into the padding. */
function geometry(operator: Operator, { shape, pad = NO_PAD }: MapFeature, kernel: Pair): Geometry {
  const stride = pairOf(operator, 'strides', [1, 1]);
  const dilation = pairOf(operator, 'dilations', [1, 1]);
  if (dilation.some((step, axis) => step !== 1 && kernel[axis] !== 1))
    operator.fail(`dilations are [${dilation.join(', ')}]; n2n knows windows without gaps`);
  if ([...kernel, ...stride].some((size) => !Number.isSafeInteger(size) || size < 1))
    operator.fail('kernel and strides must be at least 1');
  const sizes: Pair = [shape.height + pad[0] + pad[2], shape.width + pad[1] + pad[3]];
  const own = ownPadding(operator, sizes, kernel, stride);
  const extra =
    operator.int('ceil_mode', 0) === 0
      ? [0, 0]
      : sizes.map((size, axis) => ceilExtra(size, kernel[axis]!, stride[axis]!, own[axis]!, own[axis + 2]!));
  const padding = own.map((size, side) => size + pad[side]! + (side < 2 ? 0 : extra[side - 2]!));
  return { kernel, stride, padding: padding as unknown as Sides, extended: extra.some((size) => size > 0) };
}

function ownPadding(operator: Operator, sizes: Pair, kernel: Pair, stride: Pair): Sides {
  const mode = operator.text('auto_pad', 'NOTSET');
  if (mode === 'NOTSET') {
    const pads = operator.ints('pads') ?? NO_PAD;
    if (pads.length !== 4 || pads.some((size) => !Number.isSafeInteger(size) || size < 0)) {
      return operator.fail(`pads are [${pads.join(', ')}], needs four sizes of 0 or more`);
    }
    return pads as unknown as Sides;
  }
  if (mode === 'VALID') return NO_PAD;
  if (mode !== 'SAME_UPPER' && mode !== 'SAME_LOWER')
    return operator.fail(`auto_pad is ${JSON.stringify(mode.slice(0, 40))}, needs NOTSET, VALID, SAME_UPPER or SAME_LOWER`);
  const halves = sizes.map((size, axis) => {
    const total = Math.max(0, (Math.ceil(size / stride[axis]!) - 1) * stride[axis]! + kernel[axis]! - size);
    const [small, large] = [Math.floor(total / 2), Math.ceil(total / 2)];
    return mode === 'SAME_UPPER' ? [small, large] : [large, small];
  });
  return [halves[0]![0]!, halves[1]![0]!, halves[0]![1]!, halves[1]![1]!];
}

/** Padding at the end with which rounding down gives the size that rounding up gives; a window never begins in that padding. */
function ceilExtra(size: number, kernel: number, stride: number, before: number, after: number): number {
  const steps = Math.ceil((size + before + after - kernel) / stride);
  const begins = steps * stride < size + before ? steps : steps - 1;
  return Math.max(0, begins * stride + kernel - (size + before + after));
}

/** Types whose outputs are 0 or more: there zeros around a map never change a maximum. */
const NON_NEGATIVE = new Set(['relu', 'relu6', 'sigmoid', 'hard-sigmoid']);

function convolution(operator: Operator, importer: Importer): Value {
  const weight = importer.floats(operator, 1);
  const [filters = 0, , height = 0, width = 0] = weight.dims;
  if (weight.dims.length !== 4) return operator.fail(`has weights of [${weight.dims.join(', ')}]; n2n reads 2-D convolutions`);
  const kernel = pairOf(operator, 'kernel_shape', [height, width]);
  if (kernel[0] !== height || kernel[1] !== width)
    operator.fail(`kernel_shape is [${kernel.join(', ')}], but its weights are [${weight.dims.join(', ')}]`);
  const bias = importer.hasInput(operator, 2) ? [importer.floats(operator, 2).data] : [];
  const groups = operator.int('group', 1);
  const input = importer.feature(operator, 0, { pad: true });
  if (input.shape.kind === 'vector') return pointwise(operator, importer, input, weight, bias);
  const x = mapInput(operator, importer);
  const { stride, padding } = geometry(operator, x, kernel);
  const attributes = { filters, kernel, stride, padding, groups, bias: bias.length > 0 };
  checkInputs(operator, weight.dims, x.shape.channels, groups);
  return importer.add(operator, 'conv2d', attributes, [x], [weight.data, ...bias]);
}

function checkInputs(operator: Operator, dims: readonly number[], channels: number, groups: number): void {
  if (dims[1]! * groups !== channels) {
    operator.fail(`has weights of [${dims.join(', ')}] in ${groups} groups for an input of ${channels} channels; they must agree`);
  }
}

/** A 1x1 convolution on a map of 1x1 that the spec has as a vector: a linear layer. */
function pointwise(
  operator: Operator,
  importer: Importer,
  input: Feature,
  weight: { readonly data: Float32Array; readonly dims: readonly number[] },
  bias: readonly Float32Array[],
): Value {
  const [filters = 0, , height, width] = weight.dims;
  const simple = height === 1 && width === 1 && operator.int('group', 1) === 1 && (operator.ints('pads') ?? []).every((size) => size === 0);
  const features = input.shape.kind === 'vector' ? input.shape.features : 0;
  if (!simple || input.dims.length !== 3 || input.dims[0] !== features || input.pad !== undefined) {
    return operator.fail('convolves what was averaged over the whole map; n2n reads 1x1 convolutions there');
  }
  checkInputs(operator, weight.dims, features, 1);
  const y = importer.add(operator, 'linear', { features: filters, bias: bias.length > 0 }, [input], [weight.data, ...bias]);
  return { ...y, dims: [filters, 1, 1] };
}

function maxPool(operator: Operator, importer: Importer): Value {
  const x = mapInput(operator, importer);
  if (operator.int('storage_order', 0) !== 0) operator.fail('storage_order is not 0');
  if (x.pad !== undefined && !NON_NEGATIVE.has(importer.nodeOf(x.id)?.type ?? '')) {
    operator.fail('takes the maximum over a Pad of zeros; n2n reads that after a ReLU only');
  }
  const { kernel, stride, padding } = geometry(operator, x, pairOf(operator, 'kernel_shape', [0, 0]));
  return importer.add(operator, 'max-pool', { kernel, stride, padding }, [x]);
}

function averagePool(operator: Operator, importer: Importer): Value {
  const x = mapInput(operator, importer);
  const kernel = pairOf(operator, 'kernel_shape', [0, 0]);
  const window = geometry(operator, x, kernel);
  const { stride, padding, extended } = window;
  // With a stride, a window of one pixel on a map of one is a subsampling whose map happens to be small.
  const subsampling = stride.some((step) => step > 1) && kernel.every((size) => size === 1);
  const whole = !subsampling && kernel[0] === x.shape.height && kernel[1] === x.shape.width && padding.every((size) => size === 0);
  if (whole) return wholeMap(operator, importer, x, true);
  const counts = operator.int('count_include_pad', 0) !== 0;
  const own = (operator.ints('pads') ?? NO_PAD).some((size) => size > 0) || operator.text('auto_pad', 'NOTSET') !== 'NOTSET';
  // Zeros of a Pad count as pixels, the operator's own padding only if it says so, and what ceil_mode adds never does.
  if (x.pad !== undefined && ((own && !counts) || extended))
    operator.fail('mixes padding that counts in its mean with padding that does not');
  if (extended && own && counts)
    operator.fail('rounds its size up (ceil_mode) with padding that counts in its mean; n2n knows one kind of padding');
  const countIncludePad = x.pad !== undefined || (counts && !extended);
  return importer.add(operator, 'average-pool', { kernel, stride, padding, countIncludePad }, [x]);
}

/** The mean over the whole map; `keeps` the two dimensions of size 1 that ONNX leaves. */
function wholeMap(operator: Operator, importer: Importer, x: Feature, keeps: boolean): Value {
  if (x.pad !== undefined) operator.fail('averages a map with a Pad around it');
  const y = importer.add(operator, 'global-average-pool', {}, [x]);
  const channels = y.dims[0] ?? 0;
  if (!keeps) return y;
  return { ...y, dims: x.channelsLast ? [1, 1, channels] : [channels, 1, 1] };
}

function globalAveragePool(operator: Operator, importer: Importer): Value {
  const x = importer.feature(operator, 0);
  // Averaged before: a mean of one element.
  if (x.shape.kind === 'vector' && x.dims.length === 3 && x.dims[1] === 1 && x.dims[2] === 1) return x;
  return wholeMap(operator, importer, mapInput(operator, importer), true);
}

function reduceMean(operator: Operator, importer: Importer): Value {
  const x = importer.feature(operator, 0);
  if (x.shape.kind !== 'map') return operator.fail('averages a vector; n2n reads means over a whole map');
  const rank = x.dims.length + 1;
  const axes = operator.ints('axes') ?? (importer.hasInput(operator, 1) ? importer.integers(operator, 1) : []);
  const wanted = x.channelsLast ? [1, 2] : [2, 3];
  const got = axes.map((axis) => (axis < 0 ? axis + rank : axis)).toSorted((a, b) => a - b);
  if (got.join() !== wanted.join()) operator.fail(`averages over the axes [${axes.join(', ')}]; n2n reads means over height and width`);
  return wholeMap(operator, importer, x, operator.int('keepdims', 1) !== 0);
}

interface Range {
  readonly axis: number;
  readonly start: number;
  readonly end: number;
  readonly step: number;
}

/** What exporters give as the end of an axis of unknown size, at least. */
const OPEN_END = 2 ** 31 - 1;

/** Slices of a map that keep all of it, or every k-th row and column: an average over windows of one pixel. */
export function everyPixel(operator: Operator, importer: Importer, ranges: readonly Range[]): Value {
  const x = mapInput(operator, importer);
  const rank = x.dims.length + 1;
  const steps = [1, 1];
  for (const { axis, start, end, step } of ranges) {
    const at = axis < 0 ? axis + rank : axis;
    const size = (at === 0 ? importer.context.batch : x.dims[at - 1]) ?? OPEN_END;
    const side = at - 2;
    if (start !== 0 || end < size || step < 1 || (step !== 1 && steps[side] !== 1) || x.pad !== undefined) {
      return operator.fail(
        `takes ${start} to ${end} in steps of ${step} along axis ${axis}; n2n reads every k-th row and column from the first on`,
      );
    }
    if (step !== 1) steps[side] = step;
  }
  if (steps.every((step) => step === 1)) return x;
  // PyTorch slices one axis after the other.
  const before = subsamplingOf(x);
  const stride: Pair = [steps[0]! * before.stride[0], steps[1]! * before.stride[1]];
  const y = importer.add(operator, 'average-pool', { kernel: [1, 1], stride }, [before.source]);
  return { ...y, subsampled: { id: y.id, source: before.source, stride } };
}

/** The map whose pixels `x` takes, and which of them. */
function subsamplingOf(x: Feature): { readonly source: Feature; readonly stride: Pair } {
  const { subsampled } = x;
  return subsampled?.id === x.id ? subsampled : { source: x, stride: [1, 1] };
}

/** Zeros before the channels, too: a 1x1 convolution that copies channel i to channel `front` + i. */
function paddedInFront(operator: Operator, importer: Importer, x: MapFeature, front: number, behind: number): Value {
  const { channels } = x.shape;
  const filters = front + channels + behind;
  if (!(filters * channels <= importer.context.weightBudget))
    operator.fail(`pads ${channels} channels to ${filters}, more than the file's weights have room for`);
  const weight = new Float32Array(filters * channels);
  for (let c = 0; c < channels; c++) weight[(front + c) * channels + c] = 1;
  const { source, stride } = subsamplingOf(x);
  const attributes = { filters, kernel: [1, 1], stride, bias: false };
  const y = importer.add(operator, 'conv2d', attributes, [source], [weight]);
  importer.notes.push(
    `the Pad ${JSON.stringify(operator.node.name.slice(0, 100))} puts zeros in front of the channels: it becomes a 1x1 convolution of ${weight.length} parameters`,
  );
  return y;
}

function pad(operator: Operator, importer: Importer): Value {
  const x = importer.feature(operator, 0, { pad: true });
  if (operator.text('mode', 'constant') !== 'constant') operator.fail('pads with other values than a constant; n2n reads zeros');
  const fill = operator.has('value')
    ? operator.float('value', 0)
    : importer.hasInput(operator, 2)
      ? (importer.floats(operator, 2).data[0] ?? 0)
      : 0;
  if (fill !== 0) operator.fail(`pads with ${fill}; n2n reads zeros`);
  if (importer.hasInput(operator, 3)) operator.fail('names its axes; n2n reads pads of all axes');
  const pads = operator.ints('pads') ?? importer.integers(operator, 1);
  const onlyChannels = pads.every((size, i) => i === 5 || size === 0);
  if (pads.length !== 2 * (x.dims.length + 1) || pads.some((size) => !Number.isSafeInteger(size) || (size < 0 && !onlyChannels))) {
    return operator.fail(`pads are [${pads.join(', ')}], needs a size of 0 or more for both ends of each axis`);
  }
  if (pads.every((size) => size === 0)) return x;
  const [batch, channels, top = 0, left = 0, batchEnd, channelsEnd = 0, bottom = 0, right = 0] = pads;
  if (x.shape.kind === 'map' && !x.channelsLast && onlyChannels && x.pad === undefined) {
    return importer.add(operator, 'pad-channels', { channels: x.shape.channels + channelsEnd }, [x]);
  }
  const around = [batch, top, left, batchEnd, bottom, right].some((size) => size !== 0);
  if (x.shape.kind === 'map' && !x.channelsLast && !around && x.pad === undefined) {
    return paddedInFront(operator, importer, { ...x, shape: x.shape }, channels!, channelsEnd);
  }
  if (x.shape.kind !== 'map' || x.channelsLast || [batch, channels, batchEnd, channelsEnd].some((size) => size !== 0)) {
    return operator.fail('pads another axis than height and width; n2n reads zeros beside the channels, too, where nothing else is padded');
  }
  const before = x.pad ?? NO_PAD;
  return { ...x, pad: [before[0] + top, before[1] + left, before[2] + bottom, before[3] + right] };
}

const window = ['kernel_shape', 'strides', 'pads', 'auto_pad', 'dilations'];

export const windowTable: Table = {
  Conv: { attributes: [...window, 'group'], read: convolution },
  MaxPool: { attributes: [...window, 'ceil_mode', 'storage_order'], read: maxPool },
  AveragePool: { attributes: [...window, 'ceil_mode', 'count_include_pad'], read: averagePool },
  GlobalAveragePool: { attributes: [], read: globalAveragePool },
  ReduceMean: { attributes: ['axes', 'keepdims', 'noop_with_empty_axes'], read: reduceMean },
  Pad: { attributes: ['mode', 'pads', 'value'], read: pad },
};
