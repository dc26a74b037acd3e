// Optimisers and learning-rate schedules, as data.

export interface Sgd {
  readonly kind: 'sgd';
  readonly learningRate: number;
  /** In [0, 1). */
  readonly momentum: number;
  readonly nesterov: boolean;
  /** L2, added to the gradient as PyTorch does. */
  readonly weightDecay: number;
}

export interface Adam {
  readonly kind: 'adam';
  readonly learningRate: number;
  readonly beta1: number;
  readonly beta2: number;
  readonly epsilon: number;
  readonly weightDecay: number;
  /** True is AdamW: the decay acts on the weights, not on the gradient. */
  readonly decoupled: boolean;
}

export type Optimiser = Sgd | Adam;

/** N2N's released code trains students with this. */
export const paperAdam: Adam = {
  kind: 'adam',
  learningRate: 5e-4,
  beta1: 0.9,
  beta2: 0.999,
  epsilon: 1e-8,
  weightDecay: 5e-4,
  decoupled: false,
};

export const defaultSgd: Sgd = { kind: 'sgd', learningRate: 0.1, momentum: 0.9, nesterov: true, weightDecay: 5e-4 };

export type Schedule = {
  /** Share of the training, in [0, 1), over which the rate rises linearly to what it then follows; none by default. */
  readonly warmup?: number;
} & (
  | { readonly kind: 'constant' }
  /** Times `factor` at each milestone (fractions of the whole training, rising). */
  | { readonly kind: 'step'; readonly milestones: readonly number[]; readonly factor: number }
  /** Half a cosine from the full rate, at the end of the warm-up, to 0. */
  | { readonly kind: 'cosine' }
);

/** The factor on the learning rate at `step` of `totalSteps`. */
export function scheduleFactor(schedule: Schedule, step: number, totalSteps: number): number {
  const rise = (schedule.warmup ?? 0) * totalSteps;
  if (step < rise) return (step + 1) / Math.max(1, Math.ceil(rise));
  switch (schedule.kind) {
    case 'constant':
      return 1;
    case 'step':
      return schedule.factor ** schedule.milestones.filter((milestone) => step / totalSteps >= milestone).length;
    case 'cosine':
      return (1 + Math.cos((Math.PI * (step - rise)) / Math.max(1, totalSteps - rise))) / 2;
    default:
      return schedule satisfies never;
  }
}

/**
 * Rows of the device's schedule table for `count` steps from `first`: [rate, 1/(1-beta1^t), 1/(1-beta2^t), skipped]. Of the steps before,
 * loss scaling has skipped so many: they count for the rate, and not among Adam's t.
 */
export function scheduleRows(
  optimiser: Optimiser,
  schedule: Schedule,
  first: number,
  count: number,
  totalSteps: number,
  skipped = 0,
): Float32Array {
  const rows = new Float32Array(count * 4);
  for (let i = 0; i < count; i++) {
    const step = first + i;
    rows[i * 4] = optimiser.learningRate * scheduleFactor(schedule, step, totalSteps);
    rows[i * 4 + 3] = skipped;
    if (optimiser.kind === 'adam') {
      rows[i * 4 + 1] = 1 / (1 - optimiser.beta1 ** (step + 1 - skipped));
      rows[i * 4 + 2] = 1 / (1 - optimiser.beta2 ** (step + 1 - skipped));
    }
  }
  return rows;
}
