// metrics: adds a batch's loss, correct predictions and samples to running totals on the device, read once an epoch.
import type { Random } from '../../testing/random.js';
import { requirePositiveIntegers } from '../checks.js';
import { fillLabels } from '../loss.js';
import { padded, type Op } from '../op.js';
import { metricsReference } from './reference.js';

export interface MetricsShape {
  readonly batch: number;
  /** Classes, without padding. */
  readonly classes: number;
}

const rowsOf = ({ batch }: MetricsShape): number => batch;

/** Small integers, so that ties occur; the padding holds what must not be taken for a class. */
function fillLogits({ batch, classes }: MetricsShape, random: Random): number[] {
  return Array.from({ length: batch * padded(classes) }, (_, i) => (i % padded(classes) < classes ? random.integer(5) - 2 : 9));
}

const ordinary: MetricsShape = { batch: 64, classes: 10 };

export const metrics: Op<MetricsShape> = {
  name: 'metrics',
  passes: {
    forward: {
      tensors: [
        { name: 'logits', role: 'in', type: 'f32', words: ({ batch, classes }) => batch * padded(classes), fill: fillLogits },
        { name: 'labels', role: 'in', type: 'u32', words: rowsOf, fill: fillLabels },
        { name: 'losses', role: 'in', type: 'f32', words: rowsOf },
        { name: 'totals', role: 'inout', type: 'f32', words: () => 4, fill: () => [2.5, 3, 7, 0] },
      ],
      flops: ({ batch, classes }) => batch * (classes + 3),
      tolerance: 1e-6,
      reference: metricsReference,
      variants: [
        {
          name: 'plain',
          usable: () => true,
          dispatches: ({ batch, classes }) => [
            {
              wgsl: new URL('./forward.wgsl', import.meta.url),
              bind: ['logits', 'labels', 'losses', 'totals'],
              uniforms: [batch, classes],
              workgroups: [1, 1, 1],
            },
          ],
        },
      ],
    },
  },
  check: ({ batch, classes }) => requirePositiveIntegers('metrics', { batch, classes }),
  samples: [
    ordinary,
    { batch: 1, classes: 1 },
    { batch: 7, classes: 3 },
    { batch: 65, classes: 4 },
    { batch: 500, classes: 10 },
    { batch: 13, classes: 101 },
  ],
  benchmarks: { '500x10': { batch: 500, classes: 10 } },
  errors: [
    { shape: { ...ordinary, batch: 0 }, message: /batch is 0/ },
    { shape: { ...ordinary, classes: 2.5 }, message: /classes is 2.5/ },
  ],
};
