// Optimisers and schedules from the words of the flags.
import { defaultSgd, paperAdam, type Optimiser, type Schedule } from '@n2n/trainer';
import { TRAIN } from '../budgets.js';

export type ScheduleName = 'constant' | 'step' | 'cosine' | 'one-cycle';

export interface OptimiserOptions {
  readonly optimiser: 'sgd' | 'adam';
  readonly learningRate: number;
  readonly momentum: number;
  readonly weightDecay: number;
}

export function optimiserOf({ optimiser, learningRate, momentum, weightDecay }: OptimiserOptions): Optimiser {
  switch (optimiser) {
    case 'sgd':
      // Nesterov's step is defined with momentum only.
      return { ...defaultSgd, learningRate, momentum, weightDecay, nesterov: momentum > 0 };
    case 'adam':
      return { ...paperAdam, learningRate, weightDecay };
    default:
      return optimiser satisfies never;
  }
}

/** `warmup`: the share of the training in which the rate rises; without it only one-cycle has one. */
export function scheduleOf(name: ScheduleName, warmup?: number): Schedule {
  const rise = { warmup: warmup ?? (name === 'one-cycle' ? TRAIN.warmup : 0) };
  switch (name) {
    case 'constant':
    case 'cosine':
      return { kind: name, ...rise };
    case 'step':
      return { kind: 'step', milestones: [0.5, 0.75], factor: 0.1, ...rise };
    case 'one-cycle':
      return { kind: 'cosine', ...rise };
    default:
      return name satisfies never;
  }
}
