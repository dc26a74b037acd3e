// How a search begins: the first record of its journal, and whether what is there already belongs to the same search.
import { createHash } from 'node:crypto';
import { specHash } from '@n2n/trainer/network';
import { latenciesNeeded } from './constraints.js';
import type { SearchInput } from './contract.js';
import { ConfigurationError } from './errors.js';
import { JournalError } from './journal.js';
import type { SearchRecord, StartEvent } from './ledger.js';
import { architectureMeasures, type LatencyMeasures } from './measures.js';
import { describeOptions, resolveOptions, type SearchOptions } from './options.js';
import { toBytes } from './packed.js';
import type { Policy } from './policies/policy.js';
import { loadPolicy, type SavedPolicy } from './policies/saved.js';
import { keyedRandom } from './random.js';
import { stages, type StageName } from './stages.js';

/** Of the journal's events; a journal of another one is refused. */
const JOURNAL_FORMAT = 2;

/** The search's first record: the one that its journal holds, when it fits what is resumed, or else a new one. */
export async function startOf(
  { teacher, journal, policies }: Pick<SearchInput, 'teacher' | 'journal' | 'policies'>,
  options: SearchOptions,
): Promise<StartEvent> {
  const start: StartEvent = {
    type: 'start',
    format: JOURNAL_FORMAT,
    teacher: { hash: specHash(teacher.spec), params: architectureMeasures(teacher.spec).params, accuracy: teacher.accuracy },
    options: describeOptions(options),
    policies: describePolicies(options, policies),
  };
  const [first] = journal.records;
  if (first !== undefined) {
    const written = first.event as SearchRecord;
    checkStart(written, start);
    return written;
  }
  const { single, batch } = latenciesNeeded(options.constraints);
  if (!single && !batch) return start;
  const measured = latencies((await teacher.measureLatency?.()) ?? {}, options);
  for (const [name, value] of Object.entries(measured)) {
    if (!(value !== null && value > 0)) {
      throw new ConfigurationError(`the teacher's ${name} is ${value}; a constraint on latency needs it measured`);
    }
  }
  return { ...start, teacher: { ...start.teacher, ...measured } };
}

/** The policy that a stage begins with: of fresh weights, or of those that were handed in. Throws ConfigurationError. */
export function freshPolicy(index: number, options: SearchOptions, given: readonly SavedPolicy[] = []): Policy {
  const name = options.stages[index]!;
  const policy = stages[name].policy(keyedRandom(options.seed, `${index}/${name}/weights`), options);
  const saved = given.findLast(({ stage }) => stage === name);
  if (saved !== undefined) loadPolicy(policy, saved);
  return policy;
}

/** Throws ConfigurationError for what a search with these options and policies would refuse. */
export function checkSearch(options: Partial<SearchOptions>, policies?: readonly SavedPolicy[]): void {
  describePolicies(resolveOptions(options), policies);
}

/** For each stage what its policy starts from: the SHA-256 of the parameters, or null for fresh ones. */
function describePolicies(options: SearchOptions, given: readonly SavedPolicy[] | undefined): Record<string, string | null> {
  const described = options.stages.map((name, index): [StageName, string | null] => {
    freshPolicy(index, options, given); // refuses what does not fit before anything is written
    const saved = given?.findLast(({ stage }) => stage === name);
    return [name, saved === undefined ? null : createHash('sha256').update(toBytes(saved.values)).digest('hex')];
  });
  if (given !== undefined && described.every(([, hash]) => hash === null)) {
    const have = given.map(({ stage }) => stage).join(', ');
    throw new ConfigurationError(
      `the saved policies are of ${have === '' ? 'no stage' : have}; the search needs one of ${options.stages.join(', ')}`,
    );
  }
  return Object.fromEntries(described);
}

/** Those latencies that the constraints ask for, null where there is no measurement. */
export function latencies(measured: LatencyMeasures, { constraints }: SearchOptions): LatencyMeasures {
  const { single, batch } = latenciesNeeded(constraints);
  return {
    ...(single ? { latencyMs: measured.latencyMs ?? null } : {}),
    ...(batch ? { batchLatencyMs: measured.batchLatencyMs ?? null } : {}),
  };
}

/** Refuses a journal of another search, by the name of what differs. */
function checkStart(written: SearchRecord, start: StartEvent): asserts written is StartEvent {
  if (written.type !== 'start')
    throw new JournalError(`journal, line 1: it is a record of type "${written.type}", a search begins with "start"`);
  if (written.format !== start.format) {
    throw new JournalError(`journal, line 1: it has format ${written.format}, this version goes on with ${start.format}; begin a new run`);
  }
  const compare = (what: string, was: unknown, is: unknown): void => {
    if (JSON.stringify(was) === JSON.stringify(is)) return;
    throw new JournalError(
      `the run was started with ${what} ${JSON.stringify(was)}, it is resumed with ${JSON.stringify(is)}; it needs the same`,
    );
  };
  const { latencyMs: _, batchLatencyMs: _batch, ...teacher } = written.teacher;
  compare('the teacher', teacher, start.teacher);
  compare('the policies', written.policies, start.policies);
  for (const [name, value] of Object.entries(start.options)) compare(name, written.options[name], value);
}
