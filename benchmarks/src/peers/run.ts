// The comparison with other engines: the same work on the same inputs, checked once, then measured in interleaved rounds.
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { isChosen, median, type AdapterDescription } from '@n2n/kernels';
import { peerCases, type PeerCaseDeclaration } from './cases.js';
import { EngineError, EngineProcess } from './child.js';
import { engineDeclarations, type EngineDeclaration, type EngineOptions } from './engines.js';
import type { EngineInfo } from './protocol.js';

export interface PeerBenchOptions extends EngineOptions {
  /** Only the cases whose name contains this. */
  readonly filter: string;
  /** Only the engines whose name contains one of these; n2n always. Empty: all. */
  readonly engines: readonly string[];
  /** Rounds; in each, every engine is measured once. */
  readonly repetitions: number;
  /** Least time of one measurement; one unit of work may take longer. */
  readonly minimumMs: number;
  /** Engines get this long for an answer; the first run of a case compiles. */
  readonly answerLimitMs: number;
  /** After this no new case begins. */
  readonly timeLimitMs: number;
  readonly onProgress?: (progress: PeerProgress) => void;
  /** Gets what is known after each case, so that a run that is stopped leaves something. */
  readonly onCase?: (report: PeerReport) => Promise<void>;
  readonly signal?: AbortSignal;
}

export interface PeerProgress {
  readonly done: number;
  readonly total: number;
  /** `gemm/512, round 2 of 5, jax-webgpu` */
  readonly detail: string;
}

export interface PeerResult {
  readonly engine: string;
  readonly name: string;
  /** Wall time of one unit of work: the least over the rounds. */
  readonly bestMs: number;
  readonly medianMs: number;
  readonly samplesMs: readonly number[];
  readonly gflops?: number;
  readonly samplesPerSecond?: number;
  /** The engine's best time over n2n's: above 1, n2n is that many times faster. */
  readonly ratio: number;
  /** Largest difference from n2n's result over the largest value. */
  readonly deviation: number;
}

/** A case that an engine was not measured at. */
export interface PeerFailure {
  readonly engine: string;
  readonly name: string;
  readonly reason: string;
  /** The engine has no such operation; nothing went wrong. */
  readonly unsupported: boolean;
}

export interface PeerEngine extends EngineInfo {
  readonly engine: string;
}

export interface PeerReport {
  readonly adapter: AdapterDescription;
  readonly engines: readonly PeerEngine[];
  /** Engines that cannot run here at all. */
  readonly unavailable: readonly { readonly engine: string; readonly reason: string }[];
  readonly results: readonly PeerResult[];
  readonly failures: readonly PeerFailure[];
  /** Cases that the time limit left out. */
  readonly skipped: readonly string[];
}

/** Between two engines' turns: idle threads of the one before go on spinning for some ten milliseconds. */
const REST_MS = 100;

/** Runs the comparison; n2n is the first of the engines. Throws EngineError when n2n itself cannot be opened. */
export async function runPeerBench(options: PeerBenchOptions, all = engineDeclarations(options)): Promise<PeerReport> {
  const declarations = all.filter(
    ({ name }) => name === 'n2n' || options.engines.length === 0 || options.engines.some((part) => name.includes(part)),
  );
  const bench = new PeerBench(options);
  const folder = await mkdtemp(join(tmpdir(), 'n2n-peers-'));
  try {
    await bench.open(declarations);
    return await bench.measure(folder);
  } finally {
    await bench.close();
    await rm(folder, { recursive: true, force: true });
  }
}

/** An engine that could be opened. */
interface Opened {
  readonly declaration: EngineDeclaration;
  process: EngineProcess;
}

/** An engine that computes what n2n computes, in one case. */
interface Entry {
  readonly opened: Opened;
  readonly deviation: number;
  readonly samplesMs: number[];
  failed: boolean;
}

