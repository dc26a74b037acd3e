// @n2n/benchmarks: throughput of training steps; kernels measure themselves in @n2n/kernels.
export { runStepBench, stepCases, type StepBenchOptions } from './steps.js';
