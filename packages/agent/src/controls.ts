// What a search is held against: students drawn at random from its own space, and the teacher made uniformly narrower.
import { channelGroups, macs, parameterCount, specHash, withWidths, type NetworkSpec } from '@n2n/trainer/network';
import type { Problem } from './actions/problem.js';
import { removalPrior } from './actions/removal.js';
import { shrinkagePrior } from './actions/shrinkage.js';
import { architectureLimits, violation, type Constraint } from './constraints.js';
import { judge } from './degenerate.js';
import { ConfigurationError } from './errors.js';
import type { Candidate } from './evaluate.js';
import { architectureMeasures } from './measures.js';
import { keyedRandom } from './random.js';
import type { Student } from './repair.js';
import { stages, type ProblemOptions, type StageName, type StageOptions } from './stages.js';

export interface SampleOptions extends ProblemOptions, Pick<StageOptions, 'prior'> {
  /** Distinct students wanted. */
  readonly count: number;
  readonly seed: number;
  readonly stages: readonly StageName[];
  /** Draws count only when they keep what these ask of an architecture. */
  readonly constraints?: readonly Constraint[];
}

/** Draws for each student wanted before the space is given up as too small. */
const MOST_DRAWS = 200;

const priors: Readonly<Record<StageName, readonly number[]>> = { removal: removalPrior, shrinkage: shrinkagePrior };

/**
 * Distinct students that are not degenerate, each from its own draws: the actions of every stage in turn, each drawn from the
 * distribution of a policy that knows only the prior. Throws ConfigurationError when there are too few.
 */
export function sampleStudents(teacher: NetworkSpec, options: SampleOptions): Candidate[] {
  const { count, seed, constraints = [] } = options;
  const costs = { params: parameterCount(teacher), macs: macs(teacher) };
  const limits = architectureLimits(constraints, teacher);
  const found = new Map<string, Candidate>();
  for (let draw = 0; found.size < count; draw++) {
    if (draw >= MOST_DRAWS * count) {
      throw new ConfigurationError(
        `only ${found.size} of ${count} distinct students were found in ${draw} draws from "${teacher.name}"; ask for fewer, or for less strict ones`,
      );
    }
    const student = judge(drawStudent(teacher, options, draw, seed), costs);
    if (student.kind === 'degenerate' || violation(limits, architectureMeasures(student.spec)) > 0) continue;
    const hash = specHash(student.spec);
    if (!found.has(hash)) found.set(hash, { spec: student.spec, hash });
  }
  return [...found.values()];
}

function drawStudent(teacher: NetworkSpec, options: SampleOptions, draw: number, seed: number): Student {
  let student: Student = { kind: 'network', spec: teacher };
  for (const name of options.stages) {
    if (student.kind === 'degenerate') return student;
    const random = keyedRandom(seed, `sample/${name}`);
    const problem = stages[name].problem(student.spec, options);
    const weights = priors[name].map((logit) => Math.exp(logit * options.prior));
    student = problem.apply(drawActions(problem, weights, (step) => random.uniform(draw, step)));
  }
  return student;
}

/** Each step's action with a probability in proportion to its weight, among the legal ones. */
function drawActions({ episode }: Problem, weights: readonly number[], uniform: (step: number) => number): number[] {
  return episode.legal.map((legal, step) => {
    const total = weights.reduce((sum, weight, action) => (legal[action] === true ? sum + weight : sum), 0);
    let rest = uniform(step) * total;
    let last = 0;
    for (const [action, weight] of weights.entries()) {
      if (legal[action] !== true) continue;
      last = action;
      rest -= weight;
      if (rest < 0) break;
    }
    return last;
  });
}

/**
 * The teacher with every free channel group narrowed by one factor: the widest with at most `params` parameters. Throws
 * ConfigurationError when even the narrowest has more.
 */
export function uniformStudent(teacher: NetworkSpec, params: number): NetworkSpec {
  const groups = channelGroups(teacher).groups.filter(({ fixed }) => !fixed);
  const scaled = (factor: number): NetworkSpec =>
    withWidths(
      teacher,
      new Map(
        groups.map(({ id, width, multipleOf }) => [id, Math.max(multipleOf, Math.floor((width * factor) / multipleOf) * multipleOf)]),
      ),
    );
  if (parameterCount(teacher) <= params) return teacher;
  let [low, high] = [0, 1];
  const narrowest = scaled(low);
  if (parameterCount(narrowest) > params) {
    throw new ConfigurationError(
      `"${teacher.name}" has ${parameterCount(narrowest)} parameters at its narrowest, more than the ${params} allowed`,
    );
  }
  // Parameters rise with the factor; 2^-20 is finer than the step of any width.
  for (let i = 0; i < 20; i++) {
    const middle = (low + high) / 2;
    if (parameterCount(scaled(middle)) <= params) low = middle;
    else high = middle;
  }
  return scaled(low);
}
