// One stage's decisions about one network: what the policy sees and may do, and what its actions make of the network.
import type { Episode } from '../policies/policy.js';
import type { Student } from '../repair.js';

export interface Problem {
  readonly episode: Episode;
  /** What the step is about, for reports: `conv1`, `conv1.filters`. One for every step. */
  readonly labels: readonly string[];
  /** The student that a sequence of actions makes, one action a step; every legal sequence has one, or a reason why not. */
  apply(actions: readonly number[]): Student;
}
