import { parameterCount, parseSpec, specHash, zooSpec, type NetworkSpec } from '@n2n/trainer/network';
import { describe, expect, test } from 'vitest';
import { parseConstraint } from './constraints.js';
import type { Candidate, Evaluate, Outcome } from './evaluate.js';
import { decodeJournal, encodeRecord, eventText, Journal } from './journal.js';
import type { UpdateEvent } from './ledger.js';
import type { SearchEvent, SearchInput } from './contract.js';
import { runSearch } from './search.js';
import { decodeSnapshot, encodeSnapshot, type SnapshotStore } from './snapshot.js';

const mnist = { channels: 1, height: 28, width: 28, classes: 10 };
const plain = zooSpec('plain-6@0.5', mnist);
/** Three free removals and a handful of shrinkages: quick to search, small enough to repeat itself. */
const tiny = parseSpec({
  name: 'tiny',
  input: { channels: 1, height: 8, width: 8 },
  classes: 4,
  nodes: [
    { id: 'conv1', type: 'conv2d', attributes: { filters: 20, kernel: 3, padding: 1 } },
    { id: 'relu1', type: 'relu' },
    { id: 'conv2', type: 'conv2d', attributes: { filters: 30, kernel: 3, stride: 1, padding: 1 } },
    { id: 'relu2', type: 'relu' },
    { id: 'pool', type: 'global-average-pool' },
    { id: 'fc', type: 'linear', attributes: { features: 4 } },
  ],
});
const residual = zooSpec('resnet18@0.25', { channels: 3, height: 32, width: 32, classes: 10 });

/** A stand-in for training: accuracy grows with the number of parameters and falls with every missing convolution. */
function pretend(spec: NetworkSpec): number {
  const convolutions = spec.nodes.filter(({ type }) => type === 'conv2d').length;
  return 0.98 * (1 - Math.exp(-parameterCount(spec) / 2000)) * (1 - Math.exp(-convolutions));
}

/** An evaluate that keeps what it was asked. */
function recorder(score: (spec: NetworkSpec) => number = pretend): { evaluate: Evaluate; calls: Candidate[][] } {
  const calls: Candidate[][] = [];
  const evaluate: Evaluate = async (candidates) => {
    calls.push([...candidates]);
    return candidates.map(({ spec, hash }): Outcome => ({ hash, accuracy: score(spec), loss: 1 - score(spec), seconds: calls.length }));
  };
  return { evaluate, calls };
}

/** A disk: the text of a journal and a snapshot's bytes. `failAfter` appends it breaks down, as a killed process would. */
class Disk {
  text = '';
  state: Uint8Array | undefined;
  #appends = 0;
  #clock = 0;

  journal(failAfter = Infinity): Journal {
    this.#appends = 0;
    const { records, bytes } = decodeJournal(Buffer.from(this.text));
    this.text = Buffer.from(this.text).toString('utf8', 0, bytes);
    const append = async (line: string): Promise<void> => {
      if (this.#appends++ === failAfter) {
        this.text += line.slice(0, line.length / 2);
        throw new Error('killed');
      }
      this.text += line;
    };
    return new Journal({ append, sync: async () => {}, close: async () => {} }, records, () => `tick ${this.#clock++}`);
  }

  readonly snapshot: SnapshotStore = {
    load: async () => (this.state === undefined ? undefined : decodeSnapshot(this.state)),
    save: async (state) => {
      this.state = encodeSnapshot(state);
    },
  };

  get events(): string[] {
    return decodeJournal(Buffer.from(this.text)).records.map(({ event }) => eventText(event));
  }
}

const base = {
  teacher: { spec: tiny, accuracy: 0.95 },
  updates: 3,
  rollouts: 3,
  seed: 5,
} as const;

function search(options: Partial<SearchInput> = {}, disk = new Disk()) {
  return runSearch({ ...base, evaluate: recorder().evaluate, journal: disk.journal(), snapshot: disk.snapshot, ...options });
}

