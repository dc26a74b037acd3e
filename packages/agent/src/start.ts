// How a search begins: the first record of its journal, and whether what is there already belongs to the same search.
import { specHash } from '@n2n/trainer/network';
import { latenciesNeeded } from './constraints.js';
import { ConfigurationError } from './errors.js';
import { JournalError } from './journal.js';
import type { SearchRecord, StartEvent } from './ledger.js';
import { architectureMeasures, type LatencyMeasures } from './measures.js';
import { describeOptions, type SearchOptions } from './options.js';
import type { SearchInput } from './search.js';

/** Of the journal's events; a journal of another one is refused. */
const JOURNAL_FORMAT = 2;

/** The search's first record: the one that its journal holds, when it fits what is resumed, or else a new one. */
export async function startOf({ teacher, journal }: Pick<SearchInput, 'teacher' | 'journal'>, options: SearchOptions): Promise<StartEvent> {
  const start: StartEvent = {
    type: 'start',
    format: JOURNAL_FORMAT,
    teacher: { hash: specHash(teacher.spec), params: architectureMeasures(teacher.spec).params, accuracy: teacher.accuracy },
    options: describeOptions(options),
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
  for (const [name, value] of Object.entries(start.options)) compare(name, written.options[name], value);
}
