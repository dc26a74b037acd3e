// The figures of a network that rewards and constraints are about: those that follow from its architecture, its accuracy, and
// its latency where a constraint asks for it.
import { activationBytes, macs, modelBytes, parameterCount, type NetworkSpec } from '@n2n/trainer/network';
import { energyMicrojoules } from './energy.js';

/** What follows from the architecture alone. */
export interface ArchitectureMeasures {
  /** Trainable parameters. */
  readonly params: number;
  /** Multiply-adds of one sample's forward pass. */
  readonly macs: number;
  /** Bytes of the model's tensors as float32, running statistics included. */
  readonly bytes: number;
  /** Peak bytes of float32 activations at batch 1. */
  readonly activationBytes: number;
  /** Of one image, by the model of energy.ts. */
  readonly energyMicrojoules: number;
}

/** Milliseconds of a forward pass on the adapter in use; null where it could not be measured, absent where nobody asked. */
export interface LatencyMeasures {
  /** Of one image. */
  readonly latencyMs?: number | null;
  /** Of a whole batch, as large for the student as for the teacher. */
  readonly batchLatencyMs?: number | null;
}

export interface Measures extends ArchitectureMeasures, LatencyMeasures {
  /** Fraction of the validation split. */
  readonly accuracy: number;
}

export function architectureMeasures(spec: NetworkSpec): ArchitectureMeasures {
  return {
    params: parameterCount(spec),
    macs: macs(spec),
    bytes: modelBytes(spec),
    activationBytes: activationBytes(spec),
    energyMicrojoules: energyMicrojoules(spec),
  };
}
