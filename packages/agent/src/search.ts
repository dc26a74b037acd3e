// The search, from top to bottom: for each stage, for each update, sample rollouts, make students, train those not seen
// before, reward, learn, write down (METHOD; DESIGN section 7). It is handed `evaluate` and knows of no device.
import { specHash, type NetworkSpec } from '@n2n/trainer/network';
import type { Problem } from './actions/problem.js';
import { limitsFor, violation, withMargin, type Limit } from './constraints.js';
import type { SearchInput, SearchResult } from './contract.js';
import { Critic } from './critic.js';
import { DEGENERATE_REWARD, judge } from './degenerate.js';
import { ConfigurationError } from './errors.js';
import { checkOutcomes, type Candidate } from './evaluate.js';
import type { Journal } from './journal.js';
import { Ledger, type OutcomeEvent, type SearchRecord, type StartEvent } from './ledger.js';
import { architectureMeasures, type Measures } from './measures.js';
import { Adam } from './nn/adam.js';
import { resolveOptions, type SearchOptions } from './options.js';
import { choices, type Policy } from './policies/policy.js';
import { loadPolicy, savePolicy, type SavedPolicy } from './policies/saved.js';
import { keyedRandom, type KeyedRandom } from './random.js';
import { reinforce, sampleRollouts, type BaselineState } from './reinforce.js';
import { leniency, reward } from './reward.js';
import type { SearchState } from './snapshot.js';
import { stages, type StageName } from './stages.js';
import { freshPolicy, latencies, startOf } from './start.js';

/**
 * Runs or resumes a search. Equal options, teacher and outcomes give an equal journal (times aside) and an equal result, also
 * when the search was cut off and resumed. Throws ConfigurationError, JournalError, SnapshotError, and whatever `evaluate` throws.
 */
export async function runSearch(input: SearchInput): Promise<SearchResult> {
  const options = resolveOptions(input);
  const { accuracy } = input.teacher;
  if (!(accuracy > 0 && accuracy <= 1)) {
    throw new ConfigurationError(`the teacher's accuracy is ${accuracy}; the reward needs a fraction above 0, at most 1`);
  }
  const start = await startOf(input, options);
  return new Search(input, options, start).run();
}

/** What a stage carries from update to update. */
interface StageRun {
  readonly name: StageName;
  readonly index: number;
  readonly base: NetworkSpec;
  /** What its students have to keep. */
  readonly limits: readonly Limit[];
  readonly problem: Problem;
  readonly policy: Policy;
  readonly optimiser: Adam;
  readonly baseline: BaselineState;
  readonly random: KeyedRandom;
}

/** One rollout's student; `hash` is undefined when it is degenerate. */
interface Sampled {
  readonly actions: readonly number[];
  readonly candidate: Candidate | undefined;
  readonly reason: string | undefined;
}

class Search {
  readonly #teacher: Measures;
  readonly #limits: readonly Limit[];
  readonly #ledger: Ledger;
  readonly #journal: Journal;
  /** Outcomes that the journal holds beyond the snapshot: those of a lost half-update are not trained again. */
  readonly #ahead = new Map<string, OutcomeEvent>();
  /** The last policies of the stages that are over. */
  readonly #learned: SavedPolicy[] = [];

  constructor(
    private readonly input: SearchInput,
    private readonly options: SearchOptions,
    private readonly start: StartEvent,
  ) {
    const { hash: _, ...measured } = start.teacher;
    this.#teacher = { ...architectureMeasures(input.teacher.spec), ...measured };
    this.#limits = withMargin(limitsFor(options.constraints, this.#teacher));
    this.#ledger = new Ledger(this.#teacher, this.#limits);
    this.#journal = input.journal;
  }

