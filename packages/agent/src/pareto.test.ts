import { zooSpec } from '@n2n/trainer/network';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { FinishedStudent } from './ledger.js';
import { paretoFront } from './pareto.js';

const spec = zooSpec('lenet5', { channels: 1, height: 28, width: 28, classes: 10 });

function student(
  hash: string,
  params: number,
  macs: number,
  accuracy: number,
  rest: { latencyMs?: number | null; loss?: number | null } = {},
) {
  const { latencyMs, loss = 0.5 } = rest;
  const measures = { params, macs, accuracy, bytes: 4 * params, activationBytes: 1, energyMicrojoules: 1 };
  const timed = latencyMs === undefined ? measures : { ...measures, latencyMs };
  return { hash, spec, measures: timed, loss, merit: 0, violation: 0 } satisfies FinishedStudent;
}
const hashes = (students: readonly FinishedStudent[]): string[] => paretoFront(students).students.map(({ hash }) => hash);

describe('the Pareto front', () => {
  test('keeps whoever is best at something, from small to large', () => {
    const front = [student('accurate', 900, 90, 0.99), student('small', 100, 80, 0.8), student('fast', 500, 10, 0.7)];
    expect(hashes([...front, student('worse', 901, 90, 0.99), student('beaten', 500, 80, 0.7)])).toEqual(['small', 'fast', 'accurate']);
  });

  test('keeps the first of equals, and a student that is equal in two and better in one', () => {
    expect(hashes([student('a', 10, 10, 0.5), student('b', 10, 10, 0.5)])).toEqual(['a']);
    expect(hashes([student('a', 10, 10, 0.5), student('b', 10, 9, 0.5)])).toEqual(['b']);
    expect(hashes([student('a', 10, 10, 0.5), student('b', 10, 10, 0.6)])).toEqual(['b']);
  });

  test('is about latency where all were measured, else about multiply-adds', () => {
    const [a, b] = [student('a', 10, 10, 0.5, { latencyMs: 5 }), student('b', 11, 20, 0.5, { latencyMs: 4 })];
    expect(paretoFront([a, b])).toMatchObject({ speed: 'latencyMs', students: [a, b] });
    expect(paretoFront([a, b, student('c', 12, 30, 0.4)])).toMatchObject({ speed: 'macs', students: [a] });
  });

  test('leaves out students whose training failed', () => {
    expect(hashes([student('a', 10, 10, 0.5), student('b', 1, 1, 0, { loss: null, latencyMs: null })])).toEqual(['a']);
    expect(paretoFront([])).toEqual({ speed: 'macs', students: [] });
  });

  test('has nobody who is beaten, and everybody else is', () => {
    const some = fc.array(fc.tuple(fc.nat(5), fc.nat(5), fc.nat(5)), { maxLength: 25 });
    fc.assert(
      fc.property(some, (triples) => {
        const students = triples.map(([p, m, a], i) => student(String(i), p, m, a / 5));
        const { students: front } = paretoFront(students);
        const costs = ({ measures: { params, macs, accuracy } }: FinishedStudent): number[] => [params, macs, -accuracy];
        const covers = (x: FinishedStudent, y: FinishedStudent): boolean => costs(x).every((value, i) => value <= costs(y)[i]!);
        for (const one of front) expect(front.some((other) => other !== one && covers(other, one))).toBe(false);
        for (const one of students) expect(front.some((other) => covers(other, one))).toBe(true);
      }),
      { numRuns: 60, seed: 3 },
    );
  });
});
