// Students drawn at random through both stages, of every kind of network in the zoo: each is a network that trains.
import { afterAll, expect, it } from 'vitest';
import { sampleStudents } from '@n2n/agent';
import { openDevice } from '@n2n/kernels';
import { CandidateTrainer, defaultSgd, DeviceImages, Inheritance, initialWeights, keyedRandom } from '@n2n/trainer';
import { parameterCount, parseSpec, zooSpec, type NetworkSpec } from '@n2n/trainer/network';

const gpu = await openDevice();
afterAll(() => gpu.close());

const BATCH = 8;
const geometry = { channels: 3, height: 12, width: 12 };
const stream = keyedRandom(3, 'images');
const split = {
  count: 2 * BATCH,
  images: Uint8Array.from({ length: 2 * BATCH * 3 * 12 * 12 }, () => stream.int(256)),
  labels: Uint8Array.from({ length: 2 * BATCH }, (_, i) => i % 4),
};
const images = await DeviceImages.create(gpu, split, geometry);
const order = Array.from({ length: 2 * BATCH }, (_, i) => i);
const indices = { train: Uint32Array.from(order.slice(0, BATCH)), validation: Uint32Array.from(order.slice(BATCH)) };

/** Grouped convolution, squeeze-and-excite and a shortcut around both. */
const gated = parseSpec({
  name: 'gated',
  input: geometry,
  classes: 4,
  nodes: [
    { id: 'stem', type: 'conv2d', inputs: ['input'], attributes: { filters: 16, kernel: 3, padding: 1 } },
    { id: 'grouped', type: 'conv2d', attributes: { filters: 32, kernel: 3, padding: 1, groups: 4 } },
    { id: 'norm', type: 'batch-norm' },
    { id: 'act', type: 'hard-swish' },
    { id: 'squeeze', type: 'global-average-pool' },
    { id: 'down', type: 'linear', attributes: { features: 12 } },
    { id: 'relu', type: 'relu' },
    { id: 'up', type: 'linear', attributes: { features: 32 } },
    { id: 'gate', type: 'hard-sigmoid' },
    { id: 'scaled', type: 'multiply', inputs: ['act', 'gate'] },
    { id: 'project', type: 'conv2d', attributes: { filters: 16, kernel: 1 } },
    { id: 'sum', type: 'add', inputs: ['project', 'stem'] },
    { id: 'pool', type: 'global-average-pool' },
    { id: 'head', type: 'linear', attributes: { features: 4 } },
  ],
});

const zoo = [
  'lenet5',
  'plain-8@0.5',
  'vgg13@0.25',
  'resnet18@0.25',
  'resnet50@0.25',
  'resnet20',
  'mobilenetv2@0.5',
  'densenet',
  'squeezenet@0.5',
].map((name): NetworkSpec => zooSpec(name, { ...geometry, classes: 4 }));

it.each([...zoo, gated])('students of $name train', { timeout: 300_000 }, async (teacher) => {
  const options = { stages: ['removal', 'shrinkage'], prior: 1, seed: 5, count: 2, shrinkageActions: 'layer' } as const;
  const students = [1, 8].flatMap((roundTo) => sampleStudents(teacher, { ...options, roundTo }));
  const inheritance = new Inheritance({ spec: teacher, weights: initialWeights(teacher, 1) });
  const trainer = await CandidateTrainer.create(gpu, images, indices, {
    objective: { hard: { weight: 1, smoothing: 0 } },
    optimiser: { ...defaultSgd, learningRate: 1e-3 },
    schedule: { kind: 'constant' },
    epochs: 1,
    batch: BATCH,
    views: 0,
    seed: 1,
    cohort: 2,
    preprocessing: { mean: [0.5, 0.5, 0.5], std: [0.3, 0.3, 0.3] },
  });
  const outcomes = await trainer.judge(students);
  await trainer.destroy();
  for (const [i, { spec }] of students.entries()) {
    expect(parseSpec(JSON.parse(JSON.stringify(spec)))).toEqual(spec);
    expect(parameterCount(spec)).toBeLessThan(parameterCount(teacher));
    expect(outcomes[i]?.failure).toBeUndefined();
    expect(outcomes[i]?.loss).toBeGreaterThan(0);
    const initial = initialWeights(spec, 2);
    const inherited = inheritance.weightsFor(spec, initial);
    expect([...inherited].map(([name, { length }]) => [name, length])).toEqual([...initial].map(([name, { length }]) => [name, length]));
  }
});
