// Optimiser steps against closed forms, which the float64 twins must meet by themselves: for a constant gradient g
// Adam moves by the learning rate exactly, and the velocity of SGD is a geometric series.
import { describe, expect, it } from 'vitest';
import { adam, type AdamShape } from './adam/index.js';
import type { Tensors } from './op.js';
import { sgd, type SgdShape } from './sgd/index.js';

const STEPS = 6;
const gradient = [0.5, -2, 1e-3, 0];
const start = [1, -1, 3, 0.25];

/** Parameters after each step under a constant gradient. */
function trajectory<S extends { size: number }>(step: (shape: S, tensors: Tensors) => void, shape: S, schedule: Float64Array): number[][] {
  const tensors: Tensors = { parameters: Float64Array.from(start), gradients: Float64Array.from(gradient), schedule };
  for (const name of ['velocity', 'firstMoment', 'secondMoment']) tensors[name] = new Float64Array(shape.size);
  return Array.from({ length: STEPS }, (_, t) => {
    step(shape, { ...tensors, clock: Float64Array.of(t, 0, 0, 0) });
    return [...tensors['parameters']!];
  });
}

/** A constant learning rate of 0.125 with Adam's bias corrections. */
const scheduleOf = (beta1: number, beta2: number): Float64Array =>
  Float64Array.from(Array.from({ length: STEPS }, (_, t) => [0.125, 1 / (1 - beta1 ** (t + 1)), 1 / (1 - beta2 ** (t + 1)), 0]).flat());

describe('sgd', () => {
  const shape: SgdShape = { size: 4, steps: STEPS, momentum: 0.9, nesterov: false, weightDecay: 0 };
  const schedule = scheduleOf(0, 0);
  // v_t = g (1 - m^t) / (1 - m); Nesterov moves by g + m v_t = g (1 - m^(t+1)) / (1 - m).
  for (const nesterov of [false, true]) {
    it(`sgd sums a geometric series, nesterov ${nesterov}`, () => {
      const path = trajectory(sgd.passes['step']!.reference, { ...shape, nesterov }, schedule);
      let moved = 0;
      path.forEach((parameters, t) => {
        moved += (0.125 * (1 - 0.9 ** (t + (nesterov ? 2 : 1)))) / (1 - 0.9);
        parameters.forEach((p, i) => expect(p).toBeCloseTo(start[i]! - moved * gradient[i]!, 12));
      });
    });
  }

  it('sgd decays a parameter without gradient geometrically', () => {
    const path = trajectory(sgd.passes['step']!.reference, { ...shape, momentum: 0, weightDecay: 0.5 }, schedule);
    path.forEach((parameters, t) => expect(parameters[3]).toBeCloseTo(0.25 * (1 - 0.125 * 0.5) ** (t + 1), 12));
  });
});

describe('adam', () => {
  const shape: AdamShape = { size: 4, steps: STEPS, beta1: 0.9, beta2: 0.999, epsilon: 1e-12, weightDecay: 0, decoupled: false };
  const schedule = scheduleOf(shape.beta1, shape.beta2);

  it('adam moves by the learning rate under a constant gradient', () => {
    const path = trajectory(adam.passes['step']!.reference, shape, schedule);
    path.forEach((parameters, t) =>
      parameters.forEach((p, i) => expect(p).toBeCloseTo(start[i]! - 0.125 * (t + 1) * Math.sign(gradient[i]!), 5)),
    );
  });

  it('adam moves by the learning rate at each step that loss scaling does not skip', () => {
    const parameters = Float64Array.from(start);
    const zeros = (): Float64Array => new Float64Array(shape.size);
    const tensors = { parameters, gradients: Float64Array.from(gradient), schedule, firstMoment: zeros(), secondMoment: zeros() };
    let skipped = 0;
    for (const [t, skips] of [true, true, false, false, true, false].entries()) {
      const state = { clock: Float64Array.of(t, 0, 0, 0), scaling: Float64Array.of(1, skips ? 0 : 1, 0, skipped) };
      adam.passes['step']!.reference({ ...shape, scaled: true }, { ...tensors, ...state });
      if (skips) skipped += 1;
      parameters.forEach((p, i) => expect(p).toBeCloseTo(start[i]! - 0.125 * (t + 1 - skipped) * Math.sign(gradient[i]!), 5));
    }
  });

  it('adamw decays the parameter, adam with L2 follows the sign of parameter and gradient', () => {
    const decoupled = trajectory(adam.passes['step']!.reference, { ...shape, weightDecay: 0.5, decoupled: true }, schedule);
    decoupled.forEach((parameters, t) => expect(parameters[3]).toBeCloseTo(0.25 * (1 - 0.125 * 0.5) ** (t + 1), 12));
    const l2 = trajectory(adam.passes['step']!.reference, { ...shape, weightDecay: 0.5 }, schedule);
    expect(l2[0]![3]).toBeCloseTo(0.25 - 0.125, 6);
  });
});
