// The hyper-parameters of a search, their defaults and their limits.
import { shrinkageActions } from './actions/shrinkage.js';
import type { Constraint } from './constraints.js';
import { ConfigurationError } from './errors.js';
import { checkReinforceOptions, reinforceDefaults, type ReinforceOptions } from './reinforce.js';
import { policyKinds, stageNames, stages, type StageName, type StageOptions } from './stages.js';

export interface SearchOptions extends ReinforceOptions, StageOptions {
  /** Names every random draw of the search; an integer from 0 to 2^53 - 1. */
  readonly seed: number;
  /** In this order, each from the best student so far. METHOD: removal, then shrinkage. */
  readonly stages: readonly StageName[];
  /** Policy updates a stage. Paper: up to 100. */
  readonly updates: number;
  /** All must be met; see parseConstraint. */
  readonly constraints: readonly Constraint[];
  /** Adam's learning rate by stage; METHOD: 0.003 for removal, 0.01 for shrinkage. */
  readonly learningRates: Readonly<Record<StageName, number>>;
}

/** The paper's figures but for the baseline (leave-one-out; METHOD, "REINFORCE"). */
export const searchDefaults: SearchOptions = {
  ...reinforceDefaults,
  seed: 0,
  stages: stageNames,
  updates: 100,
  constraints: [],
  roundTo: 1,
  prior: 0,
  removalPolicy: 'bidirectional',
  shrinkagePolicy: 'autoregressive',
  shrinkageActions: 'layer',
  learningRates: { removal: stages.removal.learningRate, shrinkage: stages.shrinkage.learningRate },
};

/** Throws ConfigurationError that names the option, what it got and what it needs. */
function checkSearchOptions(options: SearchOptions): void {
  const { seed, updates, roundTo, prior, learningRates } = options;
  const refuse = (message: string): never => {
    throw new ConfigurationError(message);
  };
  if (!Number.isSafeInteger(seed) || seed < 0) refuse(`seed is ${seed}; it must be an integer from 0 to ${Number.MAX_SAFE_INTEGER}`);
  if (!Number.isInteger(updates) || updates < 1) refuse(`updates is ${updates}; it must be an integer of at least 1`);
  if (!Number.isInteger(roundTo) || roundTo < 1) refuse(`round-to is ${roundTo}; it must be an integer of at least 1`);
  if (!(prior >= 0 && prior <= 10)) refuse(`prior is ${prior}; it must be a number from 0 to 10`);
  oneOf('removal policy', options.removalPolicy, policyKinds);
  oneOf('shrinkage policy', options.shrinkagePolicy, policyKinds);
  oneOf('shrinkage actions', options.shrinkageActions, shrinkageActions);
  if (options.stages.length === 0) refuse(`stages is empty; it needs one or more of ${stageNames.join(', ')}`);
  for (const stage of options.stages) {
    if (!stageNames.includes(stage)) refuse(`stages names "${String(stage)}"; known ones are ${stageNames.join(', ')}`);
    const rate = learningRates[stage];
    if (!(rate > 0 && Number.isFinite(rate))) refuse(`learning rate of ${stage} is ${rate}; it must be a number above 0`);
  }
  try {
    checkReinforceOptions(options);
  } catch (error) {
    refuse((error as Error).message);
  }
}

function oneOf(name: string, value: string, known: readonly string[]): void {
  if (!known.includes(value)) throw new ConfigurationError(`${name} is "${value}"; it must be one of ${known.join(', ')}`);
}

/** The options as the journal keeps them: plain JSON, constraints as they were written. */
export function describeOptions(options: SearchOptions): Record<string, unknown> {
  const { constraints, learningRates, stages: list, ...plain } = options;
  return {
    ...plain,
    stages: [...list],
    learningRates: Object.fromEntries(stageNames.map((stage) => [stage, learningRates[stage]])),
    constraints: constraints.map(({ text }) => text),
  };
}

/** The given options and the defaults of the others. Throws ConfigurationError. */
export function resolveOptions(input: Partial<SearchOptions>): SearchOptions {
  const names = Object.keys(searchDefaults) as (keyof SearchOptions)[];
  const given = Object.fromEntries(names.filter((name) => input[name] !== undefined).map((name) => [name, input[name]]));
  const options: SearchOptions = { ...searchDefaults, ...given };
  checkSearchOptions(options);
  return options;
}