  async run(): Promise<SearchResult> {
    const saved = await this.#start();
    for (let index = saved?.stage ?? 0; index < this.options.stages.length; index++) {
      const resumed = saved?.stage === index ? saved : undefined;
      const stage = this.#openStage(index, resumed);
      const free = choices(stage.problem.episode);
      const { name, base } = stage;
      if (resumed === undefined) await this.#write({ type: 'stage', stage: name, base: specHash(base), choices: free });
      this.input.onEvent?.({ type: 'stage', stage: name, base, choices: free, updates: this.options.updates });
      if (free === 0) continue;
      for (let update = resumed?.update ?? 0; update < this.options.updates && !this.#isSpent(); update++) {
        this.input.signal?.throwIfAborted();
        await this.#update(stage, update);
      }
      this.#learned.push(savePolicy(name, stage.policy));
    }
    const { best, finished, ranked, history, counts } = this.#ledger;
    await this.#write({ type: 'end', best: best?.hash ?? null });
    await this.#journal.sync();
    return { best, feasible: best !== undefined && best.violation === 0, finished, ranked, history, counts };
  }

  /** Whether the stage has trained as many students as it may. */
  #isSpent(): boolean {
    const { candidates } = this.options;
    return candidates > 0 && this.#ledger.trainedInStage >= candidates;
  }

  /** Writes the first record, or finds it written, then takes up what snapshot and journal hold. */
  async #start(): Promise<SearchState | undefined> {
    await this.#write(this.start);
    const saved = await this.input.snapshot?.load();
    if (saved !== undefined) {
      this.#learned.push(...saved.learned);
      for (const { event } of this.#journal.skipTo(saved.sequence)) this.#ledger.absorb(event as SearchRecord);
    }
    for (const { event } of this.#journal.records.slice(this.#journal.position)) {
      if (event.type === 'outcome') this.#ahead.set((event as OutcomeEvent).hash, event as OutcomeEvent);
    }
    return saved;
  }

  #openStage(index: number, resumed: SearchState | undefined): StageRun {
    const { seed, learningRates } = this.options;
    const name = this.options.stages[index]!;
    const base = resumed?.base ?? this.#ledger.base?.spec ?? this.input.teacher.spec;
    const policy = freshPolicy(index, this.options, this.input.policies);
    if (resumed !== undefined) loadPolicy(policy, resumed.policy);
    return {
      name,
      index,
      base,
      limits: this.#limitsOf(index),
      problem: stages[name].problem(base, this.options),
      policy,
      optimiser: new Adam(policy.parameters, learningRates[name], resumed?.optimiser),
      baseline: { average: resumed?.baseline ?? undefined, critic: this.#critic(index, resumed) },
      random: keyedRandom(seed, `${index}/${name}/rollout`),
    };
  }

  /** What a network costs is shrinkage's business: a stage before it answers for accuracy alone (docs/decisions/0003). */
  #limitsOf(index: number): readonly Limit[] {
    const shrinksLater = this.options.stages.slice(index + 1).includes('shrinkage');
    return shrinksLater ? this.#limits.filter(({ metric }) => metric === 'accuracy') : this.#limits;
  }

  #critic(index: number, resumed: SearchState | undefined): Critic | undefined {
    if (this.options.baseline !== 'actor-critic') return undefined;
    const name = this.options.stages[index]!;
    const { stateSize, actions } = stages[name].sizes(this.options);
    const random = keyedRandom(this.options.seed, `${index}/${name}/critic`);
    return new Critic(stateSize, actions, random, { saved: resumed?.critic ?? undefined });
  }

  async #update(stage: StageRun, update: number): Promise<void> {
    const { policy, problem, optimiser, baseline, random } = stage;
    const trajectories = sampleRollouts(policy, problem.episode, random, update, this.options.rollouts);
    const sampled = trajectories.map(({ actions }) => this.#studentOf(problem, actions));
    await this.#train(stage, update, sampled);
    const rewards = sampled.map((student) => this.#rewardOf(stage, student, update));
    const statistics = reinforce(policy, optimiser, problem.episode, trajectories, rewards, this.options, baseline);
    const meanReward = rewards.reduce((sum, value) => sum + value, 0) / rewards.length;
    const replayed = await this.#write({
      type: 'update',
      stage: stage.name,
      update,
      rollouts: sampled.map(({ actions, candidate, reason }, r) => ({
        actions,
        hash: candidate?.hash ?? null,
        ...(reason === undefined ? {} : { reason }),
        reward: rewards[r]!,
        advantage: statistics.advantages[r]!,
      })),
      meanReward,
      entropy: statistics.entropy,
      gradientNorm: statistics.gradientNorm,
    });
    await this.#save(stage, update + 1);
    const { best, counts } = this.#ledger;
    const { updates } = this.options;
    const bestReward = Math.max(...rewards);
    this.input.onEvent?.({ type: 'update', stage: stage.name, update, updates, meanReward, bestReward, best, counts, replayed });
  }

  #studentOf(problem: Problem, actions: readonly number[]): Sampled {
    const student = judge(problem.apply(actions), this.#teacher);
    if (student.kind === 'degenerate') return { actions, candidate: undefined, reason: student.reason };
    return { actions, candidate: { spec: student.spec, hash: specHash(student.spec) }, reason: undefined };
  }

  /** Trains the update's students that have no outcome yet, all in one call, each architecture once. */
  async #train(stage: StageRun, update: number, sampled: readonly Sampled[]): Promise<void> {
    const fresh = new Map<string, Candidate>();
    for (const { candidate } of sampled) {
      if (candidate === undefined || this.#ledger.outcome(candidate.hash) !== undefined) continue;
      if (this.#isRuledOut(stage, candidate.spec, update)) continue;
      fresh.set(candidate.hash, fresh.get(candidate.hash) ?? candidate);
    }
    const missing = this.#unjudged([...fresh.values()]);
    if (missing.length > 0) {
      this.input.onEvent?.({ type: 'training', stage: stage.name, update, candidates: missing.length });
    }
    const outcomes = missing.length === 0 ? [] : await this.input.evaluate(missing);
    checkOutcomes(missing, outcomes, this.options.constraints);
    const byHash = new Map(outcomes.map((outcome) => [outcome.hash, outcome]));
    for (const { hash, spec } of fresh.values()) {
      const outcome = this.#ahead.get(hash) ?? byHash.get(hash)!;
      const loss = outcome.loss !== null && Number.isFinite(outcome.loss) ? outcome.loss : null;
      const measures = { ...architectureMeasures(spec), accuracy: outcome.accuracy, ...latencies(outcome, this.options) };
      const { steps, rungs = [], skippedSteps } = outcome;
      const skipped = skippedSteps === undefined ? {} : { skippedSteps };
      const halving = rungs.length === 0 || steps === undefined ? {} : { steps, rungs };
      await this.#write({ type: 'outcome', hash, loss, ...measures, ...halving, ...skipped, spec }, byHash.get(hash)?.seconds);
    }
  }

  /**
   * Those without an outcome in the journal. All of them where some have one that passed rungs: what a student gets there depends on
   * the others that it was judged with.
   */
  #unjudged(fresh: readonly Candidate[]): readonly Candidate[] {
    const missing = fresh.filter(({ hash }) => !this.#ahead.has(hash));
    const together = fresh.some(({ hash }) => (this.#ahead.get(hash)?.rungs?.length ?? 0) > 0);
    return missing.length > 0 && together ? fresh : missing;
  }

  /** Whether a constraint on the architecture fails at a time when that costs -1 whatever the accuracy. */
  #isRuledOut({ limits }: StageRun, spec: NetworkSpec, update: number): boolean {
    return leniency(update, this.options.lenientUpdates) === 0 && violation(limits, architectureMeasures(spec)) > 0;
  }

  #rewardOf({ limits }: StageRun, { candidate }: Sampled, update: number): number {
    if (candidate === undefined) return DEGENERATE_REWARD;
    const outcome = this.#ledger.outcome(candidate.hash);
    // Without an outcome it was ruled out: the reward of a violation at leniency 0.
    return outcome === undefined ? -1 : reward(outcome.measures, this.#teacher, limits, leniency(update, this.options.lenientUpdates));
  }

  async #write(event: SearchRecord, seconds?: number): Promise<boolean> {
    const replayed = await this.#journal.write(event, seconds);
    this.#ledger.absorb(event);
    return replayed;
  }

  /** The journal reaches the disk before the snapshot that counts on it. */
  async #save(stage: StageRun, update: number): Promise<void> {
    await this.#journal.sync();
    await this.input.snapshot?.save({
      sequence: this.#journal.position,
      stage: stage.index,
      update,
      base: stage.base,
      policy: savePolicy(stage.name, stage.policy),
      learned: [...this.#learned],
      optimiser: stage.optimiser.state,
      baseline: stage.baseline.average ?? null,
      critic: stage.baseline.critic?.state ?? null,
    });
  }
}