class PeerBench {
  readonly #options: PeerBenchOptions;
  readonly #opened: Opened[] = [];
  readonly #engines: PeerEngine[] = [];
  readonly #unavailable: { engine: string; reason: string }[] = [];
  readonly #results: PeerResult[] = [];
  readonly #failures: PeerFailure[] = [];
  #adapter: AdapterDescription | undefined;

  constructor(options: PeerBenchOptions) {
    this.#options = options;
  }

  async open(declarations: readonly EngineDeclaration[]): Promise<void> {
    for (const [index, declaration] of declarations.entries()) {
      this.#options.onProgress?.({ done: index, total: declarations.length, detail: `starting ${declaration.name}` });
      const opened = { declaration, process: new EngineProcess(declaration) };
      try {
        const info = await this.#start(opened);
        this.#requireSameAdapter(declaration, info);
        if (declaration.name === 'n2n') this.#adapter = JSON.parse(info.device) as AdapterDescription;
        this.#opened.push(opened);
        this.#engines.push({ engine: declaration.name, ...info, ...(declaration.name === 'n2n' && { device: this.#adapter!.device }) });
      } catch (error) {
        await opened.process.close();
        if (!(error instanceof EngineError) || declaration.name === 'n2n') throw error;
        this.#unavailable.push({ engine: declaration.name, reason: error.message });
      }
    }
  }

  async #start({ declaration, process }: Opened): Promise<EngineInfo> {
    const { answerLimitMs, signal } = this.#options;
    const { info } = await process.ask({ do: 'open', variant: declaration.variant, flags: this.#dawnFlags() }, answerLimitMs, signal);
    return info!;
  }

  /** Engines on the WebGPU binding name the adapter as n2n does. */
  #requireSameAdapter({ sameAdapter }: EngineDeclaration, { device }: EngineInfo): void {
    const wanted = this.#adapter?.description;
    if (sameAdapter !== true || device === wanted) return;
    throw new EngineError(`it got the adapter ${device}, n2n has ${wanted}: not to be compared`, false);
  }

