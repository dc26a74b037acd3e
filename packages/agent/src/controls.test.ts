// Controls: students at random from the space of a search, and the teacher made narrower.
import { describe, expect, it } from 'vitest';
import { channelGroups, macs, parameterCount, zooSpec } from '@n2n/trainer/network';
import { parseConstraint } from './constraints.js';
import { sampleStudents, uniformStudent, type SampleOptions } from './controls.js';
import { stageNames } from './stages.js';

const teacher = zooSpec('resnet18@0.25', { channels: 3, height: 32, width: 32, classes: 10 });
const lenet = zooSpec('lenet5', { channels: 1, height: 28, width: 28, classes: 10 });
const options: SampleOptions = { count: 24, seed: 3, stages: stageNames, roundTo: 1, prior: 1, shrinkageActions: 'layer' };

describe('sampleStudents', () => {
  const students = sampleStudents(teacher, options);

  it('gives distinct students that are smaller and no slower than the teacher', () => {
    expect(new Set(students.map(({ hash }) => hash)).size).toBe(24);
    for (const { spec } of students) {
      expect(parameterCount(spec)).toBeLessThan(parameterCount(teacher));
      expect(macs(spec)).toBeLessThanOrEqual(macs(teacher));
    }
  });

  it('draws the same again, and the first of more', () => {
    expect(sampleStudents(teacher, options)).toEqual(students);
    expect(sampleStudents(teacher, { ...options, count: 30 }).slice(0, 24)).toEqual(students);
    expect(sampleStudents(teacher, { ...options, seed: 4 })).not.toEqual(students);
  });

  it('uses the stages it is given, and their whole range', () => {
    const removed = sampleStudents(teacher, { ...options, stages: ['removal'], prior: 0 });
    expect(removed.every(({ spec }) => spec.nodes.length < teacher.nodes.length)).toBe(true);
    const shrunk = sampleStudents(teacher, { ...options, stages: ['shrinkage'], prior: 0 });
    const widths = shrunk.map(({ spec }) => channelGroups(spec).groups.find(({ fixed }) => !fixed)!.width);
    expect(Math.min(...widths)).toBe(10);
    expect(Math.max(...widths)).toBe(16);
  });

  it('keeps to what is accepted, and says when that is too little', () => {
    const small = sampleStudents(teacher, { ...options, count: 4, constraints: [parseConstraint('params<=100000')] });
    for (const { spec } of small) expect(parameterCount(spec)).toBeLessThanOrEqual(100_000);
    // What only training and measuring can tell does not keep a draw from counting.
    const constraints = ['macs<=0.5x', 'latency<=0.5x', 'accuracy>=0.9'].map(parseConstraint);
    for (const { spec } of sampleStudents(teacher, { ...options, count: 4, constraints })) {
      expect(macs(spec)).toBeLessThanOrEqual(macs(teacher) / 2);
    }
    expect(() => sampleStudents(lenet, { ...options, count: 1, constraints: [parseConstraint('macs<=10')] })).toThrow(
      /only 0 of 1 distinct students/,
    );
  });
});

describe('uniformStudent', () => {
  it('is the widest teacher of one factor under the limit', () => {
    const student = uniformStudent(teacher, 50_000);
    expect(parameterCount(student)).toBeLessThanOrEqual(50_000);
    expect(parameterCount(student)).toBeGreaterThan(40_000);
    const before = new Map(channelGroups(teacher).groups.map(({ id, width }) => [id, width]));
    const factors = channelGroups(student)
      .groups.filter(({ fixed }) => !fixed)
      .map(({ id, width }) => width / before.get(id)!);
    expect(Math.max(...factors) - Math.min(...factors)).toBeLessThan(1 / 16);
    expect(uniformStudent(teacher, parameterCount(teacher))).toEqual(teacher);
    expect(() => uniformStudent(teacher, 10)).toThrow(/at its narrowest/);
  });
});
