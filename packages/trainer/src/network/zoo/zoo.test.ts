// The zoo against published parameter counts, to the last parameter.
import { describe, expect, test } from 'vitest';
import { analyse, channelGroups, channelsOf, macs, parameterCount, parseSpec, SpecError, specHash, zooNames, zooSpec } from '../index.js';

const cifar = { channels: 3, height: 32, width: 32, classes: 10 };
const mnist = { channels: 1, height: 28, width: 28, classes: 10 };

describe('trained parameters', () => {
  test.each([
    ['resnet18', 11_173_962],
    ['resnet34', 21_282_122],
    ['resnet50', 23_520_842],
    ['vgg11', 9_231_114],
    ['vgg13', 9_416_010],
    ['vgg16', 14_728_266],
    ['vgg19', 20_040_522],
    ['resnet20', 269_722],
    ['resnet56', 853_018],
    // torchvision's mobilenet_v2 and squeezenet1_1 have 3,504,872 and 1,235,496 at 1,000 classes; their classifiers, 1,281 and 513 a class.
    ['mobilenetv2', 3_504_872 - 990 * 1281],
    ['squeezenet', 1_235_496 - 990 * 513],
    // torchvision's DenseNet(12, (6, 6, 6), 24) with the paper's stem of 3x3 in place of 7x7 and BN.
    ['densenet', 176_122],
  ])('%s has %i at 3x32x32', (name, count) => {
    expect(parameterCount(zooSpec(name, cifar))).toBe(count);
  });

  test.each([
    ['lenet5', 61_706],
    // Convolutions, batch-norms (weight and bias), linear.
    ['mnist-cnn', 9 * (1 * 16 + 16 * 32 + 32 * 64) + 2 * (16 + 32 + 64) + 64 * 10 + 10],
    ['plain-5', 246_394],
    ['plain-6', 283_386],
    ['plain-8', 295_002],
  ])('%s has %i at 1x28x28', (name, count) => {
    expect(parameterCount(zooSpec(name, mnist))).toBe(count);
  });
});

test('plain-6 stays cheap on a CPU', () => {
  // 28x28, 14x14, 7x7 (twice), 3x3 (twice), and the linear layer.
  const expected = 9 * (16 * 784 + 16 * 32 * 196 + (32 * 64 + 64 * 64) * 49 + (64 * 128 + 128 * 128) * 9) + 1280;
  expect(macs(zooSpec('plain-6', mnist))).toBe(expected);
  expect(expected).toBeLessThanOrEqual(6_000_000);
});

test('resnet18 takes 555 million MACs at 3x32x32, the figure of published counters (0.56 G)', () => {
  expect(macs(zooSpec('resnet18', cifar))).toBe(555_422_720);
});

test.each(zooNames)('%s fits odd inputs and class counts, and its spec is canonical', (name) => {
  for (const input of [mnist, cifar, { channels: 3, height: 47, width: 33, classes: 257 }]) {
    const spec = zooSpec(name, input);
    expect(analyse(spec).nodes.at(-1)?.outputShape).toEqual({ kind: 'vector', features: input.classes });
    expect(parseSpec(JSON.parse(JSON.stringify(spec)))).toEqual(spec);
  }
});

test('a VGG leaves out the pools that its map is too small for', () => {
  const pools = (size: number): number =>
    zooSpec('vgg11', { ...mnist, height: size, width: size }).nodes.filter(({ type }) => type === 'max-pool').length;
  expect([32, 28, 8, 64].map(pools)).toEqual([5, 4, 3, 5]);
});

test('images that are too small for an architecture are named with the layer that has no room', () => {
  expect(() => zooSpec('densenet', { ...cifar, height: 3 })).toThrow(
    /^network "densenet" cannot be built for images of 3x3x32 and 10 classes: node "features\.transition2\.pool": average-pool kernel 2x2 does not fit/,
  );
  expect(() => zooSpec('squeezenet', { ...cifar, width: 1 })).toThrow(
    /images of 3x32x1 .* node "features\.2": max-pool kernel 3x3 does not fit/,
  );
});

test('an identity shortcut has every second pixel and zeros behind the channels', () => {
  const spec = zooSpec('resnet20', cifar);
  expect(spec.nodes.filter(({ type }) => type === 'pad-channels').map(({ id, attributes }) => [id, attributes['channels']])).toEqual([
    ['layer2.0.pad', 32],
    ['layer3.0.pad', 64],
  ]);
  const groups = channelGroups(spec).groups.filter((group) => group.extends !== undefined);
  expect(groups.map(({ id, extends: of, width, fixed }) => [id, of, width, fixed])).toEqual([
    ['layer2.0.conv2', 'conv1', 32, false],
    ['layer3.0.conv2', 'layer2.0.conv2', 64, false],
  ]);
});

describe('width multiplier', () => {
  test('scales every hidden width to a multiple of 4 and leaves the logits', () => {
    const { nodes } = analyse(zooSpec('resnet18@0.3', cifar));
    const widths = nodes.filter(({ node }) => node.type === 'conv2d').map(({ outputShape }) => channelsOf(outputShape));
    expect([...new Set(widths)]).toEqual([20, 40, 76, 152]);
    expect(nodes.at(-1)?.outputShape).toEqual({ kind: 'vector', features: 10 });
  });

  test('in the name and as an option are the same network', () => {
    const named = zooSpec('vgg11@0.25', cifar);
    expect(named).toEqual(zooSpec('vgg11', { ...cifar, widthMultiplier: 0.25 }));
    expect(named.name).toBe('vgg11@0.25');
    expect(specHash(zooSpec('lenet5@1', mnist))).toBe(specHash(zooSpec('lenet5', mnist)));
  });

  test.each(['resnet18@0', 'resnet18@-1', 'resnet18@x', 'resnet18@', 'resnet18@9', 'resnet18@0.5@0.5'])('refuses %s', (name) => {
    expect(() => zooSpec(name, cifar)).toThrow(/width multiplier .*needs a number above 0, at most 8/);
  });

  test('refuses two multipliers', () => {
    expect(() => zooSpec('vgg11@0.5', { ...cifar, widthMultiplier: 0.5 })).toThrow(SpecError);
  });
});

test('an unknown name is answered with the nearest', () => {
  expect(() => zooSpec('resnet-18', cifar)).toThrow('unknown network "resnet-18" (did you mean "resnet18"?)');
});
