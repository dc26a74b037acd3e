import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { decodeJournal, encodeRecord, openJournal, type JournalEvent } from './journal.js';
import { decodeSnapshot, encodeSnapshot, fileSnapshot, type SearchState } from './snapshot.js';
import { zooSpec } from '@n2n/trainer/network';

const events: (JournalEvent & Record<string, unknown>)[] = [
  { type: 'start', seed: 1 },
  { type: 'outcome', accuracy: 0.1 + 0.2, tiny: 5e-324, text: 'é "quoted" \n line' },
  { type: 'update', rewards: [1, -1, null] },
];
const lines = events.map((event, sequence) => encodeRecord({ sequence, event, time: { at: '2025-01-01T00:00:00.000Z', seconds: 1.5 } }));

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'n2n-journal-'));
});
afterAll(async () => {
  await rm(folder, { recursive: true });
});

test('records come back as they were written', () => {
  const { records, bytes } = decodeJournal(Buffer.from(lines.join('')));
  expect(records.map(({ event }) => event)).toEqual(events);
  expect(bytes).toBe(Buffer.byteLength(lines.join('')));
});

test('whatever byte the last record is cut at, it is dropped and the others stay', () => {
  const whole = Buffer.from(lines.join(''));
  const start = Buffer.byteLength(lines[0]! + lines[1]!);
  for (let length = start; length < whole.length; length++) {
    const { records, bytes } = decodeJournal(whole.subarray(0, length));
    expect(records).toHaveLength(2);
    expect(bytes).toBe(start);
  }
});

test('any changed byte in the middle is refused with its line number', () => {
  const whole = Buffer.from(lines.join(''));
  const [start, end] = [Buffer.byteLength(lines[0]!), Buffer.byteLength(lines[0]! + lines[1]!)];
  for (let at = start; at < end - 1; at++) {
    const damaged = Buffer.from(whole);
    damaged[at] = damaged[at]! ^ 1;
    expect(() => decodeJournal(damaged, 'run/journal.jsonl'), `byte ${at}`).toThrow(/run\/journal\.jsonl, line 2: /);
  }
});

test('a missing, doubled or swapped line is refused', () => {
  const [a = '', b = '', c = ''] = lines;
  expect(() => decodeJournal(Buffer.from(b + c))).toThrow(/line 1/);
  expect(() => decodeJournal(Buffer.from(a + c + c))).toThrow(/line 2/);
  expect(() => decodeJournal(Buffer.from(a + c + b))).toThrow(/line 2/);
});

describe('a journal on disk', () => {
  test('is continued after a torn record, and replays what it holds', async () => {
    const path = join(folder, 'a.jsonl');
    const first = await openJournal(path);
    for (const event of events) expect(await first.write(event, 2)).toBe(false);
    await first.sync();
    await first.close();
    const before = await readFile(path, 'utf8');
    await writeFile(path, `${before}{"sequence":3,"ev`);

    const second = await openJournal(path);
    expect(second.records).toHaveLength(3);
    expect(second.skipTo(1)).toHaveLength(1);
    expect(await second.write(events[1]!)).toBe(true);
    expect(await second.write(events[2]!)).toBe(true);
    expect(second.replaying).toBe(false);
    expect(await second.write({ type: 'end' })).toBe(false);
    await second.close();
    const after = await readFile(path, 'utf8');
    expect(after.startsWith(before)).toBe(true);
    expect(decodeJournal(Buffer.from(after)).records.map(({ event }) => event.type)).toEqual(['start', 'outcome', 'update', 'end']);
  });

  test('refuses an event that differs from the one it holds, and a snapshot that is ahead of it', async () => {
    const path = join(folder, 'b.jsonl');
    await writeFile(path, lines.join(''));
    const journal = await openJournal(path);
    const other = { type: 'start', seed: 2 };
    await expect(journal.write(other)).rejects.toThrow(/line 1: it says .*"seed":1.*"seed":2/);
    expect(() => journal.skipTo(4)).toThrow(/stands for 4 records, the journal has 3/);
    await journal.close();
    expect(await readFile(path, 'utf8')).toBe(lines.join(''));
  });
});

describe('a snapshot', () => {
  const state: SearchState = {
    sequence: 12,
    stage: 1,
    update: 3,
    base: zooSpec('lenet5', { channels: 1, height: 28, width: 28, classes: 10 }),
    policy: {
      stage: 'shrinkage',
      kind: 'autoregressive',
      encoder: 'layers/1',
      shapes: ['head.weight 2x2'],
      values: Float64Array.of(0.1, -0, 5e-324, Number.MAX_VALUE),
    },
    learned: [{ stage: 'removal', kind: 'bidirectional', encoder: 'layers/1', shapes: ['w 1x2'], values: Float64Array.of(1, -0.5) }],
    optimiser: { steps: 7, first: Float64Array.of(1 / 3, 2, 3, 4), second: Float64Array.of(0, 0, 1e-300, 1) },
    baseline: null,
    critic: { values: Float64Array.of(3, 4), optimiser: { steps: 2, first: Float64Array.of(1, 2), second: Float64Array.of(0, 5) } },
  };

  test('comes back bit for bit, and replaces the one before', async () => {
    const store = fileSnapshot(join(folder, 'state.msgpack'));
    expect(await store.load()).toBeUndefined();
    await store.save({ ...state, update: 2 });
    await store.save(state);
    expect(await store.load()).toEqual(state);
    expect(Object.is((await store.load())?.policy.values[1], -0)).toBe(true);
  });

  test('cut short or changed anywhere, it is refused and says what to do', () => {
    const content = encodeSnapshot(state);
    for (let length = 0; length < content.length; length += 7) {
      expect(() => decodeSnapshot(content.subarray(0, length), 'state.msgpack')).toThrow(/^state\.msgpack: .*delete it/);
    }
    for (let at = 0; at < content.length; at += 5) {
      const damaged = Uint8Array.from(content);
      damaged[at] = damaged[at]! ^ 0x10;
      expect(() => decodeSnapshot(damaged), `byte ${at}`).toThrow(/delete it/);
    }
  });
});
