// Who is judged side by side, and when the worse of a cohort stop.
import { ShapeError } from '@n2n/kernels';
import { SpecError, type NetworkSpec } from '../network/index.js';
import { trainingBytes, type PlanDevice } from '../plan/plan.js';
import type { Candidate, CandidateSettings } from './candidates.js';

/** Students of an `auto` cohort at most: more share nothing else, and their results would be late. */
const MOST_SIDE_BY_SIDE = 64;
/** Share of the training before which no rung is: the running statistics of batch-norms, for one, still say nothing of the student. */
const EARLIEST_RUNG = 1 / 27;

/** Consecutive candidates, as many at a time as the settings say. */
export function cohortsOf(candidates: readonly Candidate[], settings: CandidateSettings, device: PlanDevice): Candidate[][] {
  const { cohort: size, sideBySide = MOST_SIDE_BY_SIDE, memoryBytes = Infinity, batch } = settings;
  const most = size === 'auto' ? Math.min(sideBySide, MOST_SIDE_BY_SIDE) : size;
  const cohorts: Candidate[][] = [];
  let taken = 0;
  for (const candidate of candidates) {
    const bytes = size === 'auto' ? bytesOf(candidate.spec, batch, settings, device) : 0;
    const current = cohorts.at(-1);
    if (current === undefined || current.length >= most || taken + bytes > memoryBytes) {
      cohorts.push([candidate]);
      taken = bytes;
    } else {
      current.push(candidate);
      taken += bytes;
    }
  }
  return cohorts;
}

/** 0 for what no plan computes: it takes no memory. */
function bytesOf(spec: NetworkSpec, batch: number, settings: CandidateSettings, device: PlanDevice): number {
  try {
    return trainingBytes(spec, batch, settings, device);
  } catch (error) {
    if (error instanceof SpecError || error instanceof ShapeError) return 0;
    throw error;
  }
}

/** Successive halving of a cohort. */
export interface Halving {
  /** Steps after which the students are compared, in rising order. */
  readonly rungs: readonly number[];
  /** All but the best 1 / part stop at a rung. */
  readonly part: number;
}

/** Who of `training` goes on at a rung: those of the highest scores, of equals the first. */
export function goOn(training: readonly number[], scoreOf: (member: number) => number, { part }: Halving): number[] {
  const ranked = training.toSorted((a, b) => scoreOf(b) - scoreOf(a) || a - b);
  return ranked.slice(0, Math.ceil(training.length / part));
}

/** Steps of the rungs that leave one of `students`, in rising order; where the first would be too early, more are left. */
export function rungSteps(students: number, halving: number, totalSteps: number): number[] {
  if (halving <= 1) return [];
  const steps: number[] = [];
  for (let left = students, part = halving; left > 1; left = Math.ceil(left / halving), part *= halving) {
    const step = Math.round(totalSteps / part);
    if (step >= 1 && step < totalSteps && part <= 1 / EARLIEST_RUNG) steps.unshift(step);
  }
  return [...new Set(steps)];
}
