// Who is judged side by side, and where the rungs of successive halving are.
import { describe, expect, it } from 'vitest';
import { parseSpec, specHash, zooSpec, type NetworkSpec } from '../network/index.js';
import { trainingBytes } from '../plan/plan.js';
import type { CandidateSettings } from './candidates.js';
import { cohortsOf, rungSteps } from './cohorts.js';
import { defaultSgd } from './schedule.js';

const geometry = { channels: 1, height: 12, width: 12 };
const settings: CandidateSettings = {
  objective: { hard: { weight: 1, smoothing: 0 } },
  optimiser: defaultSgd,
  schedule: { kind: 'constant' },
  epochs: 2,
  batch: 32,
  views: 0,
  seed: 1,
  cohort: 'auto',
  preprocessing: { mean: [0.4], std: [0.3] },
};
const device = { alignment: 256, traits: { subgroupSize: 8, f16: false, kind: 'cpu', maxWorkgroups: 65_535 }, choices: {} } as const;

const bytesOf = (spec: NetworkSpec): number => trainingBytes(spec, settings.batch, settings, device);

/** Sizes of the cohorts of students with these specs, none left out and none moved. */
function sizes(specs: readonly NetworkSpec[], changed: Partial<CandidateSettings> = {}): number[] {
  const candidates = specs.map((spec) => ({ spec, hash: specHash(spec) }));
  const cohorts = cohortsOf(candidates, { ...settings, ...changed }, device);
  expect(cohorts.flat()).toEqual(candidates);
  return cohorts.map(({ length }) => length);
}

describe('cohortsOf', () => {
  const specs = ['mnist-cnn@0.5', 'mnist-cnn@0.75', 'vgg11', 'lenet5'].map((name) => zooSpec(name, { ...geometry, classes: 4 }));
  const two = bytesOf(specs[0]!) + bytesOf(specs[1]!);

  it('takes as many as a number says, whatever they need', () => {
    expect(sizes(specs, { cohort: 3, memoryBytes: 1 })).toEqual([3, 1]);
    expect(sizes([])).toEqual([]);
  });

  it('takes all that fit into the memory where nothing else limits them, and one at least', () => {
    expect(bytesOf(specs[2]!)).toBeGreaterThan(two);
    expect(sizes(specs)).toEqual([4]);
    expect(sizes(specs, { memoryBytes: two })).toEqual([2, 1, 1]);
    expect(sizes(specs, { memoryBytes: two - 1 })).toEqual([1, 1, 1, 1]);
  });

  it('takes no more than are to be side by side, 64 at most', () => {
    expect(sizes(specs, { sideBySide: 3 })).toEqual([3, 1]);
    const many = Array.from({ length: 65 }, () => specs[0]!);
    expect(sizes(many)).toEqual([64, 1]);
    expect(sizes(many, { sideBySide: 100 })).toEqual([64, 1]);
  });

  it('counts no memory for what no plan computes', () => {
    const nodes = [
      { id: 'flat', type: 'flatten', inputs: ['input'] },
      { id: 'norm', type: 'batch-norm', inputs: ['flat'] },
      { id: 'head', type: 'linear', inputs: ['norm'], attributes: { features: 4 } },
    ];
    const refused = parseSpec({ name: 'refused', input: geometry, classes: 4, nodes });
    expect(() => bytesOf(refused)).toThrow(/flattened/);
    expect(sizes([specs[0]!, refused, specs[1]!], { memoryBytes: two })).toEqual([3]);
  });
});

it('puts the rungs where one student is left, geometrically before the end', () => {
  expect(rungSteps(4, 2, 250)).toEqual([63, 125]);
  expect(rungSteps(4, 3, 250)).toEqual([28, 83]);
  expect(rungSteps(9, 3, 90)).toEqual([10, 30]);
  expect(rungSteps(27, 3, 270)).toEqual([10, 30, 90]);
  expect(rungSteps(60, 3, 270)).toEqual([10, 30, 90]); // a rung at a 81st is too early
  expect(rungSteps(8, 4, 3)).toEqual([1]);
  expect(rungSteps(1, 3, 90)).toEqual([]);
  expect(rungSteps(5, 1, 90)).toEqual([]);
});
