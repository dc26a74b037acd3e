// The number formats of safetensors that n2n reads, each decoded to float32. All are little-endian, as every machine with
// a WebGPU adapter is; so float32 bytes are copied as they are.

export interface FloatFormat {
  readonly sizeBytes: number;
  /** `bytes` holds whole elements; the result is a copy of its own. */
  decode(bytes: Uint8Array): Float32Array;
}

const HALF_TO_FLOAT = 2 ** 112;

/** Float32 from the bits of an IEEE 754 half: 1 sign, 5 exponent (bias 15), 10 fraction bits. */
function halfToFloat(bits: number, words: Uint32Array, floats: Float32Array): number {
  const exponent = (bits >>> 10) & 0x1f;
  // Same fields at float32's positions; the exponent's bias (127 instead of 15) is put right by 2^112, which does so for
  // subnormals too.
  words[0] = (bits & 0x7fff) << 13;
  const magnitude = (floats[0] ?? 0) * HALF_TO_FLOAT;
  const value = exponent < 31 ? magnitude : (bits & 0x3ff) === 0 ? Infinity : NaN;
  return bits & 0x8000 ? -value : value;
}

function copyBuffer(bytes: Uint8Array): ArrayBuffer {
  // A copy starts at offset 0, so that views with wider elements are aligned, and frees the file's bytes.
  const copy = new Uint8Array(bytes.length);
  copy.set(bytes);
  return copy.buffer;
}

export const FLOAT_FORMATS: Readonly<Record<'F64' | 'F32' | 'F16' | 'BF16', FloatFormat>> = {
  F64: { sizeBytes: 8, decode: (bytes) => Float32Array.from(new Float64Array(copyBuffer(bytes))) },
  F32: { sizeBytes: 4, decode: (bytes) => new Float32Array(copyBuffer(bytes)) },
  F16: {
    sizeBytes: 2,
    decode(bytes) {
      const words = new Uint32Array(1);
      const floats = new Float32Array(words.buffer);
      return Float32Array.from(new Uint16Array(copyBuffer(bytes)), (bits) => halfToFloat(bits, words, floats));
    },
  },
  BF16: {
    sizeBytes: 2,
    decode(bytes) {
      // The upper half of a float32.
      const words = Uint32Array.from(new Uint16Array(copyBuffer(bytes)), (bits) => bits << 16);
      return new Float32Array(words.buffer);
    },
  },
};

export type FloatFormatName = keyof typeof FLOAT_FORMATS;

export function isFloatFormat(dtype: string): dtype is FloatFormatName {
  return Object.hasOwn(FLOAT_FORMATS, dtype);
}
