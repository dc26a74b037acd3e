// @n2n/benchmarks: throughput of training steps, comparison of results, other engines; kernels measure themselves in @n2n/kernels.
export { compareResults, type Comparable, type Comparison, type ComparisonReport } from './compare.js';
export { CandidatePeer, type SharedTraining, type StudentWork } from './peers/candidates.js';
export { peerCases } from './peers/cases.js';
export { EngineError } from './peers/child.js';
export { engineNames, peersFolder } from './peers/engines.js';
export { runPeerBench, type PeerReport } from './peers/run.js';
export { provenance, type Provenance } from './provenance.js';
export {
  profileSteps,
  runStepBench,
  stepCases,
  type StepBenchOptions,
  type StepMeasurement,
  type StepProfile,
  type StepProfileOptions,
} from './steps.js';
