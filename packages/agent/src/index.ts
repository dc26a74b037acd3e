// @n2n/agent: searches for a small student of a teacher. Pure: it is handed `evaluate` and knows neither device nor terminal.
export type { Candidate, Evaluate, Outcome } from './evaluate.js';
export { sampleStudents, uniformStudent, type SampleOptions } from './controls.js';
export { Journal, JournalError, openJournal, type JournalEvent, type JournalRecord, type JournalSink } from './journal.js';
export type { FinishedStudent, RolloutRecord, SearchCounts, SearchRecord, UpdateEvent } from './ledger.js';
export { searchDefaults, type SearchOptions } from './options.js';
export { regret, spearman } from './ranking.js';
export type { BaselineKind } from './reinforce.js';
export {
  ConfigurationError,
  architectureMeasures,
  parseConstraint,
  unconstrainedReward,
  violation,
  type Constraint,
  type Measures,
  type Metric,
} from './reward.js';
export { runSearch, type SearchEvent, type SearchInput, type SearchResult } from './search.js';
export { fileSnapshot, SnapshotError, type SearchState, type SnapshotStore } from './snapshot.js';
export { stageNames, type StageName } from './stages.js';
