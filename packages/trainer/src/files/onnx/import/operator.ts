// One ONNX node as the table of operators sees it: attributes by name and type, errors that name the node.
import { shortestDecimal } from './decimal.js';
import { AttributeType, type OnnxAttribute, type OnnxNode, type OnnxTensor } from '../schema.js';

/** A node that n2n cannot read; the message says which, its operator, and why. */
export class NodeError extends Error {
  override readonly name = 'NodeError';
  constructor({ name, op, outputs }: OnnxNode, reason: string, options?: ErrorOptions) {
    super(`node ${JSON.stringify((name || (outputs[0] ?? '')).slice(0, 100))} (${op.slice(0, 60)}): ${reason}`, options);
  }
}

export class Operator {
  private readonly attributes = new Map<string, OnnxAttribute>();

  constructor(readonly node: OnnxNode) {
    for (const attribute of node.attributes) {
      if (attribute.type === AttributeType.GRAPH || attribute.type === AttributeType.GRAPHS) {
        this.fail(`attribute "${attribute.name}" is a subgraph; n2n reads none`);
      }
      if (this.attributes.has(attribute.name)) this.fail(`has the attribute ${JSON.stringify(attribute.name)} twice`);
      this.attributes.set(attribute.name, attribute);
    }
  }

  fail(reason: string): never {
    throw new NodeError(this.node, reason);
  }

  /** Refuses attributes that are not among these: they could change what the operator means. */
  allow(names: readonly string[]): void {
    for (const name of this.attributes.keys()) {
      if (!names.includes(name))
        this.fail(`has the attribute ${JSON.stringify(name.slice(0, 60))}; n2n knows ${names.join(', ') || 'none'} of it`);
    }
  }

  has(name: string): boolean {
    return this.attributes.has(name);
  }

  int(name: string, fallback: number): number {
    const found = this.typed(name, AttributeType.INT);
    return found === undefined ? fallback : (found.int ?? 0);
  }

  float(name: string, fallback: number): number {
    const found = this.typed(name, AttributeType.FLOAT);
    const value = found === undefined ? fallback : (found.float ?? 0);
    if (Number.isNaN(value)) this.fail(`attribute "${name}" is no number`);
    return value;
  }

  /** As `float`, as the decimal number that was meant. */
  decimal(name: string, fallback: number): number {
    return this.has(name) ? shortestDecimal(this.float(name, fallback)) : fallback;
  }

  text(name: string, fallback: string): string {
    const found = this.typed(name, AttributeType.STRING);
    return found === undefined ? fallback : (found.text ?? '');
  }

  /** Undefined when the node has no such attribute. */
  ints(name: string): readonly number[] | undefined {
    const found = this.typed(name, AttributeType.INTS);
    return found === undefined ? undefined : (found.ints ?? []);
  }

  floats(name: string): readonly number[] | undefined {
    const found = this.typed(name, AttributeType.FLOATS);
    return found === undefined ? undefined : (found.floats ?? []);
  }

  tensor(name: string): OnnxTensor | undefined {
    return this.typed(name, AttributeType.TENSOR)?.tensor;
  }

  private typed(name: string, type: number): OnnxAttribute | undefined {
    const found = this.attributes.get(name);
    if (found !== undefined && found.type !== type) this.fail(`attribute "${name}" has type ${found.type}, needs ${type}`);
    return found;
  }
}
