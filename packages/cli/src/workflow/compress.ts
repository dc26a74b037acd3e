// A run from beginning to end, or from where it stopped: data, teacher, logits, search, student, figures (DESIGN section 2).
import { stat } from 'node:fs/promises';
import { architectureMeasures, describeMiss, parseConstraint, type FinishedStudent } from '@n2n/agent';
import { DeviceLostError, type Gpu } from '@n2n/kernels';
import { foldBatchNorm, Parameters, type Dataset, type DeviceImages, type Model } from '@n2n/trainer';
import { specHash } from '@n2n/trainer/network';
import { performance } from 'node:perf_hooks';
import type { Context } from '../context.js';
import { GoalError, InterruptedError } from '../errors.js';
import { adapterRecord } from '../output/adapter.js';
import { count } from '../output/format.js';
import type { Run } from '../run/run.js';
import { checkSameAdapter, sameChoices } from '../run/same.js';
import { batchAsked } from './limits.js';
import { withMaterial } from './material.js';
import { evaluateOn, latenciesOf, withImages } from './network.js';
import { exportStudent } from './onnx.js';
import { judgeConstraints, lastQuarter, paretoOf, readableResult, type NetworkResult, type Result } from './result.js';
import { searchStudents, type SearchOutcome } from './search.js';
import { allIndices } from './split.js';
import { trainStudent } from './student.js';
import { obtainTeacher } from './teacher.js';

/** A lost device is opened again this often before the run gives up. */
const DEVICE_RETRIES = 2;

/** Prints the result of a run. Throws GoalError afterwards when a constraint is not kept. */
export function report(context: Context, result: Result): void {
  context.output.result(result, () => readableResult(result));
  throwIfMissed(result);
}

/**
 * Carries the run out on `gpu` and returns its result, which is written by then. The run is released in any case; a new one
 * that fails before it holds anything is removed.
 */
export async function carryOut(context: Context, run: Run, dataset: Dataset, gpu: Gpu, isNew: boolean): Promise<Result> {
  const started = performance.now();
  try {
    const result = await withRetries(context, run, dataset, gpu, started);
    await run.writeJson('result.json', result);
    return result;
  } catch (error) {
    if (error instanceof InterruptedError) {
      throw new InterruptedError(error.signalName, `${error.message}; everything up to here is saved, go on with n2n resume ${run.folder}`);
    }
    if (isNew && !(error instanceof DeviceLostError) && !(await holdsWork(run))) await run.abandon();
    throw error;
  } finally {
    await run.release();
  }
}

/** Whether the run has anything that took time: a teacher of its own, or a search that wrote its first event. */
async function holdsWork(run: Run): Promise<boolean> {
  const { configuration, teacherSha256 } = run.record;
  if (configuration.teacher.kind === 'recipe' && teacherSha256 !== null) return true;
  // A search that is refused leaves an empty journal.
  const journal = await stat(run.path('journal.jsonl')).catch(() => undefined);
  return journal !== undefined && journal.size > 0;
}

/** The result's table was printed; this says by the exit code that the student is not what was asked for. */
function throwIfMissed({ constraints, student }: Result): void {
  const missed = constraints.filter(({ met }) => !met).map(describeMiss);
  if (missed.length === 0) return;
  throw new GoalError(
    `the best student (${student.params} parameters, ${student.macs} MACs, validation accuracy ${student.validationAccuracy}) does not keep ` +
      `${missed.join(', ')}; give the search more --updates, or ask for less`,
  );
}

/** The search goes on from its journal, so a lost device costs only the candidates that were being trained. */
async function withRetries(context: Context, run: Run, dataset: Dataset, first: Gpu, started: number): Promise<Result> {
  let gpu = first;
  for (let attempt = 0; ; attempt++) {
    try {
      return await attemptRun(context, run, dataset, gpu, started);
    } catch (error) {
      if (!(error instanceof DeviceLostError) || attempt >= DEVICE_RETRIES) throw error;
      context.output.note(`${error.message}; opening it again (${attempt + 1} of ${DEVICE_RETRIES})`);
      gpu = await context.openGpu(run.record.configuration.adapter, sameChoices(run.folder, run.record));
      checkSameAdapter(run.folder, run.record, adapterRecord(gpu.adapter));
    }
  }
}

/** `started`: when the work on the run began, by performance.now(). */
async function attemptRun(context: Context, run: Run, dataset: Dataset, gpu: Gpu, started: number): Promise<Result> {
  const searched = await withImages(context, gpu, dataset.train, dataset, (images) => searchAndTrain(context, gpu, run, dataset, images));
  const { model, student, search, teacherValidation, studentValidation, skippedSteps } = searched;
  context.output.note(`measuring on the ${count(dataset.test.count)} test images`);
  const { seed, data, constraint, precision = 'f32' } = run.record.configuration;
  const batch = batchAsked(constraint.map(parseConstraint), model.spec);
  const networks: Finished[] = [
    { model, path: run.path('teacher.safetensors'), accuracy: teacherValidation },
    { model: student, path: run.path('best', 'student.safetensors'), accuracy: studentValidation },
  ];
  const measured = await withImages(context, gpu, dataset.test, dataset, (images) => figuresOf(context, gpu, networks, images, batch));
  const figures = { teacher: measured[0]!, student: measured[1]! };
  return {
    run: run.folder,
    seed,
    data,
    precision,
    skippedSteps,
    ...figures,
    compression: figures.teacher.params / figures.student.params,
    accuracyDropPoints: 100 * (figures.teacher.accuracy - figures.student.accuracy),
    candidates: search.counts.trained,
    counts: search.counts,
    pareto: paretoOf(search.finished),
    meanReward: lastQuarter(search.finished.map(({ merit }) => merit)) ?? 0,
    controls: [],
    constraints: judgeConstraints(constraint, figures.teacher, figures.student),
    elapsedSeconds: (performance.now() - started) / 1000,
    pipelinesCompiled: gpu.statistics.pipelinesCompiled,
    pipelinesCompiledAtFirstCandidate: search.pipelinesAtFirst,
    pipelinesCompiledAtLastCandidate: search.pipelinesAtLast,
    adapter: adapterRecord(gpu.adapter),
  };
}

