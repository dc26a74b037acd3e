// The reward of a student (METHOD, "Reward"; N2N learning, section 3.3) and the constraints it may have to meet.
import { macs, modelBytes, parameterCount, type NetworkSpec } from '@n2n/trainer/network';

/** What constraints are about. `params`, `macs` and `bytes` follow from the architecture, `accuracy` from its training. */
export interface Measures {
  /** Trainable parameters. */
  readonly params: number;
  /** Multiply-adds of one sample's forward pass. */
  readonly macs: number;
  /** Bytes of the model's tensors as float32, running statistics included. */
  readonly bytes: number;
  /** Fraction of the validation split. */
  readonly accuracy: number;
}

/** What an architecture shows before it is trained. */
export const architectureMeasures = (spec: NetworkSpec): Omit<Measures, 'accuracy'> => ({
  params: parameterCount(spec),
  macs: macs(spec),
  bytes: modelBytes(spec),
});

export type Metric = keyof Measures;

/** What each metric may be bounded by, and in what unit. */
const METRICS: Readonly<Record<Metric, { readonly operator: '<=' | '>='; readonly unit: string }>> = {
  params: { operator: '<=', unit: 'trainable parameters' },
  macs: { operator: '<=', unit: 'multiply-adds a sample' },
  bytes: { operator: '<=', unit: 'bytes of float32 tensors' },
  accuracy: { operator: '>=', unit: 'a fraction, such as 0.97' },
};

export interface Constraint {
  readonly metric: Metric;
  readonly limit: number;
  /** As it was written. */
  readonly text: string;
}

/** A constraint or an option that cannot be; the command line's exit code 2. */
export class ConfigurationError extends Error {
  override readonly name = 'ConfigurationError';
}

/** Reads `params<=50000`, `macs<=1e6`, `bytes<=200000` or `accuracy>=0.97`. Throws ConfigurationError. */
export function parseConstraint(text: string): Constraint {
  const needs = `needs METRIC<=NUMBER or accuracy>=FRACTION, such as params<=50000; metrics are ${Object.keys(METRICS).join(', ')}`;
  const match = /^\s*([A-Za-z]+)\s*(<=|>=)\s*(\d+(?:\.\d+)?(?:e[+-]?\d+)?)\s*$/i.exec(text);
  if (match === null) throw new ConfigurationError(`constraint "${text}": ${needs}`);
  const [, name = '', operator, number] = match;
  const metric = (Object.keys(METRICS) as Metric[]).find((known) => known === name.toLowerCase());
  if (metric === undefined) throw new ConfigurationError(`constraint "${text}": got the metric "${name}", ${needs}`);
  if (operator !== METRICS[metric].operator) {
    throw new ConfigurationError(`constraint "${text}": got ${operator}, needs ${metric}${METRICS[metric].operator}NUMBER`);
  }
  const limit = Number(number);
  if (!(limit > 0 && Number.isFinite(limit)) || (metric === 'accuracy' && limit > 1)) {
    const range = metric === 'accuracy' ? 'above 0, at most 1' : 'above 0';
    throw new ConfigurationError(`constraint "${text}": got the limit ${number}, needs a number ${range} (${METRICS[metric].unit})`);
  }
  return { metric, limit, text: text.trim() };
}

/** By how much a value misses a limit, as a fraction of the limit; 0 when it meets it. */
function shortfall({ metric, limit }: Constraint, value: number): number {
  const excess = METRICS[metric].operator === '<=' ? value - limit : limit - value;
  return Math.max(0, excess) / limit;
}

/** Sum over the constraints of the relative shortfall; 0 exactly when all are met. Metrics without a value are passed over. */
export function violation(constraints: readonly Constraint[], measures: Partial<Measures>): number {
  return constraints.reduce((sum, constraint) => {
    const value = measures[constraint.metric];
    return value === undefined ? sum : sum + shortfall(constraint, value);
  }, 0);
}

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

/** R = R_c R_a, or (eps - 1) + eps R_c R_a where a constraint fails, with eps the leniency at this update. */
export function reward(measures: Measures, teacher: TeacherMeasures, constraints: readonly Constraint[], update: number): number {
  const merit = unconstrainedReward(measures, teacher);
  if (violation(constraints, measures) === 0) return merit;
  const eps = leniency(update);
  return eps - 1 + eps * merit;
}
