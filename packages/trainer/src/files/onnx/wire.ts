// Protobuf's wire format, read with bounds: one message is a list of fields, texts and lists have limits, and nothing recurses
// but the reader of a known message. Groups, which ONNX never uses and which nest without a length, are refused.
import { BinaryReader, WireType } from '@bufbuild/protobuf/wire';
import { ONNX_LIMITS } from './limits.js';

/** Bytes that are no message of the expected kind; the caller adds the file. */
export class WireError extends Error {
  override readonly name = 'WireError';
}

/** The field that a visitor is called for; each method reads its value and may be called once. */
export class Field {
  constructor(
    private readonly reader: BinaryReader,
    private readonly message: string,
    readonly number: number,
    private readonly wire: WireType,
  ) {}

  /** A view of the bytes. */
  bytes(): Uint8Array {
    this.expect(WireType.LengthDelimited);
    return this.reader.bytes();
  }

  text(limit: number = ONNX_LIMITS.text): string {
    const bytes = this.bytes();
    if (bytes.length > limit) this.fail(`is a text of ${bytes.length} bytes, at most ${limit} are read`);
    return new TextDecoder().decode(bytes);
  }

  /** A 64-bit integer; beyond 2^53 the nearest float, which no check for an integer size accepts. */
  integer(): number {
    this.expect(WireType.Varint);
    return Number(this.reader.int64());
  }

  float(): number {
    this.expect(WireType.Bit32);
    return this.reader.float();
  }

  /** Appends one value or a packed list. */
  integers(to: number[], limit: number): void {
    if (this.wire !== WireType.LengthDelimited) {
      to.push(this.integer());
    } else {
      const reader = new BinaryReader(this.reader.bytes());
      while (reader.pos < reader.len && to.length <= limit) to.push(Number(reader.int64()));
    }
    if (to.length > limit) this.fail(`has more than ${limit} values`);
  }

  /** Appends one float or a packed list. */
  floats(to: number[], limit: number): void {
    if (this.wire === WireType.Bit32) {
      to.push(this.reader.float());
    } else {
      const reader = new BinaryReader(this.bytes());
      while (reader.pos < reader.len && to.length <= limit) to.push(reader.float());
    }
    if (to.length > limit) this.fail(`has more than ${limit} values`);
  }

  /** Reads past the field. */
  skip(): void {
    this.reader.skip(this.wire);
  }

  private expect(wire: WireType): void {
    if (this.wire !== wire) this.fail(`has wire type ${this.wire}, needs ${wire}`);
  }

  private fail(problem: string): never {
    throw new WireError(`${this.message} field ${this.number} ${problem}`);
  }
}

/** Calls `visit` for every field of a message in order. What the visitor returns false for is skipped. */
export function readMessage(bytes: Uint8Array, message: string, visit: (field: Field) => boolean): void {
  const reader = new BinaryReader(bytes);
  try {
    while (reader.pos < reader.len) {
      const [number, wire] = reader.tag();
      if (wire === WireType.StartGroup || wire === WireType.EndGroup) throw new WireError(`${message} field ${number} is a group`);
      const field = new Field(reader, message, number, wire);
      if (!visit(field)) field.skip();
    }
  } catch (error) {
    if (error instanceof WireError || !(error instanceof Error)) throw error;
    throw new WireError(`${message} ends or breaks at byte ${reader.pos} of ${reader.len} (${error.message})`, { cause: error });
  }
}

/** Appends to a list that may hold at most `limit`. */
export function append<T>(list: T[], value: T, limit: number, what: string): true {
  if (list.length >= limit) throw new WireError(`has more than ${limit} ${what}`);
  list.push(value);
  return true;
}