interface Searched {
  readonly model: Model;
  readonly student: Model;
  readonly search: SearchOutcome;
  /** Fractions of the validation images. */
  readonly teacherValidation: number;
  readonly studentValidation: number;
  readonly skippedSteps: number | null;
}

/** Everything that needs the training images. */
async function searchAndTrain(context: Context, gpu: Gpu, run: Run, dataset: Dataset, images: DeviceImages): Promise<Searched> {
  const { configuration } = run.record;
  const { init, top } = configuration;
  const teacherOf = async (all: Uint32Array): Promise<Model> => obtainTeacher(context, gpu, run, dataset, images, all);
  return withMaterial(context, gpu, configuration, dataset, images, teacherOf, async (material) => {
    const search = await searchStudents(context, gpu, run, material);
    const trained = await trainStudent(
      context,
      gpu,
      run,
      material,
      finalistsOf(search, top),
      init,
      run.path('best', 'student.safetensors'),
    );
    await exportStudent(context, gpu, run.path('best', 'student.onnx'), trained.model, material);
    return {
      model: material.model,
      student: trained.model,
      search,
      teacherValidation: material.accuracy,
      studentValidation: trained.accuracy,
      skippedSteps: trained.skippedSteps,
    };
  });
}

/** The best student and up to `top` in all that keep the constraints no worse than it does. */
function finalistsOf({ ranked, counts }: SearchOutcome, top: number): readonly FinishedStudent[] {
  const [best] = ranked;
  if (best !== undefined) return ranked.slice(0, top).filter(({ violation }) => violation === best.violation);
  throw new GoalError(
    `none of ${counts.sampled} candidates was worth training (${counts.degenerate} were degenerate, ${counts.ruledOut} broke a constraint); ` +
      'give the search more --updates, or ask for less',
  );
}

/** A network with its file, and its accuracy as a fraction of the validation images. */
export interface Finished {
  readonly model: Model;
  readonly path: string;
  readonly accuracy: number;
}

/** What is reported of networks, from the test images; the latency of a `batch` where one is asked for. Latency is that of use, with batch-norms folded. */
export async function figuresOf(
  context: Context,
  gpu: Gpu,
  networks: readonly Finished[],
  images: DeviceImages,
  batch: number | undefined,
): Promise<NetworkResult[]> {
  const open: Parameters[] = [];
  const deployed: Parameters[] = [];
  try {
    for (const { model } of networks) {
      open.push(await Parameters.create(gpu, model.spec, model.weights));
      const folded = foldBatchNorm(model);
      deployed.push(await Parameters.create(gpu, folded.spec, folded.weights));
    }
    const timed = networks.map(({ model }, i) => ({ parameters: deployed[i]!, preprocessing: model.preprocessing }));
    const latencyMs = await latenciesOf(gpu, timed, images, 1);
    const batchLatencyMs = batch === undefined ? undefined : await latenciesOf(gpu, timed, images, batch);
    const results: NetworkResult[] = [];
    for (const [i, { model, path, accuracy: validationAccuracy }] of networks.entries()) {
      const { spec, preprocessing } = model;
      const { accuracy, loss } = await evaluateOn(gpu, open[i]!, images, preprocessing, allIndices(images.count), {
        signal: context.signal,
        progress: context.output.progress(`testing ${spec.name}`, 'samples'),
      });
      const { params, macs, bytes, activationBytes, energyMicrojoules } = architectureMeasures(spec);
      const { size } = await stat(path);
      results.push({
        name: spec.name,
        hash: specHash(spec),
        params,
        macs,
        accuracy,
        loss,
        validationAccuracy,
        latencyMs: latencyMs[i]!,
        batchLatencyMs: batchLatencyMs?.[i] ?? null,
        tensorBytes: bytes,
        activationBytes,
        energyMicrojoules,
        fileBytes: size,
        files: [{ format: 'safetensors', path, bytes: size }, ...(await onnxBeside(path))],
      });
    }
    return results;
  } finally {
    for (const parameters of [...open, ...deployed]) await parameters.destroy();
  }
}

/** The same network as ONNX, where there is one. */
async function onnxBeside(path: string): Promise<NetworkResult['files']> {
  const onnx = path.replace(/\.safetensors$/, '.onnx');
  const status = await stat(onnx).catch(() => undefined);
  return status === undefined ? [] : [{ format: 'onnx', path: onnx, bytes: status.size }];
}
