// @n2n/agent: searches for a small student of a teacher. Pure: it is handed `evaluate` and knows neither device nor terminal.
export { shrinkageActions, type ShrinkageActions } from './actions/shrinkage.js';
export {
  describeMiss,
  latenciesNeeded,
  limitsFor,
  metrics,
  parseConstraint,
  verdicts,
  violation,
  withMargin,
  type Constraint,
  type Limit,
  type Metric,
  type Verdict,
} from './constraints.js';
export type { SearchEvent, SearchInput, SearchResult } from './contract.js';
export { sampleStudents, uniformStudent, type SampleOptions } from './controls.js';
export { ConfigurationError } from './errors.js';
export type { Candidate, Evaluate, Outcome } from './evaluate.js';
export { fixedLayers, type FixedLayer } from './fixed.js';
export { Journal, JournalError, openJournal, type JournalEvent, type JournalRecord, type JournalSink } from './journal.js';
export { isBetter } from './ledger.js';
export type { FinishedStudent, RolloutRecord, SearchCounts, SearchRecord, UpdateEvent } from './ledger.js';
export { architectureMeasures, type ArchitectureMeasures, type LatencyMeasures, type Measures } from './measures.js';
export { searchDefaults, type SearchOptions } from './options.js';
export { regret, spearman } from './ranking.js';
export { baselineKinds, type BaselineKind } from './reinforce.js';
export { unconstrainedReward } from './reward.js';
export { runSearch } from './search.js';
export { SnapshotError } from './packed.js';
export { paretoFront, type ParetoFront } from './pareto.js';
export type { SavedPolicy } from './policies/saved.js';
export { decodePolicies, encodePolicies, fileSnapshot, policiesIn, type SearchState, type SnapshotStore } from './snapshot.js';
export { checkSearch } from './start.js';
export { policyKinds, stageNames, type PolicyKind, type StageName } from './stages.js';
