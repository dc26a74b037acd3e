// The reward of a student (METHOD, "Reward"; N2N learning, section 3.3).
import { violation, type Limit } from './constraints.js';
import type { Measures } from './measures.js';

/** What a student is compared with. */
export interface TeacherMeasures {
  readonly params: number;
  /** Fraction of the same validation split, above 0. */
  readonly accuracy: number;
}

/** R_c R_a, with C = 1 - params / teacher's params, R_c = C (2 - C), R_a = accuracy / teacher's accuracy. */
export function unconstrainedReward(measures: Pick<Measures, 'params' | 'accuracy'>, teacher: TeacherMeasures): number {
  const compression = 1 - measures.params / teacher.params;
  return compression * (2 - compression) * (measures.accuracy / teacher.accuracy);
}

/** How much a violating student's own merit still counts at update e = 0, 1, ...: clip((1 - e / 15)^4, 0, 1), 0 from e = 15 on. */
export function leniency(update: number): number {
  return update >= 15 ? 0 : (1 - update / 15) ** 4;
}

/** R = R_c R_a, or (eps - 1) + eps R_c R_a where a limit is not kept, with eps the leniency at this update. */
export function reward(measures: Measures, teacher: TeacherMeasures, limits: readonly Limit[], update: number): number {
  const merit = unconstrainedReward(measures, teacher);
  if (violation(limits, measures) === 0) return merit;
  const eps = leniency(update);
  return eps - 1 + eps * merit;
}
