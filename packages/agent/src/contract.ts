// What a search is given, what it tells while it runs, and what it gives back.
import type { NetworkSpec } from '@n2n/trainer/network';
import type { Evaluate } from './evaluate.js';
import type { Journal } from './journal.js';
import type { FinishedStudent, SearchCounts, UpdateEvent } from './ledger.js';
import type { LatencyMeasures } from './measures.js';
import type { SearchOptions } from './options.js';
import type { SavedPolicy } from './policies/saved.js';
import type { SnapshotStore } from './snapshot.js';
import type { StageName } from './stages.js';

/** What a search reports while it runs. Replayed parts of a resumed search are reported as well. */
export type SearchEvent =
  | { readonly type: 'stage'; readonly stage: StageName; readonly base: NetworkSpec; readonly choices: number; readonly updates: number }
  /** Students of an update are about to be trained. */
  | { readonly type: 'training'; readonly stage: StageName; readonly update: number; readonly candidates: number }
  | {
      readonly type: 'update';
      readonly stage: StageName;
      readonly update: number;
      readonly updates: number;
      readonly meanReward: number;
      readonly bestReward: number;
      readonly best: FinishedStudent | undefined;
      readonly counts: SearchCounts;
      readonly replayed: boolean;
    };

export interface SearchInput extends Partial<SearchOptions> {
  /**
   * `accuracy`: fraction of the validation split that students are judged on, above 0. `measureLatency` is called once, when
   * a new search has a constraint on latency; the journal keeps what it gave.
   */
  readonly teacher: { readonly spec: NetworkSpec; readonly accuracy: number; readonly measureLatency?: () => Promise<LatencyMeasures> };
  readonly evaluate: Evaluate;
  /** What the policies of the stages start from, in place of fresh weights; a stage without one starts fresh. */
  readonly policies?: readonly SavedPolicy[];
  /** Where every event is written; one that holds records already is continued. */
  readonly journal: Journal;
  /** Where the state after each update is kept; without one a resumed search replays its whole journal. */
  readonly snapshot?: SnapshotStore;
  readonly onEvent?: (event: SearchEvent) => void;
  /** Stops the search between two updates by throwing the signal's reason. */
  readonly signal?: AbortSignal;
}

export interface SearchResult {
  /** The best student, or the nearest miss when none meets the constraints; undefined when no student was trained. */
  readonly best: FinishedStudent | undefined;
  /** Whether `best` meets every constraint. */
  readonly feasible: boolean;
  /** Every trained student, in the order of training. */
  readonly finished: readonly FinishedStudent[];
  /** The same, best first. */
  readonly ranked: readonly FinishedStudent[];
  readonly history: readonly UpdateEvent[];
  readonly counts: SearchCounts;
}
