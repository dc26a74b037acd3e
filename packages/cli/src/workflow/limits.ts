// What a run's constraints ask of networks that are no search's candidates any more, or never were: figures of an architecture,
// latencies on this adapter where a constraint is about them, and the limits that the teacher's own make of multiples.
import {
  architectureMeasures,
  latenciesNeeded,
  limitsFor,
  withMargin,
  type Constraint,
  type LatencyMeasures,
  type Limit,
  type Measures,
} from '@n2n/agent';
import type { Gpu } from '@n2n/kernels';
import { evaluationBatch, foldBatchNorm, initialWeights, Parameters } from '@n2n/trainer';
import type { NetworkSpec } from '@n2n/trainer/network';
import type { Material } from './material.js';
import { latenciesOf } from './network.js';

type Measured = Pick<Material, 'model' | 'images'>;

/** How many images at once a constraint on the latency of a batch is about: as the teacher is evaluated, students too. */
export function batchAsked(constraints: readonly Constraint[], teacher: NetworkSpec): number | undefined {
  return latenciesNeeded(constraints).batch ? evaluationBatch(teacher) : undefined;
}

/** The latencies that some constraint asks for, of an architecture with its batch-norms folded: its weights do not matter to them. */
export async function latenciesAsked(
  gpu: Gpu,
  { model, images }: Measured,
  constraints: readonly Constraint[],
  spec: NetworkSpec,
): Promise<LatencyMeasures> {
  const { single } = latenciesNeeded(constraints);
  const batch = batchAsked(constraints, model.spec);
  if (!single && batch === undefined) return {};
  const { preprocessing } = model;
  const folded = foldBatchNorm({ spec, weights: initialWeights(spec, 'latency') });
  const parameters = await Parameters.create(gpu, folded.spec, folded.weights);
  const timed = [{ parameters, preprocessing }];
  try {
    return {
      ...(single ? { latencyMs: (await latenciesOf(gpu, timed, images, 1))[0]! } : {}),
      ...(batch === undefined ? {} : { batchLatencyMs: (await latenciesOf(gpu, timed, images, batch))[0]! }),
    };
  } finally {
    await parameters.destroy();
  }
}

/** Every figure that constraints can be about. */
export async function measuresOf(
  gpu: Gpu,
  material: Measured,
  constraints: readonly Constraint[],
  spec: NetworkSpec,
  accuracy: number,
): Promise<Measures> {
  return { ...architectureMeasures(spec), accuracy, ...(await latenciesAsked(gpu, material, constraints, spec)) };
}

/** The limits that a student is chosen by, multiples being of the teacher as it is on this adapter now. */
export async function limitsOf(
  gpu: Gpu,
  material: Measured & Pick<Material, 'accuracy'>,
  constraints: readonly Constraint[],
): Promise<Limit[]> {
  return withMargin(limitsFor(constraints, await measuresOf(gpu, material, constraints, material.model.spec, material.accuracy)));
}
