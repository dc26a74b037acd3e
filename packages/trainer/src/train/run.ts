// Runs recorded steps in submits of about a fifth of a second, one ahead: long enough to hide the submit, short enough to stop, to
// show progress and to stay clear of a driver's watchdog.
import { performance } from 'node:perf_hooks';
import type { Gpu } from '@n2n/kernels';
import type { Feed } from './feed.js';

const SUBMIT_MS = 200;
export const MOST_STEPS_A_SUBMIT = 64;

export interface StepsOptions {
  readonly signal?: AbortSignal;
  /** Called after each submit with the steps done so far. */
  readonly onSteps?: (done: number) => void;
}

/** Submits that the device has been given and not finished: the next one is encoded while one runs. */
const MOST_IN_FLIGHT = 2;

/** `steps` times: fill the batch, encode one step of work on it, tick. Throws the signal's reason when aborted. */
export async function runSteps(
  gpu: Gpu,
  feed: Feed,
  encodeStep: (pass: GPUComputePassEncoder) => void,
  steps: number,
  options: StepsOptions = {},
): Promise<void> {
  const inFlight: { readonly count: number; readonly submittedMs: number; readonly done: Promise<void> }[] = [];
  let perSubmit = 1;
  let submitted = 0;
  let finished = 0;
  let finishedMs = 0;
  while (finished < steps) {
    if (submitted < steps && inFlight.length < MOST_IN_FLIGHT) {
      options.signal?.throwIfAborted();
      const count = Math.min(perSubmit, steps - submitted, feed.stepsReady);
      submit(gpu, feed, encodeStep, count);
      const done = gpu.done();
      done.catch(() => undefined); // it may fail while an earlier one is awaited, whose failure is then told
      inFlight.push({ count, submittedMs: performance.now(), done });
      submitted += count;
      continue;
    }
    const { count, submittedMs, done } = inFlight.shift()!;
    await done;
    finished += count;
    options.onSteps?.(finished);
    const elapsed = performance.now() - Math.max(submittedMs, finishedMs);
    finishedMs = performance.now();
    // The number of steps a submit only groups the same commands: it changes no result.
    perSubmit = Math.max(1, Math.min(MOST_STEPS_A_SUBMIT, Math.floor((count * SUBMIT_MS) / Math.max(1, elapsed))));
  }
}

function submit(gpu: Gpu, feed: Feed, encodeStep: (pass: GPUComputePassEncoder) => void, steps: number): void {
  const encoder = gpu.raw.createCommandEncoder();
  const pass = encoder.beginComputePass();
  for (let i = 0; i < steps; i++) {
    feed.encodeFill(pass);
    encodeStep(pass);
    feed.tick.encode(pass);
  }
  pass.end();
  gpu.submit(encoder);
  feed.advance(steps);
}