describe('a search', () => {
  test.each([
    ['plain', plain],
    ['residual', residual],
  ])('of a %s teacher goes through both stages and keeps the best student', async (_name, spec) => {
    const { evaluate, calls } = recorder();
    const events: SearchEvent[] = [];
    const result = await search({ teacher: { spec, accuracy: 0.95 }, evaluate, updates: 2, onEvent: (event) => events.push(event) });
    const best = result.best!;
    expect(result.feasible).toBe(true);
    expect(parseSpec(best.spec)).toEqual(best.spec);
    expect(best.merit).toBe(Math.max(...result.finished.map(({ merit }) => merit)));
    expect(best.measures.accuracy).toBe(pretend(best.spec));
    expect(events.filter(({ type }) => type === 'stage')).toHaveLength(2);
    expect(result.history.map(({ stage, update }) => `${stage} ${update}`)).toEqual(
      ['removal', 'shrinkage'].flatMap((stage) => [0, 1].map((update) => `${stage} ${update}`)),
    );
    const { sampled, trained, repeated, degenerate, ruledOut } = result.counts;
    expect(sampled).toBe(2 * 2 * 3);
    expect(trained).toBe(calls.flat().length);
    expect(trained + repeated + degenerate + ruledOut).toBe(sampled);
  });

  test('stage 2 starts from the best student of stage 1', async () => {
    const stageEvents: Extract<SearchEvent, { type: 'stage' }>[] = [];
    const result = await search({ onEvent: (event) => event.type === 'stage' && stageEvents.push(event) });
    const hashes = new Set(
      result.history.filter(({ stage }) => stage === 'removal').flatMap(({ rollouts }) => rollouts.map(({ hash }) => hash)),
    );
    const first = result.finished.filter(({ hash }) => hashes.has(hash));
    const best = first.reduce((a, b) => (b.merit > a.merit ? b : a));
    expect(specHash(stageEvents[0]!.base)).toBe(specHash(tiny));
    expect(specHash(stageEvents[1]!.base)).toBe(best.hash);
  });

  test('an architecture is trained once, and those of one update together', async () => {
    const { evaluate, calls } = recorder();
    const result = await search({ stages: ['removal'], updates: 10, rollouts: 5, evaluate });
    const hashes = calls.flat().map(({ hash }) => hash);
    expect(new Set(hashes).size).toBe(hashes.length);
    expect(calls.length).toBeLessThanOrEqual(7);
    expect(calls.some(({ length }) => length > 1)).toBe(true);
    expect(result.counts.repeated).toBeGreaterThan(20);
    for (const { spec, hash } of calls.flat()) expect(specHash(spec)).toBe(hash);
  });

  test('rewards are those of the students, advantages those of the rollouts', async () => {
    const { history, finished } = await search({ updates: 4 });
    const merits = new Map(finished.map(({ hash, merit }) => [hash, merit]));
    for (const { rollouts, meanReward } of history) {
      for (const { hash, reason, reward } of rollouts) {
        expect(reward).toBe(hash === null ? -1 : merits.get(hash));
        expect(reason === undefined).toBe(hash !== null);
      }
      const others = (r: number): number => rollouts.filter((_, o) => o !== r).reduce((sum, { reward }) => sum + reward, 0) / 2;
      rollouts.forEach(({ reward, advantage }, r) => expect(advantage).toBeCloseTo(reward - others(r), 12));
      expect(meanReward).toBeCloseTo(rollouts.reduce((sum, { reward }) => sum + reward, 0) / 3, 12);
    }
  });

  test('learns which layers to shrink and which to leave', async () => {
    // Narrowing the first convolution costs accuracy, narrowing the second one does not.
    const wide = parseSpec({
      ...tiny,
      nodes: tiny.nodes.map((node) => (node.type === 'conv2d' ? { ...node, attributes: { ...node.attributes, filters: 100 } } : node)),
    });
    const filters = (spec: NetworkSpec, id: string): number => spec.nodes.find((node) => node.id === id)!.attributes['filters'] as number;
    const { evaluate } = recorder((spec) => (0.95 * filters(spec, 'conv1')) / 100);
    const { history } = await search({
      teacher: { spec: wide, accuracy: 0.95 },
      stages: ['shrinkage'],
      updates: 90,
      rollouts: 5,
      evaluate,
    });
    const mean = (part: readonly UpdateEvent[]): number => part.reduce((sum, { meanReward }) => sum + meanReward, 0) / part.length;
    expect(mean(history.slice(0, 10))).toBeLessThan(0.6);
    // One action for all layers alike earns at most 0.735: more needs a policy that tells layers apart.
    expect(mean(history.slice(-10))).toBeGreaterThan(0.85);
  });
});

