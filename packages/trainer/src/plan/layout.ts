// Where a network's tensors live on the device, and the way between PyTorch's shapes (files, NetworkSpec) and the padded
// NHWC shapes that the kernels use.
import { padded } from '@n2n/kernels';
import type { NodeSpec, ParameterDeclaration, Shape } from '../network/index.js';

/**
 * Device layout of one sample of an activation: `positions` pixels of `channels` values, padded to a multiple of 4 each.
 * A vector has one position; a flattened map keeps its positions, so flattening moves nothing.
 */
export interface SampleLayout {
  readonly channels: number;
  readonly positions: number;
}

export const sampleWords = ({ channels, positions }: SampleLayout): number => positions * padded(channels);

export function mapLayout(shape: Shape): SampleLayout {
  return shape.kind === 'map'
    ? { channels: shape.channels, positions: shape.height * shape.width }
    : { channels: shape.features, positions: 1 };
}

/** A tensor's place in its arena and its conversion. `file` is in PyTorch's order, `device` as the kernels want it. */
export interface TensorLayout {
  readonly name: string;
  readonly declaration: ParameterDeclaration;
  readonly words: number;
  toDevice(file: Float32Array): Float32Array;
  toFile(device: Float32Array): Float32Array;
}

/** Pairs every element of the file's tensor with its device index. */
type Visit = (visit: (fileIndex: number, deviceIndex: number) => void) => void;

function layout(name: string, declaration: ParameterDeclaration, words: number, pairs: Visit): TensorLayout {
  const length = declaration.shape.reduce((product, size) => product * size, 1);
  return {
    name,
    declaration,
    words,
    toDevice(file) {
      const device = new Float32Array(words);
      pairs((from, to) => (device[to] = file[from]!));
      return device;
    },
    toFile(device) {
      const file = new Float32Array(length);
      pairs((to, from) => (file[to] = device[from]!));
      return file;
    },
  };
}

/** The layout of parameter `declaration` of `node`, whose input arrives as `input`. */
export function tensorLayout(node: NodeSpec, declaration: ParameterDeclaration, input: SampleLayout): TensorLayout {
  const name = `${node.id}.${declaration.name}`;
  const { shape } = declaration;
  if (shape.length === 4) return convolutionWeight(name, declaration, Number(node.attributes['groups'] ?? 1));
  if (shape.length === 2) return linearWeight(name, declaration, input);
  const [size] = shape as [number];
  return layout(name, declaration, padded(size), (visit) => {
    for (let i = 0; i < size; i++) visit(i, i);
  });
}

/** OIHW -> [O4, KH, KW, I4]; grouped: [O4, KH, KW, I] with the channels of one group unpadded. */
function convolutionWeight(name: string, declaration: ParameterDeclaration, groups: number): TensorLayout {
  const [filters, channels, height, width] = declaration.shape as [number, number, number, number];
  const stride = groups === 1 ? padded(channels) : channels;
  const taps = height * width;
  return layout(name, declaration, padded(padded(filters) * taps * stride), (visit) => {
    for (let f = 0; f < filters; f++) {
      for (let c = 0; c < channels; c++) {
        for (let tap = 0; tap < taps; tap++) visit((f * channels + c) * taps + tap, (f * taps + tap) * stride + c);
      }
    }
  });
}

/** [out, in] -> [out4, positions, channels4]: PyTorch flattens channel-major, the device keeps pixels together. */
function linearWeight(name: string, declaration: ParameterDeclaration, input: SampleLayout): TensorLayout {
  const [outputs, inputs] = declaration.shape as [number, number];
  const { channels, positions } = input;
  const row = sampleWords(input);
  return layout(name, declaration, padded(outputs) * row, (visit) => {
    for (let o = 0; o < outputs; o++) {
      for (let c = 0; c < channels; c++) {
        for (let p = 0; p < positions; p++) visit(o * inputs + c * positions + p, o * row + p * padded(channels) + c);
      }
    }
  });
}
