// The order of a stretch of training, shared by the ops that follow it (gather, rows): u32 pairs (image, view) for `steps` steps of
// `batch` entries. Step s, entry i is at words 2 (s * batch + i); the clock says s. A table on the device may be one shard of
// several, holding images first .. first + count - 1.
import type { Random } from '../testing/random.js';
import { requirePositiveIntegers } from './checks.js';
import { CLOCK_WORDS } from './clock/index.js';
import { ShapeError, type TensorDeclaration, type Tensors } from './op.js';

/** An image index that stands for no image: the tail of the last batch. */
export const VOID_IMAGE = 0xffffffff;
/** The view that is the image itself, without augmentation. */
export const PLAIN_VIEW = 0xffffffff;

export interface OrderShape {
  readonly batch: number;
  /** Steps that the order holds; entries past its end are void. */
  readonly steps: number;
  /** First image of this table. */
  readonly first: number;
  /** Images of this table. */
  readonly count: number;
}

/**
 * Test entries: images of the shard, of its neighbours and void ones; views of 0 .. 3 and the plain one. Images do not repeat
 * within a step, as `rows` may scatter them.
 */
function fillOrder({ batch, steps, first, count }: OrderShape, random: Random): number[] {
  const entries: number[] = [];
  const lowest = Math.max(0, first - 2);
  const span = first + count + 2 - lowest;
  for (let s = 0; s < steps; s++) {
    const start = random.integer(span);
    for (let i = 0; i < batch; i++) {
      const image = i >= span || (i > 0 && random.uniform() < 0.15) ? VOID_IMAGE : lowest + ((start + i) % span);
      entries.push(image, random.uniform() < 0.3 ? PLAIN_VIEW : random.integer(4));
    }
  }
  return entries;
}

export const orderTensor: TensorDeclaration<OrderShape> = {
  name: 'order',
  role: 'in',
  type: 'u32',
  words: ({ batch, steps }) => batch * steps * 2,
  fill: fillOrder,
};

/** The clock at the last step of the order. */
export const orderClock: TensorDeclaration<OrderShape> = {
  name: 'clock',
  role: 'in',
  type: 'u32',
  words: () => CLOCK_WORDS,
  fill: ({ steps }) => [steps - 1, 0, 0, 0],
};

export interface Entry {
  /** Index in the table; undefined when another shard holds the image. */
  readonly local: number | undefined;
  readonly image: number;
  readonly view: number;
  readonly void: boolean;
}

/** Entry i of the clock's step, as the references see it. */
export function entryAt({ batch, steps, first, count }: OrderShape, { order, clock }: Tensors, i: number): Entry {
  const step = clock![0]!;
  const at = (step * batch + i) * 2;
  const image = step < steps ? order![at]! : VOID_IMAGE;
  const local = image - first;
  return { image, view: order![at + 1] ?? 0, void: image === VOID_IMAGE, local: local >= 0 && local < count ? local : undefined };
}

/** Throws ShapeError on an order or shard that makes no sense. */
export function checkOrder(op: string, { batch, steps, first, count }: OrderShape): void {
  requirePositiveIntegers(op, { batch, steps, count });
  if (!Number.isInteger(first) || first < 0) throw new ShapeError(op, `first is ${first}; it must be an integer of at least 0`);
  if (first + count > VOID_IMAGE) throw new ShapeError(op, `images up to ${first + count}; indices must stay under ${VOID_IMAGE}`);
}
