import { analyse, elementsOf, macs, modelBytes, parseSpec, zooSpec } from '@n2n/trainer/network';
import { describe, expect, test } from 'vitest';
import { describeMiss, latenciesNeeded, limitsFor, parseConstraint, verdicts, violation, withMargin, type Limit } from './constraints.js';
import { energyMicrojoules } from './energy.js';
import { architectureMeasures, type Measures } from './measures.js';

const student: Measures = { params: 100, macs: 5000, bytes: 400, activationBytes: 300, energyMicrojoules: 2, accuracy: 0.81 };
const teacher: Measures = {
  params: 1000,
  macs: 80_000,
  bytes: 4000,
  activationBytes: 2400,
  energyMicrojoules: 30,
  accuracy: 0.9,
  latencyMs: 6,
  batchLatencyMs: 100,
};
const limits = (...texts: string[]): Limit[] => limitsFor(texts.map(parseConstraint), teacher);

test('violation adds up relative shortfalls and is 0 exactly when all constraints are met', () => {
  const both = limits('params<=80', 'accuracy>=0.9', 'macs<=1e6', 'bytes<=400');
  expect(violation(both, student)).toBeCloseTo(20 / 80 + 0.09 / 0.9, 12);
  expect(violation(both, { ...student, params: 80, accuracy: 0.9 })).toBe(0);
  expect(violation(both, { params: 40, macs: 1, bytes: 1 })).toBe(0);
});

describe('constraints as text', () => {
  test.each([
    ['params<=50000', 'params', 50000],
    [' macs <= 1e6 ', 'macs', 1e6],
    ['accuracy>=0.97', 'accuracy', 0.97],
    ['bytes<=2.5E+5', 'bytes', 250000],
    ['activation-bytes<=4096', 'activation-bytes', 4096],
    ['energy<=2.5', 'energy', 2.5],
    ['latency<=0.8', 'latency', 0.8],
    ['Latency-Batch <= 30', 'latency-batch', 30],
  ])('%s', (text, metric, limit) => {
    expect(parseConstraint(text)).toEqual({ metric, bound: { kind: 'absolute', value: limit }, text: text.trim() });
  });

  test.each([
    ['params', /needs METRIC<=NUMBER/],
    ['params<=', /needs METRIC<=NUMBER/],
    ['params<=50k', /needs METRIC<=NUMBER/],
    ['speed<=3', /got the metric "speed".*params, macs, bytes, activation-bytes, energy, latency, latency-batch, accuracy/],
    ['toString<=3', /got the metric "toString"/],
    ['params>=3', /got >=, needs params<=NUMBER/],
    ['accuracy<=0.9', /needs accuracy>=NUMBER/],
    ['accuracy>=97', /got the limit 97, needs a number above 0, at most 1/],
    ['params<=0', /got the limit 0, needs a number above 0/],
    ['macs<=1e999', /got the limit 1e999/],
    ['params<=0x', /got the limit 0, needs a number above 0/],
    ['params<=0.1 of it', /needs METRIC<=NUMBER/],
  ])('%s is refused', (text, message) => {
    expect(() => parseConstraint(text)).toThrow(message);
  });
});

test("an x makes the limit a multiple of the teacher's figure", () => {
  const texts = ['params<=0.1x', 'macs<=.5X', 'activation-bytes<=0.25x', 'energy<=0.5x', 'latency<=0.5x', 'latency-batch<=0.2x'];
  const relative = limits(...texts.map((text) => text.replace('<=.', '<=0.')), 'accuracy>=0.98x');
  expect(relative.map(({ limit }) => limit)).toEqual([100, 40_000, 600, 15, 3, 20, 0.98 * 0.9]);
  expect(parseConstraint('params<=0.1x').bound).toEqual({ kind: 'relative', value: 0.1 });
  expect(() => limits('accuracy>=1.2x')).toThrow(/accuracy is 0.9, so this is 1.08.*at most 1/);
  expect(() => limitsFor([parseConstraint('latency<=0.5x')], student)).toThrow(/the teacher's figure is undefined/);
});

test('only constraints on latency need a measurement', () => {
  expect(latenciesNeeded(limits('params<=1', 'energy<=1'))).toEqual({ single: false, batch: false });
  expect(latenciesNeeded(limits('latency<=1'))).toEqual({ single: true, batch: false });
  expect(latenciesNeeded(limits('params<=1', 'latency-batch<=0.5x'))).toEqual({ single: false, batch: true });
});

test('limits on what is measured are a tenth stricter while a student is chosen', () => {
  const all = limits('latency<=2', 'latency-batch<=0.5x', 'params<=80', 'accuracy>=0.9');
  expect(withMargin(all).map(({ limit }) => limit)).toEqual([1.8, 45, 80, 0.9]);
});

test('a verdict says which limit was missed and by how much', () => {
  const all = limits('params<=80', 'accuracy>=0.9', 'macs<=0.5x', 'latency<=2');
  const [params, accuracy, operations, latency] = verdicts(all, { ...student, latencyMs: null });
  expect(params).toMatchObject({ text: 'params<=80', limit: 80, figure: 100, met: false, missedBy: 0.25 });
  expect(describeMiss(params!)).toBe('params<=80 (has 100, 25 % above the limit of 80)');
  expect(describeMiss(accuracy!)).toBe('accuracy>=0.9 (has 0.81, 10 % below the limit of 0.9)');
  expect(operations).toMatchObject({ limit: 40_000, figure: 5000, met: true, missedBy: 0 });
  expect(latency).toMatchObject({ figure: null, met: false, missedBy: null });
  expect(describeMiss(latency!)).toBe('latency<=2 (could not be measured)');
  expect(violation(all, { ...student, latencyMs: null })).toBe(Infinity);
});

describe('energy', () => {
  test('adds up arithmetic, weights from DRAM and activations through the cache', () => {
    const spec = parseSpec({
      name: 'one',
      input: { channels: 2, height: 4, width: 4 },
      classes: 3,
      nodes: [
        { id: 'conv', type: 'conv2d', attributes: { filters: 5, kernel: 3, padding: 1 } },
        { id: 'relu', type: 'relu' },
        { id: 'pool', type: 'global-average-pool' },
        { id: 'fc', type: 'linear', attributes: { features: 3 } },
      ],
    });
    // 16 * 5 * 18 + 5 * 3 multiply-adds; (90 + 5) + (15 + 3) weights; activations 32 + 80, 80 + 80, 80 + 5, 5 + 3.
    const picojoules = 4.6 * (1440 + 15) + 162.5 * 4 * 113 + 12.5 * 4 * (112 + 160 + 85 + 8);
    expect(energyMicrojoules(spec)).toBeCloseTo(picojoules / 1e6, 12);
  });

  test('of a residual network counts both inputs of an add', () => {
    const spec = zooSpec('resnet18@0.25', { channels: 3, height: 32, width: 32, classes: 10 });
    const moved = analyse(spec).nodes.map(({ inputShapes, outputElements }) =>
      inputShapes.reduce((sum, shape) => sum + elementsOf(shape), outputElements),
    );
    const picojoules = 4.6 * macs(spec) + 162.5 * modelBytes(spec) + 12.5 * 4 * moved.reduce((sum, elements) => sum + elements);
    expect(architectureMeasures(spec).energyMicrojoules).toBeCloseTo(picojoules / 1e6, 9);
  });
});
