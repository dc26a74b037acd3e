// The engine's side of the protocol, for engines that run in Node.
import { readFileSync, writeFileSync, writeSync } from 'node:fs';
import { performance } from 'node:perf_hooks';
import { createInterface } from 'node:readline';
import type { EngineInfo, PeerCase, Reply, Request, TensorFile } from './protocol.js';

/** One case, resident and ready. */
export interface Work {
  /** What the work computes from the inputs as given. */
  check(): Promise<Float32Array>;
  /** Does the work `units` times and waits for the end. */
  run(units: number): Promise<void>;
  release(): Promise<void>;
}

export interface Engine {
  open(variant: string, flags: readonly string[]): Promise<EngineInfo>;
  /** Throws UnsupportedError for what the engine cannot do. */
  prepare(peerCase: PeerCase): Promise<Work>;
  close?(): void;
}

/**
 * The engine has no such operation; nothing went wrong.
 * @public thrown by the drivers in benchmarks/peers
 */
export class UnsupportedError extends Error {
  override readonly name = 'UnsupportedError';
}

/** The values of an input. */
export const readFloats = ({ file }: TensorFile): Float32Array => new Float32Array(wordsOf(file));
/**
 * The labels.
 * @public read by the drivers in benchmarks/peers
 */
export const readIntegers = ({ file }: TensorFile): Int32Array => new Int32Array(wordsOf(file));

function wordsOf(file: string): ArrayBuffer {
  return new Uint8Array(readFileSync(file)).buffer; // a copy: what readFileSync gives may lie in a shared pool
}

const REPLIES = 3;
/** More units a measurement would make the figures no better. */
const MOST_UNITS = 4096;

/** Answers requests until stdin ends. */
export async function serve(engine: Engine): Promise<void> {
  const server = new Server(engine);
  for await (const line of createInterface({ input: process.stdin })) {
    const reply: Reply = await server.answer(JSON.parse(line) as Request).catch((error: unknown) => ({
      ok: false as const,
      error: error instanceof Error ? error.message : String(error),
      unsupported: error instanceof UnsupportedError,
    }));
    writeSync(REPLIES, `${JSON.stringify(reply)}\n`);
  }
  engine.close?.();
}

class Server {
  readonly #engine: Engine;
  #work: Work | undefined;
  #unitMs = 0;

  constructor(engine: Engine) {
    this.#engine = engine;
  }

  async answer(request: Request): Promise<Reply> {
    switch (request.do) {
      case 'open':
        return { ok: true, info: await this.#engine.open(request.variant, request.flags) };
      case 'prepare':
        this.#work = await this.#engine.prepare(request.case);
        return { ok: true };
      case 'check': {
        const values = await this.#prepared().check();
        writeFileSync(request.out, new Uint8Array(values.buffer, values.byteOffset, values.byteLength));
        return { ok: true };
      }
      case 'measure':
        return this.#measure(request.minimumMs);
      case 'release':
        await this.#work?.release();
        this.#work = undefined;
        this.#unitMs = 0;
        return { ok: true };
      case 'judge':
        throw new UnsupportedError('judges no students');
      default:
        return request satisfies never;
    }
  }

  #prepared(): Work {
    if (this.#work === undefined) throw new Error('no case was prepared');
    return this.#work;
  }

  async #measure(minimumMs: number): Promise<Reply> {
    const work = this.#prepared();
    // Also warms up what the checked run did not.
    if (this.#unitMs === 0) this.#unitMs = await timed(() => work.run(1));
    const units = Math.min(MOST_UNITS, Math.max(1, Math.ceil(minimumMs / this.#unitMs)));
    const elapsedMs = await timed(() => work.run(units));
    this.#unitMs = elapsedMs / units;
    return { ok: true, elapsedMs, units };
  }
}

async function timed(work: () => Promise<void>): Promise<number> {
  const start = performance.now();
  await work();
  return performance.now() - start;
}
