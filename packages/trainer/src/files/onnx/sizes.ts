// How many elements a tensor's dimensions mean, checked before anything is allocated for them.
import { DIMENSION_LIMIT, ELEMENT_LIMIT } from '../../network/index.js';
import type { OnnxTensor } from './schema.js';
import { WireError } from './wire.js';

/** Largest side of a tensor: a linear layer after a flattened map has more inputs than DIMENSION_LIMIT. */
const SIDE_LIMIT = DIMENSION_LIMIT * 64;

/** Throws WireError for a dimension that is no size and for more elements than an array of the device holds. */
export function elementCountOf({ name, dims }: OnnxTensor): number {
  let count = 1;
  for (const size of dims) {
    if (!Number.isSafeInteger(size) || size < 0 || size > SIDE_LIMIT) {
      throw new WireError(
        `tensor ${JSON.stringify(name.slice(0, 100))} has the dimension ${size}, needs an integer from 0 to ${SIDE_LIMIT}`,
      );
    }
    count *= size;
  }
  if (count > ELEMENT_LIMIT)
    throw new WireError(`tensor ${JSON.stringify(name.slice(0, 100))} has ${count} elements, needs at most ${ELEMENT_LIMIT}`);
  return count;
}