describe('constraints', () => {
  test('a feasible student is preferred to a better one that is not', async () => {
    const free = await search({ updates: 10 });
    const limit = Math.floor(free.best!.measures.params * 0.6);
    const bound = await search({ updates: 14, constraints: [parseConstraint(`params<=${limit}`)] });
    expect(bound.feasible).toBe(true);
    expect(bound.best!.measures.params).toBeLessThanOrEqual(limit);
    expect(bound.finished.some(({ merit }) => merit > bound.best!.merit)).toBe(true);
  });

  test('shrinkage starts from the best trade, though only a worse student keeps the constraints', async () => {
    const options = { teacher: { spec: plain, accuracy: 0.95 }, updates: 3 };
    const { finished } = await search({ ...options, stages: ['removal'] });
    const smallest = finished.reduce((least, student) => (student.measures.params < least.measures.params ? student : least));
    const greatest = finished.reduce((most, student) => (student.merit > most.merit ? student : most));
    expect(smallest.merit).toBeLessThan(greatest.merit);
    const bases: string[] = [];
    const bound = await search({
      ...options,
      constraints: [parseConstraint(`params<=${smallest.measures.params}`)],
      onEvent: (event) => event.type === 'stage' && bases.push(specHash(event.base)),
    });
    expect(bases[1]).toBe(greatest.hash);
    expect(bound.best!.measures.params).toBeLessThanOrEqual(smallest.measures.params);
  });

  test('when none can be met the nearest miss is returned; from update 15 on what breaks a size limit is not trained', async () => {
    const { evaluate, calls } = recorder();
    const result = await search({ stages: ['shrinkage'], updates: 18, constraints: [parseConstraint('params<=10')], evaluate });
    expect(result.feasible).toBe(false);
    expect(result.best!.measures.params).toBe(Math.min(...result.finished.map(({ measures }) => measures.params)));
    expect(result.counts.ruledOut).toBeGreaterThan(0);
    expect(result.history.slice(15).flatMap(({ rollouts }) => rollouts.map(({ reward }) => reward))).toEqual(Array(9).fill(-1));
    expect(calls.length).toBe(15);
  });
});

describe('a budget of candidates', () => {
  test('ends a stage once it has trained as many; students that break a size limit cost nothing without leniency', async () => {
    const free = await search({ stages: ['shrinkage'], updates: 6 });
    const sizes = free.finished.map(({ measures }) => measures.params).toSorted((a, b) => a - b);
    const limit = sizes[Math.floor(sizes.length / 3)]!;
    const { evaluate, calls } = recorder();
    const constraints = [parseConstraint(`params<=${limit}`)];
    const options = { stages: ['shrinkage'] as const, updates: 200, candidates: 6, lenientUpdates: 0, constraints, evaluate };
    const { counts, history } = await search(options);
    // The update that reaches the budget is carried out whole.
    expect(counts.trained).toBeGreaterThanOrEqual(6);
    expect(counts.trained).toBeLessThan(6 + 3);
    expect(history.length).toBeLessThan(200);
    expect(counts.ruledOut).toBeGreaterThan(0);
    for (const { spec } of calls.flat()) expect(parameterCount(spec)).toBeLessThanOrEqual(limit);
  });

  test('counts anew in each stage, and removal leaves the size to shrinkage', async () => {
    const { evaluate, calls } = recorder();
    const constraints = [parseConstraint('params<=10')];
    await search({ teacher: { spec: plain, accuracy: 0.95 }, updates: 30, candidates: 4, lenientUpdates: 0, constraints, evaluate });
    // No student of either stage is as small; only shrinkage is asked for it.
    expect(calls.flat().length).toBeGreaterThanOrEqual(4);
    expect(calls.flat().length).toBeLessThan(4 + 3);
    const alone = recorder();
    await search({
      teacher: { spec: plain, accuracy: 0.95 },
      stages: ['removal'],
      updates: 3,
      lenientUpdates: 0,
      constraints,
      evaluate: alone.evaluate,
    });
    expect(alone.calls.flat()).toEqual([]);
  });

  test('is the same one after a resumption', async () => {
    const options = { updates: 30, candidates: 4 };
    const whole = new Disk();
    await search(options, whole);
    const disk = new Disk();
    const { evaluate } = recorder();
    await expect(search({ ...options, evaluate, journal: disk.journal(9) }, disk)).rejects.toThrow('killed');
    await search({ ...options, evaluate: recorder().evaluate, journal: disk.journal() }, disk);
    expect(disk.events).toEqual(whole.events);
  });
});

