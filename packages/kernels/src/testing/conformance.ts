// Holds every kernel variant against its float64 twin, and every float64 gradient against central differences.
import type { Op, Pass, TensorDeclaration, Tensors } from '../ops/op.js';
import type { Gpu, Slice } from '../gpu/device.js';
import { Recorder } from '../gpu/recording.js';
import { testRandom } from './random.js';

/** Words before and after each tensor that no kernel may touch. */
const GUARD_WORDS = 64;
/** A quiet NaN with a payload: an element left unwritten shows as NaN, a guard overwritten as another word. */
const POISON = 0x7fc0dead;

export interface Case<S> {
  readonly op: Op<S>;
  readonly passName: string;
  readonly shape: S;
  /** Undefined for the reference alone. */
  readonly variant: string;
}

/** Every (pass, variant, sample) of an op; whether the variant is usable here is for the caller to ask. */
export function conformanceCases<S>(op: Op<S>): Case<S>[] {
  return Object.entries(op.passes).flatMap(([passName, pass]) =>
    pass.variants.flatMap((variant) => op.samples.map((shape) => ({ op, passName, shape, variant: variant.name }))),
  );
}

const declared = <S>(pass: Pass<S>, shape: S): TensorDeclaration<S>[] => pass.tensors.filter((t) => t.optional?.(shape) !== true);

/** Fills a tensor with its declared or normal test data, rounded to what the device can hold. */
function testData<S>(declaration: TensorDeclaration<S>, shape: S, key: string): Float64Array {
  const random = testRandom(`${key}/${declaration.name}`);
  const words = declaration.words(shape);
  if (declaration.fill !== undefined) {
    const data = Float64Array.from(declaration.fill(shape, random));
    if (data.length !== words) throw new Error(`${declaration.name}: fill gave ${data.length} words, declared ${words}`);
    return declaration.type === 'f32' ? data.map(Math.fround) : data;
  }
  return Float64Array.from({ length: words }, () => Math.fround(random.normal()));
}

/**
 * Inputs for a pass, drawn by name so that passes of one op see the same x and weight. Tensors that the forward pass
 * produces and this pass reads (saved statistics, argmax indices) come from the forward reference.
 */
export function passInputs<S>(op: Op<S>, passName: string, shape: S): Tensors {
  const pass = op.passes[passName]!;
  const key = `${op.name}/${JSON.stringify(shape)}`;
  const forwardName = pass.differentiates?.pass;
  const saved: Tensors = {};
  if (forwardName !== undefined) {
    const forward = op.passes[forwardName]!;
    Object.assign(saved, passInputs(op, forwardName, shape));
    runReference(forward, shape, saved);
  }
  const inputs: Tensors = {};
  for (const declaration of declared(pass, shape)) {
    if (declaration.role === 'out') continue;
    const fromForward = saved[declaration.name];
    const rounded = declaration.type === 'f32' ? fromForward?.map((v) => Math.fround(v)) : fromForward?.slice();
    inputs[declaration.name] = rounded ?? testData(declaration, shape, key);
  }
  return inputs;
}

/** Runs the float64 twin in place; outputs are allocated first. */
export function runReference<S>(pass: Pass<S>, shape: S, tensors: Tensors): void {
  for (const declaration of declared(pass, shape)) {
    if (declaration.role === 'out') tensors[declaration.name] = new Float64Array(declaration.words(shape));
  }
  pass.reference(shape, tensors);
}

export interface Difference {
  readonly tensor: string;
  /** Largest |gpu - reference| over the largest |reference|; NaN when an element was not written. */
  readonly error: number;
  readonly at: number;
  readonly got: number;
  readonly expected: number;
}

/** Runs one variant on the device and returns the worst difference of each output. Throws when a guard word was overwritten. */
export async function runCase<S>(gpu: Gpu, { op, passName, shape, variant }: Case<S>): Promise<Difference[]> {
  const pass = op.passes[passName]!;
  const inputs = passInputs(op, passName, shape);
  const expected: Tensors = Object.fromEntries(Object.entries(inputs).map(([name, data]) => [name, data.slice()]));
  runReference(pass, shape, expected);
  const declarations = declared(pass, shape);
  const slices: Record<string, Slice> = {};
  const whole: Slice[] = [];
  for (const declaration of declarations) {
    const { slice, all } = await guardedSlice(gpu, declaration.words(shape), declaration.name);
    const data = inputs[declaration.name];
    if (data !== undefined) gpu.write(slice, declaration.type === 'f32' ? new Float32Array(data) : new Uint32Array(data));
    slices[declaration.name] = slice;
    whole.push(all);
  }
  const recorder = new Recorder(gpu);
  recorder.add(op, passName, shape, slices, { variant });
  const recording = await recorder.finish('conformance');
  recording.replay();
  const differences: Difference[] = [];
  for (const [index, declaration] of declarations.entries()) {
    const bytes = await gpu.readBytes(whole[index]!);
    const guard = guardWords(gpu);
    const words = declaration.words(shape);
    checkGuards(new Uint32Array(bytes), guard, words, `${op.name} ${passName} ${variant}: "${declaration.name}"`);
    if (declaration.role === 'in') continue;
    const got = declaration.type === 'f32' ? new Float32Array(bytes, guard * 4, words) : new Uint32Array(bytes, guard * 4, words);
    differences.push(compare(declaration.name, got, expected[declaration.name]!));
  }
  await recording.destroy();
  await gpu.free(...whole);
  return differences;
}

