// 2-D convolution (cross-correlation, as PyTorch's Conv2d): plain, grouped and depthwise.
import { z } from 'zod';
import { channelsOf } from '../shape.js';
import { flag, integer, pair, sides } from './attributes.js';
import type { NodeType, ParameterDeclaration } from './node.js';
import { windowAttributes } from './pool.js';
import { fitWindow, mapInput, slide } from './window.js';

const attributes = z.strictObject({
  filters: integer(1),
  kernel: pair(),
  stride: pair().default([1, 1]),
  padding: sides().default([0, 0, 0, 0]),
  groups: integer(1).default(1),
  bias: flag().default(true),
});
export type Conv2dAttributes = z.infer<typeof attributes>;

const gcd = (a: number, b: number): number => (b === 0 ? a : gcd(b, a % b));

export const conv2d: NodeType<Conv2dAttributes> = {
  type: 'conv2d',
  attributes,
  attributeNames: Object.keys(attributes.shape),
  arity: 1,
  widthAttribute: 'filters',
  shrinkable: [
    { attribute: 'kernel', minimum: 1 },
    { attribute: 'stride', minimum: 1 },
    { attribute: 'padding', minimum: 0 },
    { attribute: 'filters', minimum: 10 },
  ],
  coupling({ filters, groups }, inputs) {
    if (groups === 1) return { kind: 'free' };
    return groups === mapInput(inputs).channels ? { kind: 'repeat', factor: filters / groups } : { kind: 'grouped', groups };
  },
  shape(a, inputs) {
    const input = mapInput(inputs);
    if (input.channels % a.groups !== 0 || a.filters % a.groups !== 0) {
      throw new Error(
        `groups ${a.groups}: got ${input.channels} input channels and ${a.filters} filters, needs both to be multiples of the groups`,
      );
    }
    return { kind: 'map', channels: a.filters, ...slide(a, input) };
  },
  parameters(a, inputs) {
    const inChannels = mapInput(inputs).channels / a.groups;
    const fanIn = inChannels * a.kernel[0] * a.kernel[1];
    const weight: ParameterDeclaration = {
      name: 'weight',
      shape: [a.filters, inChannels, ...a.kernel],
      role: 'trained',
      initial: 'kaiming',
      fanIn,
    };
    return a.bias ? [weight, { name: 'bias', shape: [a.filters], role: 'trained', initial: 'zeros' }] : [weight];
  },
  // filters * height * width outputs, each a dot product of in-channels / groups * kernel area.
  macs(a, inputs) {
    const input = mapInput(inputs);
    const { height, width } = slide(a, input);
    return a.filters * height * width * (input.channels / a.groups) * a.kernel[0] * a.kernel[1];
  },
  follow(a, before, after) {
    const channels = channelsOf(after);
    if (a.groups > 1 && a.groups === channelsOf(before)) {
      return { ...a, groups: channels, filters: (a.filters / a.groups) * channels };
    }
    return channels % a.groups === 0 ? a : { ...a, groups: gcd(a.groups, channels) };
  },
  fit: fitWindow,
  onnx: (a) => [
    {
      op: 'Conv',
      inputs: [{ input: 0 }, { parameter: 'weight' }, ...(a.bias ? [{ parameter: 'bias' }] : [])],
      attributes: { ...windowAttributes(a), group: { int: a.groups } },
    },
  ],
};
