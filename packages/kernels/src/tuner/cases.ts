// What a tuner measures: each pass of the ops that declare `tuning`, at one shape a class.
import { allOps } from '../ops/index.js';
import { classKey, type Choices, type Op } from '../ops/op.js';

export interface TuneCase {
  /** The class that the shape stands for, as `classKey` names it. */
  readonly name: string;
  readonly op: Op<unknown>;
  readonly passName: string;
  readonly shape: unknown;
  readonly flops: number;
}

/** Floating-point operations of a case beyond which it is left out on software adapters: their plain kernels do 1e9 a second. */
const MOST_SOFTWARE_FLOPS = 1e9;

/** The cases fit for an adapter, in the order of measurement: the first shapes of every op, then the second ones, and so on. */
export function tuneCases(software: boolean): TuneCase[] {
  const ops = allOps.filter(({ tuning }) => tuning !== undefined);
  const rounds = Math.max(...ops.map(({ tuning }) => tuning!.shapes.length));
  const cases: TuneCase[] = [];
  for (let round = 0; round < rounds; round++) {
    for (const op of ops) {
      const shape = op.tuning!.shapes[round];
      if (shape === undefined) continue;
      for (const passName of op.tuning!.passes) {
        const flops = op.passes[passName]!.flops(shape);
        if (!software || flops <= MOST_SOFTWARE_FLOPS) cases.push({ name: classKey(op, passName, shape)!, op, passName, shape, flops });
      }
    }
  }
  return cases;
}

/**
 * The choices that name no variant of this version: `conv2d/forward/...: no variant "x"`. A variant that is there but cannot run a
 * shape is no fault: the order of preference then holds.
 */
export function unknownChoices(choices: Choices): string[] {
  return Object.entries(choices).flatMap(([key, variant]) => {
    const [opName = '', passName = ''] = key.split('/');
    const pass = allOps.find(({ name, tuning }) => name === opName && tuning?.passes.includes(passName))?.passes[passName];
    if (pass === undefined) return [`${key}: nothing to choose there`];
    return pass.variants.some(({ name }) => name === variant) ? [] : [`${key}: no variant "${variant}"`];
  });
}
