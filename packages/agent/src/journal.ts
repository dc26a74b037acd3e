// The journal of a search: one event a line, in the order in which they happened, each with a check. It is the truth about a
// run: everything else (best student, counts, policies) can be computed from it again.
//
//   {"sequence":4,"event":{"type":"outcome",...},"check":"0b1f9c2d","time":{"at":"2025-...","seconds":1.7,"check":"9e01ab54"}}
//
// Whatever depends on the clock is in `time`: without that field two runs of one configuration are equal byte for byte.
import { crc32 } from 'node:zlib';
import { open, type FileHandle } from 'node:fs/promises';

/** An event: plain JSON (no undefined, NaN or typed arrays) with a `type`. */
export interface JournalEvent {
  readonly type: string;
}

export interface JournalTime {
  /** When the record was written, ISO 8601. */
  readonly at: string;
  /** How long the event took, where that means something. */
  readonly seconds?: number;
}

export interface JournalRecord {
  readonly sequence: number;
  readonly event: JournalEvent;
  readonly time: JournalTime;
}

/** A journal that cannot be continued; exit code 3. */
export class JournalError extends Error {
  override readonly name = 'JournalError';
}

/** Where lines go. `sync` returns when what was appended is on the disk. */
export interface JournalSink {
  append(text: string): Promise<void>;
  sync(): Promise<void>;
  close(): Promise<void>;
}

const checksum = (value: unknown): string => crc32(JSON.stringify(value)).toString(16).padStart(8, '0');

/** One line, with its line feed. */
export function encodeRecord({ sequence, event, time }: JournalRecord): string {
  const check = checksum([sequence, event]);
  return `${JSON.stringify({ sequence, event, check, time: { ...time, check: checksum([check, time]) } })}\n`;
}

/** The record of a line without its line feed, or undefined when it is damaged. */
function decodeLine(line: string, sequence: number): JournalRecord | undefined {
  try {
    const { event, time } = JSON.parse(line) as { event: JournalEvent; time: JournalTime & { check?: string } };
    const { check: _, ...rest } = time;
    const record = { sequence, event, time: rest };
    // The same line again is the one proof for the sequence number, both checks and every byte at once.
    return encodeRecord(record) === `${line}\n` && typeof event.type === 'string' ? record : undefined;
  } catch {
    return undefined;
  }
}

/**
 * Reads a journal's bytes. A last record that was cut off while being written is left out; `bytes` is the length of what is
 * whole. Throws JournalError with the line number for damage anywhere else.
 */
export function decodeJournal(content: Buffer, name = 'journal'): { records: JournalRecord[]; bytes: number } {
  const records: JournalRecord[] = [];
  let bytes = 0;
  while (bytes < content.length) {
    const end = content.indexOf(0x0a, bytes);
    const line = end < 0 ? undefined : content.toString('utf8', bytes, end);
    const record = line === undefined ? undefined : decodeLine(line, records.length);
    if (record === undefined) {
      if (end < 0 || end === content.length - 1) break;
      throw new JournalError(
        `${name}, line ${records.length + 1}: the record is damaged or out of order (its check does not fit), and others follow it; the run cannot be continued from here`,
      );
    }
    records.push(record);
    bytes = end + 1;
  }
  return { records, bytes };
}

/** The record's event as text: what has to be equal between two runs of one configuration. */
export const eventText = (event: JournalEvent): string => JSON.stringify(event);

/**
 * A journal that is being written. After a resume it first *replays*: as long as it holds records beyond its position,
 * `write` compares instead of appending, so a search that starts again from an earlier snapshot ends with the same journal.
 */
export class Journal {
  #position = 0;

  constructor(
    private readonly sink: JournalSink,
    private readonly existing: readonly JournalRecord[] = [],
    private readonly now: () => string = () => new Date().toISOString(),
  ) {}

  /** Records that were there when it was opened. */
  get records(): readonly JournalRecord[] {
    return this.existing;
  }

  /** Sequence number of the next record. */
  get position(): number {
    return this.#position;
  }

  /** Whether the next event has been written before. */
  get replaying(): boolean {
    return this.#position < this.existing.length;
  }

  /** Skips records that a snapshot stands for; returns them. */
  skipTo(sequence: number): readonly JournalRecord[] {
    if (sequence < this.#position || sequence > this.existing.length) {
      throw new JournalError(
        `the snapshot stands for ${sequence} records, the journal has ${this.existing.length}; it needs at least as many`,
      );
    }
    const skipped = this.existing.slice(this.#position, sequence);
    this.#position = sequence;
    return skipped;
  }

  /** Appends an event, or checks that it is the one written before. Returns whether it was a replay. */
  async write(event: JournalEvent, seconds?: number): Promise<boolean> {
    const written = this.existing[this.#position];
    const sequence = this.#position;
    if (written !== undefined) {
      if (eventText(written.event) !== eventText(event)) {
        throw new JournalError(
          `journal, line ${sequence + 1}: it says ${shorten(eventText(written.event))}, the resumed search comes to ${shorten(eventText(event))}; configuration, data or version must have changed`,
        );
      }
      this.#position++;
      return true;
    }
    const time: JournalTime = { at: this.now(), ...(seconds === undefined ? {} : { seconds }) };
    await this.sink.append(encodeRecord({ sequence, event, time }));
    this.#position++;
    return false;
  }

  /** Returns when everything written is on the disk. */
  async sync(): Promise<void> {
    await this.sink.sync();
  }

  async close(): Promise<void> {
    await this.sink.close();
  }
}

const shorten = (text: string): string => (text.length > 160 ? `${text.slice(0, 157)}...` : text);

/** Opens or creates the journal at `path`; cuts a torn last record off the file. Throws JournalError for a damaged middle. */
export async function openJournal(path: string): Promise<Journal> {
  const file = await open(path, 'a+');
  try {
    const content = await file.readFile();
    const { records, bytes } = decodeJournal(content, path);
    if (bytes < content.length) await file.truncate(bytes);
    return new Journal(fileSink(file), records);
  } catch (error) {
    await file.close();
    throw error;
  }
}

function fileSink(file: FileHandle): JournalSink {
  return {
    append: async (text) => {
      await file.appendFile(text);
    },
    sync: () => file.datasync(),
    close: () => file.close(),
  };
}
