// A cohort in the memory of one student at a time, for where it does not fit as a whole.
import { goOn, type Halving } from './cohorts.js';
import type { CandidateOutcome } from './outcome.js';
import type { TrainingProgress } from './train.js';

export interface OneByOne {
  readonly members: number;
  readonly halving: Halving;
  /** Of a training to the end. */
  readonly totalSteps: number;
  /** Of a member with this accuracy at a rung. */
  readonly score: (member: number, accuracy: number) => number;
  /** Trains a member from its start: to the end, or up to a rung, where it is measured. */
  readonly train: (member: number, steps: number, onProgress: (progress: TrainingProgress) => void) => Promise<CandidateOutcome>;
  /** With the samples that as much of a training side by side would have had. */
  readonly onProgress: (progress: TrainingProgress) => void;
}

/**
 * The outcomes that the cohort would have side by side. No state is kept between rungs: a student is trained anew, to the same bits,
 * up to each rung that it reaches, which takes up to part / (part - 1) times the steps. A member without a measurement at a rung, as
 * it does not fit or diverged, is not compared there.
 */
export async function judgeOneByOne(cohort: OneByOne): Promise<CandidateOutcome[]> {
  const { halving, totalSteps, score, train, onProgress } = cohort;
  const outcomes: CandidateOutcome[] = [];
  let training = Array.from({ length: cohort.members }, (_, member) => member);
  let reached = 0;
  for (const steps of [...halving.rungs, totalSteps]) {
    for (const [turn, member] of training.entries()) {
      const outcome = await train(member, steps, (progress) => {
        const done = (progress.samples / progress.totalSamples) * (totalSteps / steps);
        const together = reached + ((steps - reached) * (turn + done)) / training.length;
        onProgress({ ...progress, samples: Math.round((progress.totalSamples * together) / totalSteps) });
      });
      outcomes[member] = joined(outcomes[member], outcome);
    }
    const accuracies = new Map(
      training.flatMap((member) => {
        const rung = outcomes[member]!.rungs.at(-1);
        return rung?.steps === steps ? [[member, rung.accuracy] as const] : [];
      }),
    );
    training = goOn([...accuracies.keys()], (member) => score(member, accuracies.get(member)!), halving);
    reached = steps;
  }
  return outcomes;
}

/** What a student got, with the rungs and the time of its earlier trainings. */
const joined = (earlier: CandidateOutcome | undefined, outcome: CandidateOutcome): CandidateOutcome =>
  earlier === undefined ? outcome : { ...outcome, seconds: earlier.seconds + outcome.seconds, rungs: [...earlier.rungs, ...outcome.rungs] };