describe('a constraint on latency', () => {
  const teacher = { spec: tiny, accuracy: 0.95, measureLatency: async () => ({ latencyMs: 4, batchLatencyMs: 90 }) };
  /** Milliseconds in proportion to the parameters; what was measured once differs a little the second time. */
  const measured = (): { evaluate: Evaluate; calls: Candidate[][] } => {
    const { evaluate, calls } = recorder();
    const withLatency: Evaluate = async (candidates) => {
      const outcomes = await evaluate(candidates);
      return outcomes.map((outcome, i) => ({
        ...outcome,
        latencyMs: (4 * parameterCount(candidates[i]!.spec)) / parameterCount(tiny) + 1e-6 * calls.length,
      }));
    };
    return { evaluate: withLatency, calls };
  };
  const half = { teacher, constraints: [parseConstraint('latency<=0.025x')] };

  test("is held against the teacher's own, and both are in the journal", async () => {
    const disk = new Disk();
    const result = await search({ ...half, evaluate: measured().evaluate, updates: 8 }, disk);
    expect(result.feasible).toBe(true);
    expect(result.best!.measures.latencyMs).toBeLessThanOrEqual(0.1);
    expect(result.finished.some((student) => student.violation > 0)).toBe(true);
    expect(disk.events[0]).toContain('"latencyMs":4}');
    expect(disk.events.filter((text) => text.startsWith('{"type":"outcome"')).every((text) => /"latencyMs":[\d.]+,/.test(text))).toBe(true);
  });

  test('is measured once: a resumed search takes both from the journal', async () => {
    const disk = new Disk();
    const first = measured();
    await expect(search({ ...half, evaluate: first.evaluate, journal: disk.journal(9) }, disk)).rejects.toThrow('killed');
    const written = disk.events;
    disk.state = undefined;
    const again = { ...teacher, measureLatency: () => Promise.reject(new Error('measured again')) };
    const second = measured();
    await search({ ...half, teacher: again, evaluate: second.evaluate, journal: disk.journal() }, disk);
    expect(disk.events.slice(0, written.length)).toEqual(written);
    const hashes = [...first.calls.flat(), ...second.calls.flat()].map(({ hash }) => hash);
    const twice = hashes.filter((hash, i) => hashes.indexOf(hash) !== i);
    expect(written.filter((text) => twice.some((hash) => text.startsWith(`{"type":"outcome","hash":"${hash}"`)))).toEqual([]);
  });

  test('is not kept by a student that could not be measured', async () => {
    const evaluate: Evaluate = async (candidates) =>
      candidates.map(({ hash }) => ({ hash, accuracy: 0, loss: Number.NaN, seconds: 0, latencyMs: null }));
    const result = await search({ ...half, evaluate, stages: ['shrinkage'], updates: 1 });
    expect(result).toMatchObject({ feasible: false, best: { violation: Infinity } });
  });

  test('needs the measurements', async () => {
    await expect(search({ ...half, evaluate: recorder().evaluate })).rejects.toThrow(/latencyMs is undefined/);
    await expect(search({ ...half, teacher: { spec: tiny, accuracy: 0.9 } })).rejects.toThrow(/teacher's latencyMs is null/);
  });
});

describe('the same seed', () => {
  test('gives the same journal, times aside; another one does not', async () => {
    const [a, b, c] = [new Disk(), new Disk(), new Disk()];
    await search({}, a);
    await search({ evaluate: recorder().evaluate }, b);
    await search({ seed: 6 }, c);
    expect(a.events).toEqual(b.events);
    expect(a.events).not.toEqual(c.events);
    const withoutTime = (text: string): string => text.replace(/,"time":\{.*\}\}\n/g, '\n');
    expect(withoutTime(a.text)).toBe(withoutTime(b.text));
  });

  test('gives the same outcomes whether evaluate answers at once or late', async () => {
    const [a, b] = [new Disk(), new Disk()];
    await search({}, a);
    const { evaluate } = recorder();
    await search({ evaluate: async (candidates) => (await new Promise((resolve) => setTimeout(resolve, 1)), evaluate(candidates)) }, b);
    expect(a.events).toEqual(b.events);
  });
});

