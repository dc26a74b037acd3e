// Latency of a network on the adapter in use: the median wall time of a forward pass of one batch, everything resident.
import type { Gpu } from '@n2n/kernels';
import type { Parameters } from '../plan/parameters.js';
import { EvaluationPlan } from '../plan/plan.js';
import type { Feed } from './feed.js';

export interface Latency {
  readonly batch: number;
  /** Median over `runs` measurements of submit to completion. */
  readonly medianMs: number;
  readonly p10Ms: number;
  readonly p90Ms: number;
  readonly runs: number;
}

/** Measures for at least `minimumMs` and 15 runs after three that do not count. The feed's batch is the latency's. */
export async function measureLatency(gpu: Gpu, parameters: Parameters, feed: Feed, minimumMs = 200): Promise<Latency> {
  const plan = await EvaluationPlan.create(gpu, parameters, feed);
  try {
    for (let i = 0; i < 3; i++) await gpu.time(() => plan.recording.replay());
    const times: number[] = [];
    for (let total = 0; total < minimumMs || times.length < 15;) {
      const elapsed = await gpu.time(() => plan.recording.replay());
      times.push(elapsed);
      total += elapsed;
    }
    times.sort((a, b) => a - b);
    const quantile = (q: number): number => times[Math.round(q * (times.length - 1))]!;
    return { batch: feed.batch, medianMs: quantile(0.5), p10Ms: quantile(0.1), p90Ms: quantile(0.9), runs: times.length };
  } finally {
    await plan.destroy();
  }
}
