// Loss scaling in mixed precision: its rule, as data, and what a training tells of it. The kernels do the rest (lossScale).

export interface LossScaling {
  /** The first scale; a power of two, so that scaling rounds nothing. */
  readonly start: number;
  /** Steps without an overflow after which the scale is doubled; an overflow skips the step and halves it. */
  readonly interval: number;
  /** The largest scale that doubling reaches. */
  readonly most: number;
}

/**
 * Start and interval as in PyTorch's GradScaler: from 2^16 on too large a scale costs one skipped step for each halving, too small a one
 * gradients that are lost without a sign. Beyond 2^24 there is nothing to save: f16 reaches down to 2^-24, f32 keeps 24 bits.
 */
export const defaultLossScaling: LossScaling = { start: 2 ** 16, interval: 2000, most: 2 ** 24 };

/** The state on the device before the first step: scale, its inverse, good steps in a row, skipped steps. */
export function initialScaling({ start }: LossScaling): Float32Array {
  if (!(start >= 1) || !Number.isInteger(Math.log2(start)) || start > 2 ** 126) {
    throw new RangeError(`the first loss scale is ${start}; it must be a power of two from 1 to 2^126`);
  }
  return Float32Array.of(start, 1 / start, 0, 0);
}

/** What became of the scale. */
export interface LossScaleRecord {
  /** After the last step. */
  readonly scale: number;
  /** Steps whose gradients overflowed, and which therefore changed no parameter. */
  readonly skippedSteps: number;
}

export const lossScaleRecord = ([scale, , , skippedSteps]: Float32Array): LossScaleRecord => ({
  scale: scale!,
  skippedSteps: skippedSteps!,
});
