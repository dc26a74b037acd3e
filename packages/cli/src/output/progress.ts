// Progress of one long piece of work: a line that rewrites itself on a terminal, a line now and then elsewhere.
import { duration, magnitude } from './format.js';

const TERMINAL_INTERVAL_MS = 100;
const LOG_INTERVAL_MS = 10_000;

export interface ProgressSink {
  /** Writes to stderr. */
  write(text: string): void;
  readonly terminal: boolean;
  readonly columns: number;
  readonly color: boolean;
}

export class Progress {
  readonly #sink: ProgressSink;
  readonly #what: string;
  readonly #unit: string;
  /** Where counting begins. */
  #first: { readonly done: number; readonly at: number } | undefined;
  #lastDrawn: number;
  #drawn = false;

  /** `unit` names what is counted: `samples`. */
  constructor(sink: ProgressSink, what: string, unit: string) {
    this.#sink = sink;
    this.#what = what;
    this.#unit = unit;
    this.#lastDrawn = sink.terminal ? Number.NEGATIVE_INFINITY : performance.now();
  }

  /** `done` of `total` units are ready; `detail` is appended. */
  update(done: number, total: number, detail = ''): void {
    const now = performance.now();
    // Units that were ready before (a resumed search, the stage before) say nothing about the rate, and neither does the time they took.
    this.#first ??= { done, at: now };
    if (now - this.#lastDrawn < (this.#sink.terminal ? TERMINAL_INTERVAL_MS : LOG_INTERVAL_MS)) return;
    this.#lastDrawn = now;
    this.#draw(this.#line(done, total, detail, now));
  }

  /** Removes the line; something final is said by whoever knows the result. */
  end(): void {
    if (this.#drawn && this.#sink.terminal) this.#sink.write('\r\u001b[2K');
    this.#drawn = false;
  }

  #line(done: number, total: number, detail: string, now: number): string {
    const { done: before, at } = this.#first ?? { done, at: now };
    const rate = now > at ? ((done - before) * 1000) / (now - at) : 0;
    const parts = [`${this.#what}: ${((100 * done) / Math.max(1, total)).toFixed(0)} %`];
    if (rate > 0) parts.push(`${magnitudeOf(rate)} ${this.#unit}/s`, `${duration((total - done) / rate)} left`);
    if (detail !== '') parts.push(detail);
    return parts.join(', ');
  }

  #draw(line: string): void {
    if (!this.#sink.terminal) {
      this.#sink.write(`${line}\n`);
      return;
    }
    const shown = line.slice(0, Math.max(20, this.#sink.columns - 1));
    this.#sink.write(`\r\u001b[2K${this.#sink.color ? `\u001b[2m${shown}\u001b[22m` : shown}`);
    this.#drawn = true;
  }
}

const magnitudeOf = (rate: number): string => (rate >= 100 ? magnitude(rate) : rate.toPrecision(2));
