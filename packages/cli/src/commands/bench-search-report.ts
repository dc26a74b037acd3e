// The measurements of `n2n bench search` as a table.
import { adapterName, type adapterRecord } from '../output/adapter.js';
import { count, duration, times } from '../output/format.js';
import { table } from '../output/table.js';
import type { SearchEngineName } from '../workflow/search-engines.js';
import type { Rounds } from '../workflow/search-rounds.js';

export interface SearchMeasurement extends Omit<Rounds, 'failed'> {
  /** Of the table of the teacher's logits, paid once for a whole search and in no engine's time. */
  readonly logitsSeconds: number;
  readonly unavailable: Rounds['failed'];
}

interface SearchDocument extends Omit<SearchMeasurement, 'results'> {
  readonly adapter: ReturnType<typeof adapterRecord>;
  readonly teacher: { readonly name: string; readonly params: number };
  readonly training: { readonly steps: number; readonly batch: number };
  readonly results: readonly {
    readonly engine: SearchEngineName;
    readonly candidatesPerHour: number;
    readonly seconds: number;
    readonly candidates: number;
  }[];
}

/** What each way does. */
const ABOUT: Readonly<Record<SearchEngineName, string>> = {
  n2n: 'cohorts, cached logits',
  'n2n-halving': 'the same, the worse stop early',
  'one-at-a-time-cached': 'alone, cached logits',
  'one-at-a-time': 'alone, the teacher on every batch',
  'torch-2': 'PyTorch, two threads, cached logits',
};

export function searchReport({
  adapter: found,
  teacher,
  training,
  results,
  identicalBits,
  logitsSeconds,
  unavailable,
}: SearchDocument): string {
  const [own] = results;
  const right = ['students', 'time', 'an hour', 'n2n is'].map((title) => ({ title, align: 'right' as const }));
  const rows = results.map(({ engine, candidates, seconds, candidatesPerHour }) => [
    engine,
    count(candidates),
    duration(seconds),
    count(candidatesPerHour),
    engine === 'n2n' ? '' : times(own!.candidatesPerHour / candidatesPerHour),
    ABOUT[engine],
  ]);
  const missing = unavailable.map(({ engine, reason }) => [engine, '-', '-', '-', '-', reason]);
  const bits = identicalBits === null ? 'not compared' : identicalBits ? 'identical bits' : 'DIFFERENT BITS';
  return (
    `${adapterName(found)}\n` +
    `students of ${teacher.name} (${count(teacher.params)} parameters), ${count(training.steps)} steps of ${training.batch} images each\n\n` +
    `${table([{ title: 'way' }, ...right, { title: '' }], [...rows, ...missing])}\n` +
    `students of a cohort and alone: ${bits}\nthe teacher's logits, once: ${duration(logitsSeconds)}\n`
  );
}
