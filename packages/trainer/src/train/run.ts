// Runs recorded steps in submits of about a fifth of a second: long enough to hide the submit, short enough to stop, to
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

/** `steps` times: fill the batch, encode one step of work on it, tick. Throws the signal's reason when aborted. */
export async function runSteps(
  gpu: Gpu,
  feed: Feed,
  encodeStep: (pass: GPUComputePassEncoder) => void,
  steps: number,
  options: StepsOptions = {},
): Promise<void> {
  let perSubmit = 1;
  for (let done = 0; done < steps;) {
    options.signal?.throwIfAborted();
    const count = Math.min(perSubmit, steps - done, feed.stepsReady);
    const start = performance.now();
    const encoder = gpu.raw.createCommandEncoder();
    const pass = encoder.beginComputePass();
    for (let i = 0; i < count; i++) {
      feed.encodeFill(pass);
      encodeStep(pass);
      feed.tick.encode(pass);
    }
    pass.end();
    gpu.submit(encoder);
    feed.advance(count);
    await gpu.done();
    done += count;
    options.onSteps?.(done);
    const elapsed = performance.now() - start;
    // The number of steps a submit only groups the same commands: it changes no result.
    perSubmit = Math.max(1, Math.min(MOST_STEPS_A_SUBMIT, Math.floor((count * SUBMIT_MS) / Math.max(1, elapsed))));
  }
}
