// Writes a network node by node; the zoo's files read as the papers' tables do.
import { parseSpec } from '../parse.js';
import { INPUT_ID, type NetworkSpec } from '../spec.js';

export interface ZooInput {
  readonly channels: number;
  readonly height: number;
  readonly width: number;
  readonly classes: number;
}

/** What an architecture's file gets: where to write, the input, and the width multiplier as a function of a width. */
export interface ZooContext {
  readonly net: Builder;
  readonly input: ZooInput;
  readonly scale: (width: number) => number;
}

interface ConvOptions {
  readonly stride?: number;
  readonly bias?: boolean;
  readonly padding?: number;
  readonly groups?: number;
}

/** A terse node list that grows; each call returns the new node's id. `last` is the id that a next node follows. */
export class Builder {
  private readonly nodes: { id: string; type: string; inputs: string[]; attributes: Record<string, unknown> }[] = [];
  last = INPUT_ID;

  push(id: string, type: string, attributes: Record<string, unknown> = {}, inputs: string[] = [this.last]): string {
    this.nodes.push({ id, type, inputs, attributes });
    this.last = id;
    return id;
  }

  /** A square convolution with "same" padding at stride 1 and odd kernels. */
  conv(id: string, filters: number, kernel: number, options: ConvOptions = {}): string {
    const { stride = 1, bias = false, padding = Math.floor(kernel / 2), groups = 1 } = options;
    return this.push(id, 'conv2d', { filters, kernel, stride, padding, groups, bias });
  }

  build(name: string, { classes, ...input }: ZooInput): NetworkSpec {
    const { channels, height, width } = input;
    return parseSpec({ name, input: { channels, height, width }, classes, nodes: this.nodes });
  }
}
