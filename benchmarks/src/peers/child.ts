// An engine's process as the parent sees it: requests with a time limit, and a reason when it cannot answer.
import { spawn, type ChildProcess } from 'node:child_process';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import type { EngineDeclaration } from './engines.js';
import type { Reply, Request } from './protocol.js';

/** The engine did not do what it was asked; `unsupported` when it has no such operation. */
export class EngineError extends Error {
  override readonly name = 'EngineError';
  constructor(
    message: string,
    readonly unsupported: boolean,
  ) {
    super(message);
  }
}

/** What is kept of what a process prints, for the reason of its end. */
const KEPT_OUTPUT = 4000;

export class EngineProcess {
  readonly #child: ChildProcess;
  readonly #ended: Promise<string>;
  #running = true;
  #output = '';
  #waiting: ((reply: Reply) => void) | undefined;

  constructor(declaration: EngineDeclaration) {
    const { command, args, environment } = declaration;
    // Replies come on descriptor 3: libraries print on stdout.
    this.#child = spawn(command, args, { stdio: ['pipe', 'pipe', 'pipe', 'pipe'], env: { ...process.env, ...environment } });
    const [, stdout, stderr, replies] = this.#child.stdio as unknown as readonly Readable[];
    for (const stream of [stdout!, stderr!]) {
      stream.setEncoding('utf8').on('data', (text: string) => (this.#output = (this.#output + text).slice(-KEPT_OUTPUT)));
    }
    createInterface({ input: replies! }).on('line', (line) => this.#waiting?.(JSON.parse(line) as Reply));
    this.#child.stdin!.on('error', () => undefined); // a process that has ended: `#ended` tells
    this.#ended = new Promise((resolve) => {
      this.#child.on('error', (error) => resolve(error.message));
      this.#child.on('close', (code, signal) => resolve(this.#reason(code, signal)));
    }).then((reason) => {
      this.#running = false;
      return reason as string;
    });
  }

  get running(): boolean {
    return this.#running;
  }

  /** Throws EngineError: refused, failed, ended, or silent for `limitMs` (then the process is killed, lest it disturb the others). */
  async ask(request: Request, limitMs: number, signal?: AbortSignal): Promise<Extract<Reply, { ok: true }>> {
    signal?.throwIfAborted();
    const reply = await this.#exchange(request, limitMs, signal);
    if (!reply.ok) throw new EngineError(reply.error, reply.unsupported === true);
    return reply;
  }

  async #exchange(request: Request, limitMs: number, signal?: AbortSignal): Promise<Reply> {
    let timer: NodeJS.Timeout | undefined;
    let stop: (() => void) | undefined;
    try {
      return await new Promise<Reply>((resolve, reject) => {
        const giveUp = (reason: Error): void => {
          this.kill();
          reject(reason);
        };
        this.#waiting = resolve;
        void this.#ended.then((reason) => reject(new EngineError(reason, false)));
        timer = setTimeout(() => giveUp(new EngineError(`no answer to "${request.do}" in ${limitMs / 1000} s`, false)), limitMs);
        stop = () => giveUp(signal!.reason as Error);
        signal?.addEventListener('abort', stop, { once: true });
        this.#child.stdin!.write(`${JSON.stringify(request)}\n`);
      });
    } finally {
      clearTimeout(timer);
      if (stop !== undefined) signal?.removeEventListener('abort', stop);
      this.#waiting = undefined;
    }
  }

  /** Ends the process: kindly, then by force. */
  async close(): Promise<void> {
    if (!this.#running) return;
    this.#child.stdin!.end();
    const timer = setTimeout(() => this.kill(), 5000);
    await this.#ended;
    clearTimeout(timer);
  }

  kill(): void {
    this.#child.kill('SIGKILL');
  }

  /** The last line printed says why, in Python and in Node: `ModuleNotFoundError: ...`. */
  #reason(code: number | null, signal: NodeJS.Signals | null): string {
    const lines = this.#output.split('\n').filter((line) => /\berror\b|Error:|cannot|no module/i.test(line) && !/^\s+at /.test(line));
    const said = lines.at(-1)?.trim();
    return `its process ended (${signal ?? `exit code ${code}`})${said === undefined ? '' : `: ${said}`}`;
  }
}
