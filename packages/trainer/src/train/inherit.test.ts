// Inherited weights: a student that lacks only channels that do nothing computes what its teacher computes.
import { afterAll, describe, expect, it } from 'vitest';
import { openDevice } from '@n2n/kernels';
import { analyse, channelGroups, parseSpec, removeNodes, withWidths, zooSpec, type NetworkSpec } from '../network/index.js';
import { EvaluationPlan, Parameters } from '../plan/index.js';
import { keyedRandom } from '../random.js';
import { patterns } from '../testing/patterns.js';
import { evaluationFeed, plainOrder } from './evaluate.js';
import { DeviceImages } from './images.js';
import { Inheritance } from './inherit.js';
import { initialWeights } from './initial.js';

const gpu = await openDevice();
afterAll(() => gpu.close());

const geometry = { channels: 3, height: 16, width: 16 };
const images = await DeviceImages.create(gpu, patterns(8, 4, 3, 16), geometry);
const zoo = (name: string): NetworkSpec => zooSpec(name, { ...geometry, classes: 4 });

/** Depthwise and grouped convolutions, and a map that is flattened. */
const blocks = parseSpec({
  name: 'blocks',
  input: geometry,
  classes: 4,
  nodes: [
    { id: 'stem', type: 'conv2d', inputs: ['input'], attributes: { filters: 8, kernel: 3, padding: 1 } },
    { id: 'depthwise', type: 'conv2d', inputs: ['stem'], attributes: { filters: 16, kernel: 3, padding: 1, groups: 8 } },
    { id: 'norm', type: 'batch-norm', inputs: ['depthwise'] },
    { id: 'relu', type: 'relu', inputs: ['norm'] },
    { id: 'point', type: 'conv2d', inputs: ['relu'], attributes: { filters: 12, kernel: 1 } },
    { id: 'grouped', type: 'conv2d', inputs: ['point'], attributes: { filters: 12, kernel: 3, stride: 4, groups: 3 } },
    { id: 'flat', type: 'flatten', inputs: ['grouped'] },
    { id: 'hidden', type: 'linear', inputs: ['flat'], attributes: { features: 20 } },
    { id: 'head', type: 'linear', inputs: ['hidden'], attributes: { features: 4 } },
  ],
});

/** Random weights and statistics, in which nothing is zero, one or equal by chance. */
function trainedWeights(spec: NetworkSpec): Map<string, Float32Array> {
  const weights = initialWeights(spec, 5);
  for (const [name, values] of weights) {
    const stream = keyedRandom(5, name);
    if (values.every((value) => value === values[0]))
      weights.set(
        name,
        values.map(() => 0.5 + stream.uniform()),
      );
  }
  return weights;
}

const even = (channel: number): boolean => channel % 2 === 0;

/** Channels of these groups do nothing: their filters, biases, batch-norm shifts and running means are zero. */
function withDeadChannels(
  spec: NetworkSpec,
  weights: ReadonlyMap<string, Float32Array>,
  dead: ReadonlyMap<string, (channel: number) => boolean>,
): Map<string, Float32Array> {
  const { layout } = channelGroups(spec);
  const result = new Map(weights);
  for (const { node, parameters } of analyse(spec).nodes) {
    const [segment] = layout.get(node.id)!;
    const isDead = dead.get(segment!.group);
    if (isDead === undefined || layout.get(node.id)!.length > 1) continue;
    for (const { name, shape } of parameters) {
      if (name === 'running_var' || (node.type === 'batch-norm' && name === 'weight')) continue;
      const row = shape.slice(1).reduce((product, size) => product * size, 1);
      const channel = (i: number): number => Math.floor(i / row / segment!.factor);
      const key = `${node.id}.${name}`;
      result.set(
        key,
        weights.get(key)!.map((value, i) => (isDead(channel(i)) ? 0 : value)),
      );
    }
  }
  return result;
}