describe('a search that was killed', () => {
  test.each(['with', 'without'])(
    'at any record, and resumed %s its snapshot, comes to the same bits and trains nothing twice',
    async (which) => {
      const whole = new Disk();
      const reference = await search({ updates: 2 }, whole);
      for (let failAfter = 0; failAfter < whole.events.length; failAfter++) {
        const disk = new Disk();
        const before = recorder();
        await expect(search({ updates: 2, evaluate: before.evaluate, journal: disk.journal(failAfter) }, disk)).rejects.toThrow('killed');
        if (which === 'without') disk.state = undefined;
        const written = disk.events.filter((text) => text.startsWith('{"type":"outcome"')).length;
        const after = recorder();
        const result = await search({ updates: 2, evaluate: after.evaluate, journal: disk.journal() }, disk);
        expect(disk.events, `killed at record ${failAfter}`).toEqual(whole.events);
        expect(Buffer.compare(disk.state!, whole.state!)).toBe(0);
        expect(result).toEqual(reference);
        expect(after.calls.flat().length).toBe(reference.counts.trained - written);
      }
    },
  );

  test('where students were judged against each other, comes to the same bits', async () => {
    // Of all that are judged together, the first alone goes on after the rung.
    const halving: Evaluate = async (candidates) =>
      (await recorder().evaluate(candidates)).map((outcome, i) => ({
        ...outcome,
        accuracy: i === 0 ? outcome.accuracy : outcome.accuracy / 2,
        steps: i === 0 ? 4 : 2,
        rungs: candidates.length === 1 ? [] : [{ steps: 2, accuracy: outcome.accuracy / 2 }],
      }));
    const whole = new Disk();
    const reference = await search({ updates: 2, evaluate: halving }, whole);
    for (let failAfter = 0; failAfter < whole.events.length; failAfter++) {
      const disk = new Disk();
      await expect(search({ updates: 2, evaluate: halving, journal: disk.journal(failAfter) }, disk)).rejects.toThrow('killed');
      expect(await search({ updates: 2, evaluate: halving, journal: disk.journal() }, disk)).toEqual(reference);
      expect(disk.events, `killed at record ${failAfter}`).toEqual(whole.events);
    }
  });

  test('between two updates by its signal goes on where it stopped', async () => {
    const [whole, disk] = [new Disk(), new Disk()];
    const reference = await search({}, whole);
    for (let stopAt = 0; stopAt < 5; stopAt++) {
      const controller = new AbortController();
      let updates = 0;
      const onEvent = (event: SearchEvent): void => {
        if (event.type === 'update' && updates++ === 0) controller.abort(new Error('stop'));
      };
      await expect(search({ journal: disk.journal(), signal: controller.signal, onEvent }, disk)).rejects.toThrow('stop');
    }
    expect(await search({ journal: disk.journal() }, disk)).toEqual(reference);
    expect(disk.events).toEqual(whole.events);
  });

  test('and is started once more when it is over, evaluates nothing', async () => {
    const disk = new Disk();
    const reference = await search({}, disk);
    const { evaluate, calls } = recorder();
    expect(await search({ evaluate, journal: disk.journal() }, disk)).toEqual(reference);
    expect(calls).toEqual([]);
  });

  test.each([
    ['seed', { seed: 6 }, /seed 5.*resumed with 6/],
    ['rollouts', { rollouts: 4 }, /rollouts 3.*resumed with 4/],
    ['constraints', { constraints: [parseConstraint('params<=9')] }, /constraints \[\].*params<=9/],
    ['teacher', { teacher: { spec: tiny, accuracy: 0.9 } }, /the teacher .*0\.95.*0\.9/],
  ])('is refused with another %s', async (_name, change, message) => {
    const disk = new Disk();
    await search({}, disk);
    await expect(search({ ...change, journal: disk.journal() }, disk)).rejects.toThrow(message);
  });

  test('is refused when its journal is of another format', async () => {
    const disk = new Disk();
    const old = { type: 'start', teacher: {}, options: {} };
    disk.text = encodeRecord({ sequence: 0, event: old, time: { at: 'then' } });
    await expect(search({ journal: disk.journal() }, disk)).rejects.toThrow(/line 1: it has format undefined, this version goes on with 2/);
  });

  test('is refused when it does not come to what its journal says', async () => {
    const disk = new Disk();
    const states: Uint8Array[] = [];
    const snapshot: SnapshotStore = { load: async () => undefined, save: async (state) => void states.push(encodeSnapshot(state)) };
    await search({ snapshot }, disk);
    const first = decodeSnapshot(states[0]!);
    disk.state = encodeSnapshot({ ...first, policy: { ...first.policy, values: first.policy.values.map((value) => -value) } });
    await expect(search({ journal: disk.journal() }, disk)).rejects.toThrow(/journal, line \d+: it says .* the resumed search comes to/);
    disk.state = encodeSnapshot({ ...first, sequence: 1000 });
    await expect(search({ journal: disk.journal() }, disk)).rejects.toThrow(/stands for 1000 records/);
  });
});