  /** The toggles that n2n runs with, and its adapter: the others on WebGPU get the same. */
  #dawnFlags(): string[] {
    const flags = ['enable-dawn-features=vulkan_enable_f16_on_nvidia,allow_unsafe_apis,disable_robustness'];
    const { adapter } = this.#options;
    // As n2n chooses; that it is the same adapter in the end is checked.
    const name = adapter === 'cpu' ? 'llvmpipe' : adapter === 'any' || adapter === 'gpu' ? undefined : adapter;
    return name === undefined ? flags : [...flags, `adapter=${name}`];
  }

  async measure(folder: string): Promise<PeerReport> {
    const { filter, timeLimitMs } = this.#options;
    const chosen = peerCases.filter((one) => isChosen(one, filter, this.#adapter!.software));
    const deadline = performance.now() + timeLimitMs;
    const skipped: string[] = [];
    for (const [index, one] of chosen.entries()) {
      if (performance.now() > deadline) {
        skipped.push(one.name);
        continue;
      }
      await this.#measureCase(one, folder, (detail) => this.#options.onProgress?.({ done: index, total: chosen.length, detail }));
      await this.#options.onCase?.(this.#reportWith(skipped));
    }
    return this.#reportWith(skipped);
  }

  #reportWith(skipped: readonly string[]): PeerReport {
    return {
      adapter: this.#adapter!,
      engines: this.#engines,
      unavailable: this.#unavailable,
      results: this.#results,
      failures: this.#failures,
      skipped,
    };
  }

  async #measureCase(one: PeerCaseDeclaration, folder: string, progress: (detail: string) => void): Promise<void> {
    const { repetitions, minimumMs, answerLimitMs, signal } = this.#options;
    progress(`${one.name}, inputs`);
    const peerCase = await one.write(folder);
    const ready: Entry[] = [];
    let reference: Float32Array | undefined;
    for (const opened of this.#opened) {
      const { name } = opened.declaration;
      progress(`${one.name}, checking ${name}`);
      await this.#attempt(opened, one.name, async () => {
        await this.#revive(opened);
        await opened.process.ask({ do: 'prepare', case: peerCase }, answerLimitMs, signal);
        const out = join(folder, `${name}.out`);
        await opened.process.ask({ do: 'check', out }, answerLimitMs, signal);
        const values = new Float32Array(new Uint8Array(await readFile(out)).buffer);
        reference ??= values;
        const tolerance = Math.max(one.tolerance, opened.declaration.tolerance ?? 0);
        ready.push({ opened, deviation: checkedDeviation(values, reference, tolerance), samplesMs: [], failed: false });
      });
    }
    for (let round = 0; round < repetitions; round++) {
      for (const entry of ready.filter(({ failed }) => !failed)) {
        progress(`${one.name}, round ${round + 1} of ${repetitions}, ${entry.opened.declaration.name}`);
        entry.failed = !(await this.#attempt(entry.opened, one.name, async () => {
          const { elapsedMs, units } = await entry.opened.process.ask({ do: 'measure', minimumMs }, answerLimitMs, signal);
          entry.samplesMs.push(elapsedMs! / units!);
          await sleep(REST_MS);
        }));
      }
    }
    const measured = ready.filter(({ failed }) => !failed);
    for (const { opened } of measured) {
      await this.#attempt(opened, one.name, () => opened.process.ask({ do: 'release' }, answerLimitMs, signal));
    }
    this.#report(one, measured);
  }

  /** False when the engine failed, which is then on record. */
  async #attempt(opened: Opened, name: string, work: () => Promise<unknown>): Promise<boolean> {
    try {
      await work();
      return true;
    } catch (error) {
      if (!(error instanceof EngineError)) throw error;
      this.#failures.push({ engine: opened.declaration.name, name, reason: error.message, unsupported: error.unsupported });
      // What it had prepared must not stay in memory, nor go on computing.
      if (!error.unsupported) {
        opened.process.kill();
        await opened.process.close();
      }
      return false;
    }
  }

  /** An engine that died at an earlier case gets a new process. */
  async #revive(opened: Opened): Promise<void> {
    if (opened.process.running) return;
    opened.process = new EngineProcess(opened.declaration);
    await this.#start(opened);
  }

  #report(one: PeerCaseDeclaration, measured: readonly Entry[]): void {
    const best = (samplesMs: readonly number[]): number => Math.min(...samplesMs);
    const own = measured.find(({ opened }) => opened.declaration.name === 'n2n');
    if (own === undefined) return; // its failure is on record; without it there is nothing to compare with
    for (const { opened, deviation, samplesMs } of measured) {
      const bestMs = best(samplesMs);
      this.#results.push({
        engine: opened.declaration.name,
        name: one.name,
        bestMs,
        medianMs: median(samplesMs),
        samplesMs,
        ...(one.flops > 0 && { gflops: one.flops / bestMs / 1e6 }),
        ...(one.samples !== undefined && { samplesPerSecond: (one.samples / bestMs) * 1e3 }),
        ratio: bestMs / best(own.samplesMs),
        deviation,
      });
    }
  }

  async close(): Promise<void> {
    await Promise.all(this.#opened.map(({ process }) => process.close()));
  }
}

/** Largest |difference| over the largest |value| of the reference. Throws EngineError when it is not the same work. */
export function checkedDeviation(values: Float32Array, reference: Float32Array, tolerance: number): number {
  if (values.length !== reference.length) {
    throw new EngineError(`computes ${values.length} values where n2n computes ${reference.length}: not the same work`, false);
  }
  let scale = 0;
  let largest = 0;
  for (const [i, expected] of reference.entries()) {
    scale = Math.max(scale, Math.abs(expected));
    largest = Math.max(largest, Math.abs(values[i]! - expected)); // NaN stays, and passes no comparison below
  }
  const deviation = scale > 0 ? largest / scale : largest;
  if (deviation <= tolerance) return deviation;
  throw new EngineError(
    `differs from n2n by ${deviation.toPrecision(2)} of the largest value, ${tolerance} is allowed: not the same work`,
    false,
  );
}
