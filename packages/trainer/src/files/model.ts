// Model files: one .safetensors whose metadata holds the network and its preprocessing, so that the file alone is enough
// to run, evaluate and compress the model. Tensors are `<node>.<parameter>` in PyTorch's shapes.
import { z } from 'zod';
import { analyse, parseSpec, SpecError, type NetworkSpec } from '../network/index.js';
import { ModelFileError } from './error.js';
import { parseStrictJson } from './json-text.js';
import { encodeSafetensors, readSafetensors, writeSafetensors, type TensorData } from './safetensors.js';

/** Version of the metadata's layout, in `n2n.version`. */
const LAYOUT_VERSION = '1';
/** Where a model file's metadata, ONNX's too, holds the preprocessing. */
export const PREPROCESSING_KEY = 'n2n.preprocessing';

/** How pixels become inputs: scaled to 0..1, then (x - mean[c]) / std[c] for each channel c. */
export interface Preprocessing {
  /** [channels] */
  readonly mean: readonly number[];
  /** [channels], each above 0 */
  readonly std: readonly number[];
}

/** A network with its weights, from whatever file; one of another tool does not say how pixels become inputs. */
export interface ModelSource {
  readonly spec: NetworkSpec;
  readonly weights: Map<string, Float32Array>;
  readonly preprocessing?: Preprocessing;
}

export interface Model extends ModelSource {
  readonly spec: NetworkSpec;
  /** Each tensor that the spec declares, running statistics included, under `<node>.<parameter>`, row-major. */
  readonly weights: Map<string, Float32Array>;
  readonly preprocessing: Preprocessing;
  /** Notes on how the model was trained; not read by n2n. */
  readonly training?: Readonly<Record<string, string>>;
}

const preprocessingSchema = z.strictObject({ mean: z.array(z.number()), std: z.array(z.number().positive()) });
const trainingSchema = z.record(z.string(), z.string());

/** Name and shape of each tensor of a network, in the order of its nodes. */
export function declaredTensors(spec: NetworkSpec): Map<string, readonly number[]> {
  const declared = new Map<string, readonly number[]>();
  for (const { node, parameters } of analyse(spec).nodes) {
    for (const { name, shape } of parameters) declared.set(`${node.id}.${name}`, shape);
  }
  return declared;
}

/**
 * Writes a model, atomically and deterministically. What `loadModel` would refuse is refused here (ModelFileError), before
 * anything is written: a file that was written can be read.
 */
export async function saveModel(path: string, model: Model): Promise<void> {
  const tensors = checkModel(model, path);
  await writeSafetensors(path, tensors, metadataOf(model));
}

/** The bytes that saveModel writes; `path` names them in errors. */
export function encodeModel(model: Model, path: string): Uint8Array {
  return Buffer.concat(encodeSafetensors(checkModel(model, path), metadataOf(model)));
}

function metadataOf({ spec, preprocessing, training }: Model): Record<string, string> {
  return {
    'n2n.version': LAYOUT_VERSION,
    'n2n.spec': JSON.stringify(spec),
    [PREPROCESSING_KEY]: preprocessingText(preprocessing),
    ...(training === undefined ? {} : { 'n2n.training': JSON.stringify(training) }),
  };
}

/** Preprocessing as model files hold it. */
export function preprocessingText({ mean, std }: Preprocessing): string {
  return JSON.stringify({ mean, std });
}

/** The model's tensors with their shapes; throws ModelFileError where they or the preprocessing are not what the spec needs. */
export function checkModel({ spec, weights, preprocessing }: Model, path: string): Map<string, TensorData> {
  const declared = declaredTensors(spec);
  checkPreprocessing(preprocessing, spec, path);
  const tensors = new Map<string, TensorData>();
  for (const [name, data] of weights) tensors.set(name, { shape: shapeFor(name, data, declared, path), data });
  checkTensors(tensors, declared, path);
  return tensors;
}

/** Reads a model and checks all of it: layout, spec, preprocessing, tensors. Throws ModelFileError. */
export async function loadModel(path: string): Promise<Model> {
  const { tensors, metadata } = await readSafetensors(path);
  const version = metadata['n2n.version'];
  if (version === undefined) {
    throw new ModelFileError(
      path,
      'has no n2n.version in its metadata: these are tensors without a network; a model saved by n2n is needed',
    );
  }
  if (version !== LAYOUT_VERSION) {
    throw new ModelFileError(
      path,
      `has n2n.version ${JSON.stringify(version)}; this n2n reads version ${LAYOUT_VERSION}: use the n2n that wrote it, or a newer one`,
    );
  }
  const spec = readSpec(metadata, path);
  const preprocessing = readPreprocessing(metadata, spec, path);
  checkTensors(tensors, declaredTensors(spec), path);
  const weights = new Map([...tensors].map(([name, { data }]) => [name, data]));
  const training = readTraining(metadata, path);
  return { spec, weights, preprocessing, ...(training === undefined ? {} : { training }) };
}

