// The batch: gathers images, labels and the teacher's logits of one step from tables on the device. Students that train
// side by side share one feed.
import { Allocations, clock, gather, padded, Recorder, rows, VOID_IMAGE, type Gpu, type Recording, type Slice } from '@n2n/kernels';
import type { Preprocessing } from '../files/index.js';
import { Parameters } from '../plan/parameters.js';
import type { DeviceImages, Shard } from './images.js';
import { LiveTeacher } from './live-teacher.js';
import { ImageStream } from './stream.js';

export interface Augmentation {
  /** Random crop of the image's own size out of the image with this border of black pixels. */
  readonly cropPadding: number;
  /** Random horizontal flip. */
  readonly flip: boolean;
  /** Side in pixels of a square that is made 0 after normalisation, somewhere in the image; nothing or 0 for none. */
  readonly cutout?: number;
  readonly seed: number;
}

/** The teacher's logits of `views` views of each image. */
export interface TeacherTable {
  /** f32 [count, views, classes4] each. */
  readonly shards: readonly Shard[];
  readonly views: number;
  readonly classes: number;
}

export interface FeedOptions {
  readonly batch: number;
  /** Most steps between two calls of `setOrder`. */
  readonly steps: number;
  readonly preprocessing: Preprocessing;
  readonly augmentation?: Augmentation;
  /** Its logits, or the teacher itself: then they are computed anew for each batch. */
  readonly teacher?: TeacherTable | Parameters;
}

const NO_AUGMENTATION: Augmentation = { cropPadding: 0, flip: false, seed: 0 };

export class Feed {
  #live: LiveTeacher | undefined;
  #stream: ImageStream | undefined;
  /** Steps of the order that were submitted. */
  #submitted = 0;

  private constructor(
    private readonly gpu: Gpu,
    readonly batch: number,
    readonly steps: number,
    private readonly slices: Readonly<Record<string, Slice>>,
    /** Gathers the batch of the clock's step. */
    readonly fill: Recording,
    /** Moves the clock to the next step. */
    readonly tick: Recording,
    private readonly owned: Allocations,
  ) {}

  static async create(gpu: Gpu, images: DeviceImages, options: FeedOptions): Promise<Feed> {
    const { batch, steps, teacher } = options;
    const { channels, height, width } = images.geometry;
    return Allocations.create(gpu, async (owned) => {
      const slices: Record<string, Slice> = {
        x: await owned.allocate(batch * height * width * padded(channels) * 4, 'batch images'),
        labels: await owned.allocate(batch * 4, 'batch labels'),
        clock: await owned.allocate(16, 'clock'),
        order: await owned.allocate(batch * steps * 8, 'order'),
      };
      if (teacher !== undefined) {
        const { classes } = teacher instanceof Parameters ? teacher.spec : teacher;
        slices['teacher'] = await owned.allocate(batch * padded(classes) * 4, 'batch teacher logits');
      }
      const stream = images.shards === undefined ? await ImageStream.create(gpu, owned, images, batch) : undefined;
      const fill = owned.adopt(await recordFill(gpu, images, stream, options, slices));
      const ticker = new Recorder(gpu);
      ticker.add(clock, 'tick', {}, { clock: slices['clock']! });
      const tick = owned.adopt(await ticker.finish('clock'));
      const feed = new Feed(gpu, batch, steps, slices, fill, tick, owned);
      feed.#stream = stream;
      if (teacher instanceof Parameters) feed.#live = owned.adopt(await LiveTeacher.create(gpu, teacher, feed));
      return feed;
    });
  }

  /** x [batch, H, W, C4], labels u32 [batch], teacher [batch, classes4], clock u32 [4], order u32 [steps, batch, 2]. */
  slice(name: string): Slice {
    const slice = this.slices[name];
    if (slice === undefined) throw new Error(`the feed has no "${name}"; an objective with a teacher needs the teacher's logits`);
    return slice;
  }

  /** Everything that a step needs of its batch: gathers it, and has the teacher look at it where there is no table. */
  encodeFill(pass: GPUComputePassEncoder): void {
    this.fill.encode(pass);
    this.#live?.encode(pass);
  }

  /** Steps from the next one on that one submit may take: those whose images are on the device. */
  get stepsReady(): number {
    return this.#stream?.ahead ?? Infinity;
  }

  /** To be told of each submit: gets the images of the steps after it on their way. */
  advance(steps: number): void {
    this.#submitted += steps;
    this.#stream?.upload(this.#submitted + this.#stream.ahead);
  }

  /**
   * Sets the images of the coming steps, as pairs (image, view), and the clock to the first of them. A last batch is filled
   * up with void entries. `trainedSteps` were made before this order was set; they key dropout's masks.
   */
  setOrder(pairs: Uint32Array, trainedSteps = 0): void {
    const needed = Math.ceil(pairs.length / 2 / this.batch);
    if (needed > this.steps) throw new RangeError(`the order has ${needed} steps; this feed holds ${this.steps}`);
    const whole = new Uint32Array(needed * this.batch * 2).fill(VOID_IMAGE);
    whole.set(pairs);
    this.gpu.write(this.slice('order'), whole);
    this.#submitted = 0;
    this.#stream?.begin(whole);
    this.gpu.write(this.slice('clock'), new Uint32Array([0, trainedSteps, 0, 0]));
  }

  async destroy(): Promise<void> {
    await this.owned.destroy();
  }
}

/** Gathers the images, labels and teacher's logits of the clock's step into the batch. */
async function recordFill(
  gpu: Gpu,
  images: DeviceImages,
  stream: ImageStream | undefined,
  options: FeedOptions,
  slices: Readonly<Record<string, Slice>>,
): Promise<Recording> {
  const { batch, steps, teacher } = options;
  const { channels, height, width } = images.geometry;
  const common = { order: slices['order']!, clock: slices['clock']! };
  const recorder = new Recorder(gpu);
  const { cropPadding, flip, cutout = 0, seed } = options.augmentation ?? NO_AUGMENTATION;
  const { mean, std } = options.preprocessing;
  const shape = { batch, height, width, channels, steps, cropPadding, flip, cutout, seed, mean: [...mean], std: [...std] };
  for (const { first, count, slice } of images.shards ?? []) {
    recorder.add(gather, 'forward', { ...shape, first, count, ring: 0 }, { images: slice, ...common, x: slices['x']! });
  }
  if (stream !== undefined) {
    const { ring, slice } = stream;
    recorder.add(gather, 'forward', { ...shape, first: 0, count: ring * batch, ring }, { images: slice, ...common, x: slices['x']! });
  }
  const all = { batch, first: 0, count: images.count, steps };
  const labelRows = { ...all, words: 1, views: 1, voidWord: VOID_IMAGE };
  recorder.add(rows, 'gather', labelRows, { table: images.labels, ...common, y: slices['labels']! });
  if (teacher !== undefined && !(teacher instanceof Parameters)) {
    const logitRows = { batch, steps, words: padded(teacher.classes), views: teacher.views, voidWord: 0 };
    for (const { first, count, slice } of teacher.shards) {
      recorder.add(rows, 'gather', { ...logitRows, first, count }, { table: slice, ...common, y: slices['teacher']! });
    }
  }
  return recorder.finish('feed');
}
