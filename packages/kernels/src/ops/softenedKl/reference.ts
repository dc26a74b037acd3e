// The float64 twin of softened KL. With p = softmax(teacher / T) and q = softmax(logits / T): T^2 sum p (log p - log q), gradient
// T (q - p).
import { logSoftmax, type LossRow } from '../loss.js';

export function klDivergence({ temperature }: { readonly temperature: number }, { logits, teacher }: LossRow): number {
  const logP = logSoftmax(teacher.map((value) => value / temperature));
  const logQ = logSoftmax(logits.map((value) => value / temperature));
  return temperature ** 2 * logP.reduce((sum, value, k) => sum + Math.exp(value) * (value - logQ[k]!), 0);
}

export function klDivergenceGradient({ temperature }: { readonly temperature: number }, { logits, teacher }: LossRow): Float64Array {
  const logP = logSoftmax(teacher.map((value) => value / temperature));
  return logSoftmax(logits.map((value) => value / temperature)).map((logQ, k) => temperature * (Math.exp(logQ) - Math.exp(logP[k]!)));
}