describe('other policies, baselines and action spaces', () => {
  test.each([
    [{ baseline: 'actor-critic' }],
    [{ baseline: 'average', removalPolicy: 'autoregressive' }],
    [{ shrinkagePolicy: 'encoder-decoder', entropyBonus: 0.01 }],
    [{ shrinkageActions: 'group', baseline: 'actor-critic' }],
  ] as [Partial<SearchInput>][])('%j: killed and resumed, the search comes to the same bits', async (options) => {
    const [whole, disk] = [new Disk(), new Disk()];
    const reference = await search(options, whole);
    await expect(search({ ...options, journal: disk.journal(12) }, disk)).rejects.toThrow('killed');
    expect(await search({ ...options, journal: disk.journal() }, disk)).toEqual(reference);
    expect(disk.events).toEqual(whole.events);
    expect(Buffer.compare(disk.state!, whole.state!)).toBe(0);
    const usual = new Disk();
    await search({}, usual);
    expect(usual.events.slice(1)).not.toEqual(whole.events.slice(1));
    await expect(search({ journal: disk.journal() }, disk)).rejects.toThrow(/the run was started with/);
  });
});

describe('bad input is refused', () => {
  test.each([
    [{ updates: 0 }, /updates is 0/],
    [{ rollouts: 1 }, /rollouts is 1/],
    [{ seed: -1 }, /seed is -1/],
    [{ roundTo: 0 }, /round-to is 0/],
    [{ removalPolicy: 'transformer' }, /removal policy is "transformer"/],
    [{ shrinkageActions: 'filter' }, /shrinkage actions is "filter"; it must be one of layer, group/],
    [{ stages: [] }, /stages is empty/],
    [{ teacher: { spec: tiny, accuracy: 0 } }, /accuracy is 0/],
    [{ learningRates: { removal: 0, shrinkage: 1 } }, /learning rate of removal is 0/],
  ] as [Partial<SearchInput>, RegExp][])('%#', async (options, message) => {
    const disk = new Disk();
    await expect(search(options, disk)).rejects.toThrow(message);
    expect(disk.text).toBe('');
  });

  test.each([
    ['too few outcomes', async () => [], /returned 0 outcomes/],
    [
      'an outcome of another candidate',
      async (c: readonly Candidate[]) => c.map(() => ({ hash: 'x', accuracy: 1, loss: 0, seconds: 0 })),
      /is for x/,
    ],
    [
      'no accuracy',
      async (c: readonly Candidate[]) => c.map(({ hash }) => ({ hash, accuracy: NaN, loss: 0, seconds: 0 })),
      /accuracy is NaN/,
    ],
  ])('from evaluate: %s', async (_name, evaluate, message) => {
    await expect(search({ evaluate })).rejects.toThrow(message);
  });
});
