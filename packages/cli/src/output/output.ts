// The two streams: data on stdout, everything else on stderr. With --json, stdout gets exactly one document.
import { Progress, type ProgressSink } from './progress.js';

export interface Streams {
  readonly stdout: (text: string) => void;
  readonly stderr: (text: string) => void;
  /** Whether stderr is a terminal, where a line can be rewritten. */
  readonly terminal: boolean;
  readonly columns: number;
  /** False under NO_COLOR or off a terminal. */
  readonly color: boolean;
}

export interface OutputOptions {
  readonly json: boolean;
  /** Leaves out notes and progress; errors and results stay. */
  readonly quiet: boolean;
}

export class Output {
  readonly #streams: Streams;
  readonly #options: OutputOptions;
  #current: Progress | undefined;

  constructor(streams: Streams, options: OutputOptions) {
    this.#streams = streams;
    this.#options = options;
  }

  /** The command's result: the document with --json, otherwise what `readable` makes of it. Once a command. */
  result(document: unknown, readable: () => string): void {
    this.endProgress();
    this.#streams.stdout(this.#options.json ? `${JSON.stringify(document, undefined, 2)}\n` : readable());
  }

  /** A line on stderr, for people. */
  note(line: string): void {
    if (this.#options.quiet) return;
    this.endProgress();
    this.#streams.stderr(`${line}\n`);
  }

  /** Begins a piece of work; the one before ends. */
  progress(what: string, unit: string): Progress {
    this.endProgress();
    const silent: ProgressSink = { write: () => {}, terminal: false, columns: 80, color: false };
    const { terminal, columns, color } = this.#streams;
    const sink = this.#options.quiet ? silent : { write: this.#streams.stderr, terminal, columns, color };
    return (this.#current = new Progress(sink, what, unit));
  }

  endProgress(): void {
    this.#current?.end();
    this.#current = undefined;
  }
}
