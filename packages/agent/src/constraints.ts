// The limits that a student may have to keep: read from text, made absolute by the teacher's figures, and held against a student.
import type { NetworkSpec } from '@n2n/trainer/network';
import { ConfigurationError } from './errors.js';
import { architectureMeasures, type Measures } from './measures.js';

/** What each metric is: the figure it is about, how it may be bounded, and its unit. */
const DECLARED = {
  params: { measure: 'params', operator: '<=', unit: 'trainable parameters' },
  macs: { measure: 'macs', operator: '<=', unit: 'multiply-adds a sample' },
  bytes: { measure: 'bytes', operator: '<=', unit: 'bytes of float32 tensors' },
  'activation-bytes': { measure: 'activationBytes', operator: '<=', unit: 'peak bytes of activations at batch 1' },
  energy: { measure: 'energyMicrojoules', operator: '<=', unit: 'microjoules an image by the stated model' },
  latency: { measure: 'latencyMs', operator: '<=', unit: 'milliseconds at batch 1', measured: true },
  'latency-batch': { measure: 'batchLatencyMs', operator: '<=', unit: 'milliseconds of an evaluation batch', measured: true },
  accuracy: { measure: 'accuracy', operator: '>=', unit: 'a fraction, such as 0.97' },
} as const satisfies Record<string, MetricDeclaration>;

interface MetricDeclaration {
  readonly measure: keyof Measures;
  readonly operator: '<=' | '>=';
  readonly unit: string;
  /** On the adapter, never twice the same. */
  readonly measured?: true;
}

export type Metric = keyof typeof DECLARED;
const METRICS: Readonly<Record<Metric, MetricDeclaration>> = DECLARED;
export const metrics = Object.keys(METRICS) as readonly Metric[];

export interface Constraint {
  readonly metric: Metric;
  /** In the metric's unit, or times the teacher's figure. */
  readonly bound: { readonly kind: 'absolute' | 'relative'; readonly value: number };
  /** As it was written. */
  readonly text: string;
}

/** A constraint with its limit in the metric's unit. */
export interface Limit {
  readonly metric: Metric;
  readonly limit: number;
  readonly text: string;
}

/**
 * Reads `params<=50000`, `latency<=2.5`, `accuracy>=0.97`, or with an x a multiple of the teacher's: `params<=0.1x`. Throws
 * ConfigurationError.
 */
export function parseConstraint(text: string): Constraint {
  const needs =
    'needs METRIC<=NUMBER or accuracy>=FRACTION, such as params<=50000, or params<=0.1x for a tenth of the ' +
    `teacher's; metrics are ${metrics.join(', ')}`;
  const match = /^\s*([A-Za-z-]+)\s*(<=|>=)\s*(\d+(?:\.\d+)?(?:e[+-]?\d+)?)(x?)\s*$/i.exec(text);
  if (match === null) throw new ConfigurationError(`constraint "${text}": ${needs}`);
  const [, name = '', operator, number = '', times] = match;
  const metric = metrics.find((known) => known === name.toLowerCase());
  if (metric === undefined) throw new ConfigurationError(`constraint "${text}": got the metric "${name}", ${needs}`);
  if (operator !== METRICS[metric].operator) {
    throw new ConfigurationError(`constraint "${text}": got ${operator}, needs ${metric}${METRICS[metric].operator}NUMBER`);
  }
  const bound = { kind: times === '' ? ('absolute' as const) : ('relative' as const), value: Number(number) };
  const isFraction = metric === 'accuracy' && bound.kind === 'absolute';
  if (!(bound.value > 0 && Number.isFinite(bound.value)) || (isFraction && bound.value > 1)) {
    const range = isFraction ? 'above 0, at most 1' : 'above 0';
    throw new ConfigurationError(`constraint "${text}": got the limit ${number}, needs a number ${range} (${METRICS[metric].unit})`);
  }
  return { metric, bound, text: text.trim() };
}

/** Whether some constraint needs what only a measurement on the adapter can tell. */
export function latenciesNeeded(constraints: readonly Pick<Constraint, 'metric'>[]): { readonly single: boolean; readonly batch: boolean } {
  const has = (metric: Metric): boolean => constraints.some((constraint) => constraint.metric === metric);
  return { single: has('latency'), batch: has('latency-batch') };
}

