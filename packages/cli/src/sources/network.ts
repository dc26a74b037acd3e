// ARCH and MODEL on the command line: a zoo name, a JSON spec, or a model file.
import { readFile, stat } from 'node:fs/promises';
import { loadSource, modelFormat, type Dataset, type Preprocessing, type Weights } from '@n2n/trainer';
import { parseSpec, SpecError, zooNames, zooSpec, type NetworkSpec } from '@n2n/trainer/network';
import { InputError, UsageError } from '../errors.js';

export interface Geometry {
  readonly channels: number;
  readonly height: number;
  readonly width: number;
  readonly classes: number;
}

/** A network to work on; weights only where it came from a model file, and preprocessing where that has it. */
export interface NetworkSource {
  readonly spec: NetworkSpec;
  readonly weights?: Weights;
  readonly preprocessing?: Preprocessing;
  /** What was left out in reading a model file. */
  readonly notes?: readonly string[];
}

/** Largest spec file that is read: 16 MiB. */
const MAX_SPEC_BYTES = 2 ** 24;

/** What an architecture of the zoo is built for when nothing else is said: the input that its paper or benchmark has. */
export function usualGeometry(name: string): Geometry {
  const small = /^(lenet|mnist|plain)/.test(name);
  return small ? { channels: 1, height: 28, width: 28, classes: 10 } : { channels: 3, height: 32, width: 32, classes: 10 };
}

/** `geometry` is what a zoo network is built for. Throws UsageError for an unknown name, and what reading a file throws. */
export async function openNetwork(text: string, geometry: Geometry = usualGeometry(text)): Promise<NetworkSource> {
  if (modelFormat(text) !== undefined) return loadSource(text);
  if (text.endsWith('.json')) return { spec: await readSpecFile(text) };
  try {
    return { spec: zooSpec(text, geometry) };
  } catch (error) {
    if (!(error instanceof SpecError)) throw error;
    const known = zooNames.includes(text.split('@')[0] ?? '');
    throw new UsageError(
      known ? error.message : `${error.message}; or a file that ends in .json (a spec) or .safetensors or .onnx (a model)`,
    );
  }
}

async function readSpecFile(path: string): Promise<NetworkSpec> {
  let json: unknown;
  try {
    const status = await stat(path);
    if (!status.isFile()) throw new Error('it is not a regular file');
    if (status.size > MAX_SPEC_BYTES) throw new Error(`it holds ${status.size} bytes, at most ${MAX_SPEC_BYTES} are read`);
    json = JSON.parse(await readFile(path, 'utf8'));
  } catch (error) {
    throw new InputError(`${path}: cannot be read as a network: ${error instanceof Error ? error.message : String(error)}`);
  }
  try {
    return parseSpec(json);
  } catch (error) {
    if (error instanceof SpecError) throw new InputError(`${path}: is no valid network: ${error.message}`);
    throw error;
  }
}

/** Throws UsageError when the network and the data set have different images or classes. */
export function checkFits(spec: NetworkSpec, data: Dataset): void {
  const { channels, height, width } = spec.input;
  const same = channels === data.channels && height === data.height && width === data.width && spec.classes === data.classes;
  if (same) return;
  throw new UsageError(
    `network "${spec.name}" takes ${describeGeometry({ ...spec.input, classes: spec.classes })}, but the data set "${data.name}" has ` +
      `${describeGeometry(data)}; give a network and a data set that fit each other`,
  );
}

const describeGeometry = ({ channels, height, width, classes }: Geometry): string =>
  `images of ${channels}x${height}x${width} in ${classes} classes`;