async function logitsOf(spec: NetworkSpec, weights: ReadonlyMap<string, Float32Array>): Promise<Float32Array> {
  const parameters = await Parameters.create(gpu, spec, weights);
  const feed = await evaluationFeed(gpu, images, { mean: [0.4, 0.5, 0.6], std: [0.2, 0.3, 0.4] }, 8, 8);
  const plan = await EvaluationPlan.create(gpu, parameters, feed);
  feed.setOrder(plainOrder(Uint32Array.from({ length: 8 }, (_, i) => i)));
  feed.fill.replay();
  plan.recording.replay();
  const logits = await gpu.read(plan.logits);
  await plan.destroy();
  await feed.destroy();
  await parameters.destroy();
  return logits;
}

const distance = (a: Float32Array, b: Float32Array): number => Math.max(...a.map((value, i) => Math.abs(value - b[i]!)));
const size = (values: Float32Array): number => Math.max(...values.map(Math.abs));

const zooNetworks = ['lenet5', 'plain-5@0.25', 'resnet18@0.125', 'resnet50@0.0625', 'resnet20@0.5', 'mobilenetv2@0.25', 'squeezenet@0.125'];

/** How far the student with these widths and inherited weights is from its teacher, over the teacher's largest logit. */
async function differenceOf(
  teacher: NetworkSpec,
  widths: ReadonlyMap<string, number>,
  dead: (group: string) => (channel: number) => boolean,
): Promise<number> {
  const weights = withDeadChannels(teacher, trainedWeights(teacher), new Map([...widths.keys()].map((id) => [id, dead(id)])));
  const student = withWidths(teacher, widths);
  const inherited = new Inheritance({ spec: teacher, weights }).weightsFor(student, initialWeights(student, 6));
  const wanted = await logitsOf(teacher, weights);
  const got = await logitsOf(student, inherited);
  expect(size(wanted)).toBeGreaterThan(0.01);
  return distance(got, wanted) / size(wanted);
}

describe('Inheritance', () => {
  it.each([...zooNetworks.map(zoo), blocks])('keeps the function when channels that do nothing go: $name', async (teacher) => {
    const groups = channelGroups(teacher).groups.filter(({ fixed, multipleOf }) => !fixed && multipleOf === 1);
    const halves = new Map(groups.map(({ id, width }) => [id, Math.floor(width / 2)]));
    expect(await differenceOf(teacher, halves, () => even)).toBeLessThan(1e-4);
  });

  it('keeps each channel in its place behind a padding of channels', async () => {
    const teacher = zoo('resnet20@0.5');
    const groupOf = (id: string): string => channelGroups(teacher).groups.find(({ members }) => members.includes(id))!.id;
    // The second stage has live channels before those that the first one keeps.
    const live = new Map([
      [groupOf('layer1.0.add'), [4, 5, 6, 7]],
      [groupOf('layer2.0.add'), [0, 1, 4, 5, 6, 7, 12, 15]],
      [groupOf('layer3.0.add'), [0, 1, 2, 4, 5, 6, 7, 12, 15, 30]],
    ]);
    const widths = new Map([...live].map(([id, channels]) => [id, channels.length]));
    expect(await differenceOf(teacher, widths, (id) => (channel) => !live.get(id)!.includes(channel))).toBeLessThan(1e-4);
  });

  it('gives a student of the same widths all of the weights', () => {
    const teacher = zoo('resnet18@0.125');
    const weights = trainedWeights(teacher);
    expect(new Inheritance({ spec: teacher, weights }).weightsFor(teacher, initialWeights(teacher, 6))).toEqual(weights);
  });

  it('starts anew what computes other features than before, or from others, and nothing else', () => {
    const teacher = zoo('plain-5@0.25');
    const student = removeNodes(teacher, ['conv2']);
    const weights = trainedWeights(teacher);
    const initial = initialWeights(student, 6);
    const inherited = new Inheritance({ spec: teacher, weights }).weightsFor(student, initial);
    const fresh = [...inherited].filter(([name, values]) => values === initial.get(name)).map(([name]) => name);
    // bn2 normalises conv1's features now, conv3 reads them, bn3 normalises what a new conv3 makes of them.
    expect(new Set(fresh.map((name) => name.slice(0, name.lastIndexOf('.'))))).toEqual(new Set(['bn2', 'conv3', 'bn3']));
    for (const [name, values] of inherited) if (!fresh.includes(name)) expect(values).toEqual(weights.get(name));
  });
});
