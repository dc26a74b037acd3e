// Learning rates over a training: the warm-up before each schedule, and where its end leaves them.
import { expect, it } from 'vitest';
import { paperAdam, scheduleFactor, scheduleRows, type Schedule } from './schedule.js';

const factors = (schedule: Schedule, steps = 10): number[] => Array.from({ length: steps }, (_, i) => scheduleFactor(schedule, i, steps));
const milestones = { kind: 'step', milestones: [0.5, 0.8], factor: 0.1 } as const;

it('without a warm-up starts at the full rate', () => {
  expect(factors({ kind: 'constant' })).toEqual(Array(10).fill(1));
  expect(factors(milestones).map((factor) => Number(factor.toFixed(3)))).toEqual([1, 1, 1, 1, 1, 0.1, 0.1, 0.1, 0.01, 0.01]);
  const cosine = factors({ kind: 'cosine' });
  expect([cosine[0], cosine[5]]).toEqual([1, expect.closeTo(0.5, 12)]);
});

it.each<Schedule>([{ kind: 'constant' }, milestones, { kind: 'cosine' }])('rises over the warm-up: $kind', (schedule) => {
  const warm = factors({ ...schedule, warmup: 0.4 });
  expect(warm.slice(0, 4)).toEqual([0.25, 0.5, 0.75, 1]);
  expect(warm[4]).toBe(1); // the first step after it
  expect(Math.max(...warm)).toBe(1);
});

it('runs the cosine from the end of the warm-up to 0', () => {
  const warm = factors({ kind: 'cosine', warmup: 0.5 }, 100);
  expect(warm[75]).toBeCloseTo(0.5, 12);
  expect(warm[99]).toBeLessThan(0.01);
  expect(factors({ kind: 'cosine', warmup: 0.5 }, 1)).toEqual([1]);
});

it('fills the device table from any step on', () => {
  const rows = scheduleRows({ ...paperAdam, learningRate: 2 }, { kind: 'constant', warmup: 0.4 }, 2, 3, 10);
  expect([rows[0], rows[4], rows[8]]).toEqual([1.5, 2, 2]);
  expect(rows[1]).toBeCloseTo(1 / (1 - 0.9 ** 3), 5);
  expect([rows[3], rows[7]]).toEqual([0, 0]);
  const afterOne = scheduleRows({ ...paperAdam, learningRate: 2 }, { kind: 'constant', warmup: 0.4 }, 2, 3, 10, 1);
  expect([afterOne[0], afterOne[4], afterOne[8]]).toEqual([1.5, 2, 2]);
  expect(afterOne[1]).toBeCloseTo(1 / (1 - 0.9 ** 2), 5);
  expect(afterOne[2]).toBeCloseTo(1 / (1 - 0.999 ** 2), 3);
  expect([afterOne[3], afterOne[7]]).toEqual([1, 1]);
});
