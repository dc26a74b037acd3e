// The float64 twin of metrics.
import { VOID_LABEL } from '../loss.js';
import { padded, type Tensors } from '../op.js';
import type { MetricsShape } from './index.js';

export function metricsReference({ batch, classes }: MetricsShape, { logits, labels, losses, totals }: Tensors): void {
  for (let n = 0; n < batch; n++) {
    if (labels![n] === VOID_LABEL) continue;
    const row = logits!.subarray(n * padded(classes), n * padded(classes) + classes);
    const predicted = row.indexOf(row.reduce((a, b) => Math.max(a, b), -Infinity));
    totals![0]! += losses![n]!;
    totals![1]! += predicted === labels![n] ? 1 : 0;
    totals![2]! += 1;
  }
}
