// One compression under several seeds: how much of a result is luck.
import type { Context } from '../context.js';
import { GoalError } from '../errors.js';
import { count, percent, times } from '../output/format.js';
import { table } from '../output/table.js';
import type { Configuration } from '../run/record.js';
import type { Result } from './result.js';

/** The run directory of one seed. */
export const seedFolder = (folder: string, seed: number): string => `${folder}-seed${seed}`;

interface Spread {
  readonly mean: number;
  /** Sample standard deviation. */
  readonly deviation: number;
}

function spreadOf(values: readonly number[]): Spread {
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  const squares = values.reduce((sum, value) => sum + (value - mean) ** 2, 0);
  return { mean, deviation: Math.sqrt(squares / (values.length - 1)) };
}

/** What is compared between seeds. */
const figures = {
  params: ({ student }: Result) => student.params,
  compression: ({ compression }: Result) => compression,
  accuracy: ({ student }: Result) => student.accuracy,
  accuracyDropPoints: ({ accuracyDropPoints }: Result) => accuracyDropPoints,
  meanReward: ({ meanReward }: Result) => meanReward,
} as const;

/** Begins one run a seed, one after another, and prints their results side by side. Throws GoalError when one misses a constraint. */
export async function runSeeds(
  context: Context,
  folder: string,
  configuration: Configuration,
  seeds: number,
  begin: (path: string, configuration: Configuration) => Promise<Result>,
): Promise<void> {
  const results: Result[] = [];
  for (let seed = configuration.seed; seed < configuration.seed + seeds; seed++) {
    results.push(await begin(seedFolder(folder, seed), { ...configuration, seed }));
  }
  const spread = Object.fromEntries(Object.entries(figures).map(([name, of]) => [name, spreadOf(results.map(of))]));
  context.output.result({ seeds: results, spread }, () => readable(results));
  const missed = results.filter(({ constraints }) => constraints.some(({ met }) => !met)).map(({ seed }) => seed);
  if (missed.length > 0) throw new GoalError(`the best student of seed ${missed.join(', ')} does not keep every constraint; see above`);
}

function readable(results: readonly Result[]): string {
  const row = (name: string, show: (of: (result: Result) => number) => number): string[] => [
    name,
    count(Math.round(show(figures.params))),
    times(show(figures.compression)),
    percent(show(figures.accuracy)),
    show(figures.accuracyDropPoints).toFixed(2),
    show(figures.meanReward).toFixed(4),
  ];
  const over = (pick: keyof Spread) => (of: (result: Result) => number) => spreadOf(results.map(of))[pick];
  const rows = [
    ...results.map((result) => row(String(result.seed), (of) => of(result))),
    row('mean', over('mean')),
    row('deviation', over('deviation')),
  ];
  const right = ['parameters', 'smaller', 'test accuracy', 'points lost', 'mean reward'].map((title) => ({
    title,
    align: 'right' as const,
  }));
  return `${table([{ title: 'seed' }, ...right], rows)}\nruns: ${results.map(({ run }) => run).join(', ')}\n`;
}