const guardWords = (gpu: Gpu): number => Math.max(GUARD_WORDS, gpu.alignment / 4);

async function guardedSlice(gpu: Gpu, words: number, label: string): Promise<{ slice: Slice; all: Slice }> {
  const guard = guardWords(gpu);
  const total = guard + words + guard;
  const all = await gpu.allocate(total * 4, label);
  gpu.write(all, new Uint32Array(total).fill(POISON));
  return { slice: { buffer: all.buffer, offset: guard * 4, size: words * 4 }, all };
}

function checkGuards(data: Uint32Array, guard: number, words: number, what: string): void {
  for (let i = 0; i < guard; i++) {
    if (data[i] !== POISON) throw new Error(`${what}: word ${i - guard} before the tensor was overwritten`);
    if (data[guard + words + i] !== POISON) throw new Error(`${what}: word ${i} after the tensor was overwritten`);
  }
}

export function compare(tensor: string, got: ArrayLike<number>, expected: ArrayLike<number>): Difference {
  let scale = 0;
  for (let i = 0; i < expected.length; i++) scale = Math.max(scale, Math.abs(expected[i]!));
  let worst: Difference = { tensor, error: 0, at: -1, got: 0, expected: 0 };
  for (let i = 0; i < expected.length; i++) {
    const error = Math.abs(got[i]! - expected[i]!) / (scale === 0 ? 1 : scale);
    if (!(error <= worst.error)) {
      worst = { tensor, error, at: i, got: got[i]!, expected: expected[i]! };
      if (Number.isNaN(error)) return worst;
    }
  }
  return worst;
}

/**
 * The largest difference between an analytic gradient and central differences of the forward reference, relative to the
 * largest gradient, over `probes` coordinates of each differentiated input.
 */
export function gradientError<S>(op: Op<S>, passName: string, shape: S, probes = 24): number {
  const pass = op.passes[passName]!;
  const { differentiates } = pass;
  if (differentiates === undefined) throw new Error(`${op.name} ${passName} differentiates nothing`);
  const forward = op.passes[differentiates.pass]!;
  const forwardInputs = passInputs(op, differentiates.pass, shape);
  const tensors = { ...forwardInputs, ...passInputs(op, passName, shape) };
  // Saved tensors at full precision: the differences are far smaller than float32 rounding.
  const saved: Tensors = copy(forwardInputs);
  runReference(forward, shape, saved);
  for (const declaration of pass.tensors) {
    if (declaration.role === 'in' && forwardInputs[declaration.name] === undefined && saved[declaration.name] !== undefined) {
      tensors[declaration.name] = saved[declaration.name]!;
    }
  }
  for (const name of Object.keys(differentiates.gradients)) {
    if (pass.tensors.some((t) => t.name === name && t.role === 'inout')) tensors[name]!.fill(0);
  }
  const analytic = copy(tensors);
  runReference(pass, shape, analytic);
  const objective = (inputs: Tensors): number => {
    const run = copy(inputs);
    runReference(forward, shape, run);
    let sum = 0;
    for (const [here, output] of Object.entries(differentiates.cotangents)) {
      const cotangent = tensors[here]; // missing where the shape leaves it out
      if (cotangent !== undefined) run[output]!.forEach((value, i) => (sum += value * cotangent[i]!));
    }
    for (const [output, cotangent] of Object.entries(differentiates.constantCotangents?.(shape) ?? {})) {
      run[output]!.forEach((value) => (sum += value * cotangent));
    }
    return sum;
  };
  let worst = 0;
  for (const [here, input] of Object.entries(differentiates.gradients)) {
    const values = forwardInputs[input];
    if (values === undefined || analytic[here] === undefined) continue;
    const scale = analytic[here].reduce((most, v) => Math.max(most, Math.abs(v)), 1e-12);
    const random = testRandom(`${op.name}/${passName}/${here}`);
    for (let probe = 0; probe < probes; probe++) {
      const at = random.integer(values.length);
      const step = 1e-5;
      const shifted = (delta: number): Tensors => {
        const moved = copy(forwardInputs);
        moved[input]![at]! += delta;
        return moved;
      };
      const numeric = (objective(shifted(step)) - objective(shifted(-step))) / (2 * step);
      worst = Math.max(worst, Math.abs(numeric - analytic[here][at]!) / scale);
    }
  }
  return worst;
}

const copy = (tensors: Tensors): Tensors => Object.fromEntries(Object.entries(tensors).map(([name, data]) => [name, data.slice()]));