/** Limits in their units. Throws ConfigurationError where the teacher's figure is missing or makes no sense of the multiple. */
export function limitsFor(constraints: readonly Constraint[], teacher: Partial<Measures>): Limit[] {
  return constraints.map(({ metric, bound, text }) => {
    if (bound.kind === 'absolute') return { metric, limit: bound.value, text };
    const { measure, unit } = METRICS[metric];
    const figure = teacher[measure];
    if (figure == null || !(figure > 0)) {
      throw new ConfigurationError(`constraint "${text}": the teacher's figure is ${figure}, needs one above 0 (${unit})`);
    }
    const limit = bound.value * figure;
    if (metric === 'accuracy' && limit > 1) {
      throw new ConfigurationError(`constraint "${text}": the teacher's accuracy is ${figure}, so this is ${limit}; it needs at most 1`);
    }
    return { metric, limit, text };
  });
}

/** Share by which limits on measured figures are stricter while a student is chosen. */
const MARGIN = 0.1;

/**
 * The limits that choosing a student goes by: a latency that just keeps its limit when a candidate is measured may miss it when the
 * finished student is, so those are a tenth stricter. The finished student is judged by the limits themselves.
 */
export function withMargin(limits: readonly Limit[]): Limit[] {
  return limits.map((limit) => (METRICS[limit.metric].measured ? { ...limit, limit: (1 - MARGIN) * limit.limit } : limit));
}

/** The limits on what follows from the architecture alone. Throws as limitsFor. */
export function architectureLimits(constraints: readonly Constraint[], teacher: NetworkSpec): Limit[] {
  const figures = architectureMeasures(teacher);
  return limitsFor(
    constraints.filter(({ metric }) => METRICS[metric].measure in figures),
    figures,
  );
}

/** The student's figure that a limit is about; undefined where there is none yet. */
function figureOf({ metric }: Pick<Limit, 'metric'>, measures: Partial<Measures>): number | null | undefined {
  return measures[METRICS[metric].measure];
}

/** By how much a figure misses a limit, as a fraction of the limit: 0 when it meets it, Infinity when it could not be measured. */
function shortfall({ metric, limit }: Limit, figure: number | null): number {
  if (figure === null) return Infinity;
  const excess = METRICS[metric].operator === '<=' ? figure - limit : limit - figure;
  return Math.max(0, excess) / limit;
}

/** Sum over the limits of the relative shortfall; 0 exactly when all are met. Limits on figures that are absent are passed over. */
export function violation(limits: readonly Limit[], measures: Partial<Measures>): number {
  return limits.reduce((sum, limit) => {
    const figure = figureOf(limit, measures);
    return figure === undefined ? sum : sum + shortfall(limit, figure);
  }, 0);
}

/** How one limit was kept. */
export interface Verdict extends Limit {
  /** The student's; null where it could not be measured. */
  readonly figure: number | null;
  readonly met: boolean;
  /** How far the figure is on the wrong side, as a fraction of the limit; 0 when met, null without a figure. */
  readonly missedBy: number | null;
}

/** Each limit against a student's figures. */
export function verdicts(limits: readonly Limit[], measures: Measures): Verdict[] {
  return limits.map((limit) => {
    const figure = figureOf(limit, measures) ?? null;
    const missed = shortfall(limit, figure);
    return { ...limit, figure, met: missed === 0, missedBy: figure === null ? null : missed };
  });
}

/** `params<=20 (has 1234, 6070 % above the limit)`: a verdict of a limit that was missed, for people. */
export function describeMiss({ metric, limit, text, figure, missedBy }: Verdict): string {
  if (figure === null || missedBy === null) return `${text} (could not be measured)`;
  const percent = Number((100 * missedBy).toPrecision(3));
  const side = METRICS[metric].operator === '<=' ? 'above' : 'below';
  const short = (value: number): string => String(Number.isInteger(value) ? value : Number(value.toPrecision(4)));
  return `${text} (has ${short(figure)}, ${percent} % ${side} the limit of ${short(limit)})`;
}
