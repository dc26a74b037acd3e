// The teacher's logits computed on each batch as it comes, where no table of them was made beforehand.
import { Allocations, padded, Recorder, rows, type Gpu, type Recording } from '@n2n/kernels';
import type { Parameters } from '../plan/parameters.js';
import { EvaluationPlan } from '../plan/plan.js';
import type { Feed } from './feed.js';

export class LiveTeacher {
  private constructor(
    private readonly plan: EvaluationPlan,
    private readonly copy: Recording,
    private readonly owned: Allocations,
  ) {}

  /** `feed` has a place for the logits: "teacher", [batch, classes4]. */
  static async create(gpu: Gpu, teacher: Parameters, feed: Feed): Promise<LiveTeacher> {
    const { batch } = feed;
    return Allocations.create(gpu, async (owned) => {
      const plan = owned.adopt(await EvaluationPlan.create(gpu, teacher, feed));
      // A copy is a gather in the batch's own order, by a clock that stands still.
      const order = await owned.allocate(batch * 8, 'order of a copy');
      const clock = await owned.allocate(16, 'clock of a copy');
      gpu.write(
        order,
        Uint32Array.from({ length: batch * 2 }, (_, i) => (i % 2 === 0 ? i / 2 : 0)),
      );
      gpu.write(clock, new Uint32Array(4));
      const recorder = new Recorder(gpu);
      const shape = { batch, words: padded(teacher.spec.classes), views: 1, first: 0, count: batch, steps: 1, voidWord: 0 };
      recorder.add(rows, 'gather', shape, { table: plan.logits, order, clock, y: feed.slice('teacher') });
      const copy = owned.adopt(await recorder.finish("teacher's logits of a batch"));
      return new LiveTeacher(plan, copy, owned);
    });
  }

  /** Computes the logits of the images that the feed has gathered. */
  encode(pass: GPUComputePassEncoder): void {
    this.plan.recording.encode(pass);
    this.copy.encode(pass);
  }

  async destroy(): Promise<void> {
    await this.owned.destroy();
  }
}
