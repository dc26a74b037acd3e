// Random test data, keyed: the same (seed, purpose) gives the same numbers wherever it is drawn.

export interface Random {
  /** Uniform in [0, 1). */
  uniform(): number;
  normal(): number;
  /** Uniform in 0 .. bound - 1. */
  integer(bound: number): number;
}

/** mulberry32 over an FNV-1a hash of the key. */
export function testRandom(key: string): Random {
  let state = 0x811c9dc5;
  for (let i = 0; i < key.length; i++) state = Math.imul(state ^ key.charCodeAt(i), 0x01000193) >>> 0;
  const uniform = (): number => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
  return {
    uniform,
    normal: () => Math.sqrt(-2 * Math.log(1 - uniform())) * Math.cos(2 * Math.PI * uniform()),
    integer: (bound) => Math.floor(uniform() * bound),
  };
}

/** `rows` x padded-channels standard normal values, the padding zero. */
export function paddedNormal(rows: number, channels: number, random: Random): Float64Array {
  const stride = Math.ceil(channels / 4) * 4;
  const values = new Float64Array(rows * stride);
  for (let r = 0; r < rows; r++) for (let c = 0; c < channels; c++) values[r * stride + c] = random.normal();
  return values;
}
