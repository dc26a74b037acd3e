// A cohort judged one student after another, with trainings that only tell what they were asked for.
import { expect, it } from 'vitest';
import { judgeOneByOne, type OneByOne } from './one-by-one.js';
import type { CandidateOutcome } from './outcome.js';

const TOTAL_STEPS = 90;
const ACCURACIES = [0.5, 0.7, 0.9, 0.6, 0.8];

/** Outcomes of five students with rungs at 10 and 30 steps, and the trainings that were asked for. */
async function judged(changed: Partial<OneByOne> = {}): Promise<{ outcomes: CandidateOutcome[]; asked: string[]; done: number[] }> {
  const asked: string[] = [];
  const done: number[] = [];
  const outcomes = await judgeOneByOne({
    members: 5,
    halving: { rungs: [10, 30], part: 2 },
    totalSteps: TOTAL_STEPS,
    score: (_, accuracy) => accuracy,
    train: async (member, steps, onProgress) => {
      asked.push(`${member} to ${steps}`);
      for (const samples of [steps / 2, steps]) {
        onProgress({ epoch: 0, epochs: 1, samples, totalSamples: TOTAL_STEPS, samplesPerSecond: 1 });
      }
      return measured(member, steps);
    },
    onProgress: ({ samples }) => void done.push(samples),
    ...changed,
  });
  return { outcomes, asked, done };
}

const measured = (member: number, steps: number): CandidateOutcome => {
  const accuracy = ACCURACIES[member]!;
  return { hash: `${member}`, accuracy, loss: 1, seconds: steps, steps, rungs: steps === TOTAL_STEPS ? [] : [{ steps, accuracy }] };
};

const failed = (member: number): CandidateOutcome => ({ ...measured(member, TOTAL_STEPS), loss: NaN, steps: 0, failure: 'why' });

it('trains all to the first rung, the better half to the next, and the best to the end', async () => {
  const { outcomes, asked } = await judged();
  expect(asked.slice(0, 5)).toEqual(['0 to 10', '1 to 10', '2 to 10', '3 to 10', '4 to 10']);
  expect(asked.slice(5)).toEqual(['2 to 30', '4 to 30', '1 to 30', '2 to 90', '4 to 90']);
  expect(outcomes.map(({ hash }) => hash)).toEqual(['0', '1', '2', '3', '4']);
  expect(outcomes.map(({ steps }) => steps)).toEqual([10, 30, 90, 10, 90]);
  const rungs = outcomes.map((outcome) => outcome.rungs.map(({ steps }) => steps));
  expect(rungs).toEqual([[10], [10, 30], [10, 30], [10], [10, 30]]);
  expect(outcomes.map(({ seconds }) => seconds)).toEqual([10, 40, 130, 10, 130]);
});

it('trains each to the end once without rungs', async () => {
  const { outcomes, asked } = await judged({ halving: { rungs: [], part: 1 } });
  expect(asked).toEqual([0, 1, 2, 3, 4].map((member) => `${member} to 90`));
  expect(outcomes).toEqual([0, 1, 2, 3, 4].map((member) => measured(member, 90)));
});

it('tells of the progress that the cohort would have had', async () => {
  const { done } = await judged();
  // Five students up to 10 steps, three up to 30, two up to 90, each in two parts.
  const stages = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 10 + 20 / 6, 10 + 40 / 6, 20, 10 + 80 / 6, 10 + 100 / 6, 30, 45, 60, 75, 90];
  expect(done).toEqual(stages.map(Math.round));
});

it('does not compare who was not measured at a rung, and compares by the score', async () => {
  // Nothing of 2 fits; 4 diverges between the rungs; of the others the worse accuracies score higher.
  const train: OneByOne['train'] = async (member, steps) =>
    member === 2 || (member === 4 && steps > 10) ? failed(member) : measured(member, steps);
  const score = (member: number, accuracy: number): number => (member === 4 ? 1 : -accuracy);
  const { outcomes } = await judged({ train, score });
  expect(outcomes.map(({ steps }) => steps)).toEqual([90, 10, 0, 10, 0]);
  expect(outcomes.map(({ rungs }) => rungs.length)).toEqual([2, 1, 0, 1, 1]);
  expect(outcomes[4]).toMatchObject({ failure: 'why', rungs: [{ steps: 10, accuracy: 0.8 }] });
});

it('goes on with a student whose loss is no number at a rung, as the cohort does', async () => {
  const train: OneByOne['train'] = async (member, steps) =>
    member === 2 && steps < 90 ? { ...failed(member), steps, rungs: measured(member, steps).rungs } : measured(member, steps);
  const { outcomes } = await judged({ train });
  expect(outcomes[2]).toMatchObject({ steps: 90, loss: 1 });
  expect(outcomes[2]!.failure).toBeUndefined();
});
