// A plan before it touches the device: kernel calls over named places, and where the activations go in one arena.
import type { Op } from '@n2n/kernels';

/** An activation, a gradient or a saved statistic: lives in the activation arena from its first to its last call. */
export interface Activation {
  readonly kind: 'activation';
  readonly id: number;
  readonly words: number;
  readonly label: string;
}

/** A tensor that outlives the plan: parameters, running statistics, the batch, the loss scale. `name` is the owner's business. */
export interface External {
  readonly kind: 'external';
  readonly arena: 'parameters' | 'gradients' | 'state' | 'batch' | 'scaling';
  readonly name: string;
}

export type Place = Activation | External;

export interface Call {
  readonly op: Op<unknown>;
  readonly pass: string;
  readonly shape: unknown;
  readonly places: Readonly<Record<string, Place>>;
  /** The node it belongs to, for profiles and errors. */
  readonly label: string;
}

/** Collects calls in the order in which they will run. */
export class CallList {
  readonly calls: Call[] = [];
  readonly #kept = new Set<number>();
  #activations = 0;

  activation(words: number, label: string): Activation {
    return { kind: 'activation', id: this.#activations++, words, label };
  }

  emit<S>(op: Op<S>, pass: string, shape: S, places: Readonly<Record<string, Place>>, label: string): void {
    this.calls.push({ op, pass, shape, places, label });
  }

  /** The activation is read after the last call (logits): its place is not reused. */
  keep(activation: Activation): void {
    this.#kept.add(activation.id);
  }

  /** Assigns offsets so that activations alive at the same call never overlap. `alignment` in words. */
  allocate(alignment: number): ActivationArena {
    const intervals = new Map<number, Interval>();
    this.calls.forEach(({ places }, at) => {
      for (const place of Object.values(places)) {
        if (place.kind !== 'activation') continue;
        const interval = intervals.get(place.id);
        if (interval === undefined) intervals.set(place.id, { activation: place, first: at, last: at, offset: 0 });
        else interval.last = at;
      }
    });
    for (const id of this.#kept) {
      const interval = intervals.get(id);
      if (interval !== undefined) interval.last = this.calls.length;
    }
    return placeIntervals([...intervals.values()], alignment);
  }
}

interface Interval {
  readonly activation: Activation;
  readonly first: number;
  last: number;
  offset: number;
}

export interface ActivationArena {
  readonly words: number;
  /** Offset in words by activation id. */
  readonly offsets: ReadonlyMap<number, number>;
  /** Words that would be needed without reuse. */
  readonly wordsWithoutReuse: number;
}

/** Largest first, each at the lowest offset that is free during its whole life. */
function placeIntervals(intervals: Interval[], alignment: number): ActivationArena {
  const rounded = (words: number): number => Math.ceil(words / alignment) * alignment;
  const order = intervals.toSorted((a, b) => b.activation.words - a.activation.words || a.activation.id - b.activation.id);
  const placed: Interval[] = [];
  let words = 0;
  let wordsWithoutReuse = 0;
  for (const interval of order) {
    const size = rounded(interval.activation.words);
    const rivals = placed
      .filter((other) => other.first <= interval.last && interval.first <= other.last)
      .toSorted((a, b) => a.offset - b.offset);
    let offset = 0;
    for (const rival of rivals) {
      if (offset + size <= rival.offset) break;
      offset = Math.max(offset, rival.offset + rounded(rival.activation.words));
    }
    interval.offset = offset;
    placed.push(interval);
    words = Math.max(words, offset + size);
    wordsWithoutReuse += size;
  }
  return { words, wordsWithoutReuse, offsets: new Map(placed.map(({ activation, offset }) => [activation.id, offset])) };
}