function readSpec(metadata: Record<string, string>, path: string): NetworkSpec {
  const json = parseText('n2n.spec', metadata, path);
  try {
    return parseSpec(json);
  } catch (error) {
    if (error instanceof SpecError) throw new ModelFileError(path, `its n2n.spec is no valid network: ${error.message}`, { cause: error });
    throw error;
  }
}

/** `n2n.preprocessing` of a file's metadata, checked against the network. */
export function readPreprocessing(metadata: Readonly<Record<string, string>>, spec: NetworkSpec, path: string): Preprocessing {
  const parsed = preprocessingSchema.safeParse(parseText(PREPROCESSING_KEY, metadata, path));
  if (!parsed.success) {
    throw new ModelFileError(path, 'its n2n.preprocessing must be {"mean": [...], "std": [...]} with one number a channel, std above 0', {
      cause: parsed.error,
    });
  }
  checkPreprocessing(parsed.data, spec, path);
  return parsed.data;
}

function readTraining(metadata: Record<string, string>, path: string): Record<string, string> | undefined {
  if (metadata['n2n.training'] === undefined) return undefined;
  const parsed = trainingSchema.safeParse(parseText('n2n.training', metadata, path));
  if (!parsed.success) throw new ModelFileError(path, 'its n2n.training must be an object of texts', { cause: parsed.error });
  return parsed.data;
}

function parseText(key: string, metadata: Readonly<Record<string, string>>, path: string): unknown {
  const text = metadata[key];
  if (text === undefined) throw new ModelFileError(path, `has no ${key} in its metadata; a model saved by n2n has it`);
  try {
    return parseStrictJson(text);
  } catch (error) {
    throw new ModelFileError(path, `its ${key} is not valid JSON (${error instanceof Error ? error.message : String(error)})`, {
      cause: error,
    });
  }
}

function checkPreprocessing({ mean, std }: Preprocessing, spec: NetworkSpec, path: string): void {
  const { channels } = spec.input;
  for (const [name, values] of [
    ['mean', mean],
    ['std', std],
  ] as const) {
    if (values.length !== channels) {
      throw new ModelFileError(
        path,
        `its preprocessing has ${values.length} values of ${name}; the network's input has ${channels} channels`,
      );
    }
    const bad = values.find((value) => !Number.isFinite(value) || (name === 'std' && value <= 0));
    if (bad !== undefined)
      throw new ModelFileError(path, `its preprocessing has ${name} ${bad}; it must be a finite number${name === 'std' ? ' above 0' : ''}`);
  }
}

/** The declared shape of weights to be saved, or a plain length where it does not fit, for `checkTensors` to name. */
function shapeFor(name: string, data: Float32Array, declared: ReadonlyMap<string, readonly number[]>, path: string): readonly number[] {
  const shape = declared.get(name);
  const elements = shape?.reduce((product, side) => product * side, 1);
  if (shape === undefined || elements === data.length) return shape ?? [data.length];
  throw new ModelFileError(
    path,
    `tensor "${name}" has ${data.length} elements; the network needs shape ${show(shape)}, ${elements} elements`,
  );
}

/** Exactly the declared tensors, each of its declared shape and finite throughout. */
function checkTensors(tensors: ReadonlyMap<string, TensorData>, declared: ReadonlyMap<string, readonly number[]>, path: string): void {
  for (const [name, needed] of declared) {
    const tensor = tensors.get(name);
    if (tensor === undefined)
      throw new ModelFileError(path, `tensor "${name}" is missing; the network needs it with shape ${show(needed)}`);
    if (tensor.shape.join() !== needed.join()) {
      throw new ModelFileError(path, `tensor "${name}" has shape ${show(tensor.shape)}; the network needs ${show(needed)}`);
    }
    const at = tensor.data.findIndex((value) => !Number.isFinite(value));
    if (at >= 0) throw new ModelFileError(path, `tensor "${name}" has ${tensor.data[at]} at element ${at}; weights must be finite`);
  }
  for (const name of tensors.keys()) {
    if (!declared.has(name))
      throw new ModelFileError(
        path,
        `tensor ${JSON.stringify(name)} belongs to no node of the network; it needs exactly ${declared.size} tensors`,
      );
  }
}

function show(shape: readonly number[]): string {
  return `[${shape.join(', ')}]`;
}
