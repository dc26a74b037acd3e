// What a search knows so far, as a function of its journal's events alone: outcomes, the best student, history, counts. The
// running search and a resumed one fold the same events, so they know the same.
import type { NetworkSpec } from '@n2n/trainer/network';
import { violation, type Limit } from './constraints.js';
import type { Outcome } from './evaluate.js';
import type { JournalEvent } from './journal.js';
import type { LatencyMeasures, Measures } from './measures.js';
import { unconstrainedReward, type TeacherMeasures } from './reward.js';
import type { StageName } from './stages.js';

/** The first record: what the search is about. A resumed search must have the same. */
export interface StartEvent extends JournalEvent {
  readonly type: 'start';
  readonly format: number;
  /** With its latencies where a constraint is about them: a resumed search does not measure them again. */
  readonly teacher: { readonly hash: string; readonly params: number; readonly accuracy: number } & LatencyMeasures;
  readonly options: Readonly<Record<string, unknown>>;
  /** By stage, the hash of the policy that it starts from; null for a fresh one. */
  readonly policies: Readonly<Record<string, string | null>>;
}

/** A stage begins from the network with this hash, with so many free decisions. */
export interface StageEvent extends JournalEvent {
  readonly type: 'stage';
  readonly stage: StageName;
  readonly base: string;
  readonly choices: number;
}

/** A student was trained. */
export interface OutcomeEvent extends JournalEvent, Measures {
  readonly type: 'outcome';
  readonly hash: string;
  /** Mean validation cross-entropy; null when it is not finite. */
  readonly loss: number | null;
  readonly spec: NetworkSpec;
  /** Of a student judged by successive halving: steps trained, and the accuracy at each rung. */
  readonly steps?: number;
  readonly rungs?: Outcome['rungs'];
  readonly skippedSteps?: Outcome['skippedSteps'];
}

/** One rollout of an update. `hash` is null for a degenerate student, and then `reason` says why it is one. */
export interface RolloutRecord {
  readonly actions: readonly number[];
  readonly hash: string | null;
  readonly reason?: string;
  readonly reward: number;
  readonly advantage: number;
}

/** The policy learned from the rollouts of one update. */
export interface UpdateEvent extends JournalEvent {
  readonly type: 'update';
  readonly stage: StageName;
  /** From 0 in each stage. */
  readonly update: number;
  readonly rollouts: readonly RolloutRecord[];
  readonly meanReward: number;
  /** Mean entropy of the free decisions, nats. */
  readonly entropy: number;
  readonly gradientNorm: number;
}

/** The search is over. */
export interface EndEvent extends JournalEvent {
  readonly type: 'end';
  readonly best: string | null;
}

export type SearchRecord = StartEvent | StageEvent | OutcomeEvent | UpdateEvent | EndEvent;

/** A student that was trained, and what it showed. */
export interface FinishedStudent {
  readonly hash: string;
  readonly spec: NetworkSpec;
  readonly measures: Measures;
  readonly loss: number | null;
  /** R_c R_a, whatever the constraints. */
  readonly merit: number;
  /** Sum of the constraints' relative shortfalls; 0 when all are met. */
  readonly violation: number;
}

export interface SearchCounts {
  /** Rollouts. */
  readonly sampled: number;
  /** Students trained. */
  readonly trained: number;
  /** Rollouts whose student had been trained or sampled before. */
  readonly repeated: number;
  /** Rollouts without a student worth training. */
  readonly degenerate: number;
  /** Rollouts that break a constraint on the architecture once that costs -1 whatever the accuracy: not trained. */
  readonly ruledOut: number;
}

export class Ledger {
  readonly #finished = new Map<string, FinishedStudent>();
  readonly #history: UpdateEvent[] = [];
  readonly #seen = new Set<string>();
  #best: FinishedStudent | undefined;
  #trainedBefore = 0;
  #counts: SearchCounts = { sampled: 0, trained: 0, repeated: 0, degenerate: 0, ruledOut: 0 };

  constructor(
    private readonly teacher: TeacherMeasures,
    private readonly limits: readonly Limit[],
  ) {}

  absorb(event: SearchRecord): void {
    switch (event.type) {
      case 'outcome':
        this.#finish(event);
        return;
      case 'update':
        this.#history.push(event);
        for (const rollout of event.rollouts) this.#count(rollout);
        return;
      case 'stage':
        this.#trainedBefore = this.#counts.trained;
        return;
      case 'start':
      case 'end':
        return;
      default:
        event satisfies never;
    }
  }

  outcome(hash: string): FinishedStudent | undefined {
    return this.#finished.get(hash);
  }

  /** In the order of training. */
  get finished(): readonly FinishedStudent[] {
    return [...this.#finished.values()];
  }

  /** The best student: of those that meet the constraints the one of greatest reward; if none does, the nearest miss. */
  get best(): FinishedStudent | undefined {
    return this.#best;
  }

  /** Best first. */
  get ranked(): readonly FinishedStudent[] {
    return this.finished.toSorted((a, b) => (isBetter(a, b) ? -1 : isBetter(b, a) ? 1 : 0));
  }

  /**
   * What the next stage starts from: the best student by R_c * R_a, whether it keeps the constraints or not. A size limit is what
   * shrinkage is there to meet; a network already shrunk to the limit by removal leaves it nothing to do (docs/decisions/0003).
   */
  get base(): FinishedStudent | undefined {
    const [first, ...others] = this.finished;
    return first && others.reduce((best, student) => (student.merit > best.merit ? student : best), first);
  }

  get history(): readonly UpdateEvent[] {
    return this.#history;
  }

  get counts(): SearchCounts {
    return this.#counts;
  }

  /** Students trained in the stage that is under way. */
  get trainedInStage(): number {
    return this.#counts.trained - this.#trainedBefore;
  }

  #finish(event: OutcomeEvent): void {
    const { type: _, hash, spec, loss, steps: _steps, rungs: _rungs, skippedSteps: _skippedSteps, ...measures } = event;
    const merit = unconstrainedReward(measures, this.teacher);
    const student = { hash, spec, measures, loss, merit, violation: violation(this.limits, measures) };
    this.#finished.set(hash, student);
    this.#counts = { ...this.#counts, trained: this.#counts.trained + 1 };
    if (this.#best === undefined || isBetter(student, this.#best)) this.#best = student;
  }

  #count({ hash }: RolloutRecord): void {
    const kind = hash === null ? 'degenerate' : this.#seen.has(hash) ? 'repeated' : this.#finished.has(hash) ? undefined : 'ruledOut';
    if (hash !== null) this.#seen.add(hash);
    const { sampled } = this.#counts;
    this.#counts = { ...this.#counts, sampled: sampled + 1, ...(kind === undefined ? {} : { [kind]: this.#counts[kind] + 1 }) };
  }
}

/** What students are ranked by. */
type Standing = Pick<FinishedStudent, 'violation' | 'merit'>;

/** Less violation first, then more merit; of equals the one found first stays. */
export function isBetter(a: Standing, b: Standing): boolean {
  return a.violation === b.violation ? a.merit > b.merit : a.violation < b.violation;
}
