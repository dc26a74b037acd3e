// clock: counts the steps of a plan on the device, so that several replays of one recording in one submit read different
// batches and learning rates. Word 0 is the step within the order at hand, which the ops that
// follow a schedule or an order read; word 1 is the step since training began, which keys dropout's masks.
import { ShapeError, type Op } from '../op.js';
import { tickReference } from './reference.js';

export interface ClockShape {
  /** Steps a tick; 1 unless told. */
  readonly by?: number;
}

/** Words of a clock buffer. */
export const CLOCK_WORDS = 4;

export const clock: Op<ClockShape> = {
  name: 'clock',
  passes: {
    tick: {
      tensors: [
        {
          name: 'clock',
          role: 'inout',
          type: 'u32',
          words: () => CLOCK_WORDS,
          fill: (_, random) => Array.from({ length: CLOCK_WORDS }, () => random.integer(2 ** 32)),
        },
      ],
      flops: () => 0,
      tolerance: 0,
      reference: ({ by = 1 }, tensors) => tickReference(by, tensors),
      variants: [
        {
          name: 'plain',
          usable: () => true,
          dispatches: ({ by = 1 }) => [
            { wgsl: new URL('./clock.wgsl', import.meta.url), bind: ['clock'], uniforms: [by], workgroups: [1, 1, 1] },
          ],
        },
      ],
    },
  },
  check({ by = 1 }) {
    if (!Number.isInteger(by) || by < 1 || by >= 2 ** 32)
      throw new ShapeError('clock', `by is ${by}; it must be an integer in 1 .. 2^32 - 1`);
  },
  samples: [{}, { by: 3 }, { by: 2 ** 32 - 1 }],
  errors: [
    { shape: { by: 0 }, message: /by is 0/ },
    { shape: { by: 0.5 }, message: /by is 0.5/ },
  ],
};
