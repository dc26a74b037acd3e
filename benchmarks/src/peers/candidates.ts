// PyTorch with two threads as a judge of students: the same first weights, batches, rates and logits as in n2n.
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { analyse, INPUT_ID, parameterCount, type NetworkSpec } from '@n2n/trainer/network';
import { store } from './cases.js';
import { EngineProcess } from './child.js';
import { engineDeclarations } from './engines.js';
import type { CandidateCase, EngineInfo, TensorFile } from './protocol.js';

/** What every student is given. */
export interface SharedTraining {
  /** [N, C, H, W], preprocessed. */
  readonly images: Float32Array;
  readonly geometry: NetworkSpec['input'];
  readonly labels: Uint8Array;
  /** [N, classes] */
  readonly teacherLogits: Float32Array;
  readonly validation: Uint32Array;
  readonly adam: CandidateCase['adam'];
}

/** One student, and how it is trained. */
export interface StudentWork {
  readonly spec: NetworkSpec;
  readonly weights: ReadonlyMap<string, Float32Array>;
  /** The images of each step in turn: [steps, batch]. */
  readonly order: Uint32Array;
  /** The learning rate of each step. */
  readonly rates: Float32Array;
  readonly evaluationBatch: number;
}

export interface PeerOutcome {
  readonly seconds: number;
  /** Fraction of the validation images. */
  readonly accuracy: number;
  /** Their mean cross-entropy. */
  readonly loss: number;
}

export interface CandidatePeerOptions {
  /** The command that runs Python. */
  readonly python: string;
  readonly answerLimitMs: number;
  readonly signal: AbortSignal;
}

type SharedFiles = Pick<CandidateCase['inputs'], 'x' | 'labels' | 'teacher' | 'validation'>;

export class CandidatePeer {
  #written = 0;

  private constructor(
    readonly info: EngineInfo,
    private readonly process: EngineProcess,
    private readonly folder: string,
    private readonly shared: SharedFiles,
    private readonly training: SharedTraining,
    private readonly options: CandidatePeerOptions,
  ) {}

  /** Throws EngineError where there is no PyTorch. */
  static async open(training: SharedTraining, options: CandidatePeerOptions): Promise<CandidatePeer> {
    const { python, answerLimitMs, signal } = options;
    const declaration = engineDeclarations({ adapter: 'any', python }).find(({ name }) => name === 'torch-cpu-2')!;
    const process = new EngineProcess(declaration);
    try {
      const { info } = await process.ask({ do: 'open', variant: declaration.variant, flags: [] }, answerLimitMs, signal);
      const folder = await mkdtemp(join(tmpdir(), 'n2n-candidates-'));
      return new CandidatePeer(info!, process, folder, await writeShared(folder, training), training, options);
    } catch (error) {
      await process.close();
      throw error;
    }
  }

  /** Trains and measures a student. Throws EngineError. The time is the engine's own: reading the inputs does not count. */
  async judge({ spec, weights, order, rates, evaluationBatch }: StudentWork): Promise<PeerOutcome> {
    const { answerLimitMs, signal } = this.options;
    const folder = join(this.folder, String(this.#written++));
    await mkdir(folder);
    try {
      const steps = rates.length;
      const judged: CandidateCase = {
        name: spec.name,
        nodes: spec.nodes.map(({ id, type, inputs, attributes }) => ({ id, type, inputs, attributes })),
        inputId: INPUT_ID,
        parameterCount: parameterCount(spec),
        evaluationBatch,
        adam: this.training.adam,
        inputs: {
          ...this.shared,
          order: await store(folder, 'order', Int32Array.from(order), [steps, order.length / steps]),
          rates: await store(folder, 'rates', rates, [steps]),
        },
        weights: await writeWeights(folder, spec, weights),
      };
      const { elapsedMs, accuracy, loss } = await this.process.ask({ do: 'judge', case: judged }, answerLimitMs, signal);
      return { seconds: elapsedMs! / 1000, accuracy: accuracy!, loss: loss! };
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  }

  async close(): Promise<void> {
    await this.process.close();
    await rm(this.folder, { recursive: true, force: true });
  }
}

async function writeShared(folder: string, { images, geometry, labels, teacherLogits, validation }: SharedTraining): Promise<SharedFiles> {
  const count = labels.length;
  return {
    x: await store(folder, 'x', images, [count, geometry.channels, geometry.height, geometry.width]),
    labels: await store(folder, 'labels', Int32Array.from(labels), [count]),
    teacher: await store(folder, 'teacher', teacherLogits, [count, teacherLogits.length / count]),
    validation: await store(folder, 'validation', Int32Array.from(validation), [validation.length]),
  };
}

async function writeWeights(
  folder: string,
  spec: NetworkSpec,
  weights: ReadonlyMap<string, Float32Array>,
): Promise<Record<string, TensorFile>> {
  const files: Record<string, TensorFile> = {};
  for (const { node, parameters } of analyse(spec).nodes) {
    for (const { name, shape } of parameters) {
      const tensor = `${node.id}.${name}`;
      files[tensor] = await store(folder, tensor, weights.get(tensor)!, shape);
    }
  }
  return files;
}
