// The Dawn instance. It must outlive every adapter and device: were it collected while a device lives, Node would die with
// SIGSEGV, so the one instance of the process stays in this module for good.
import { createRequire } from 'node:module';
import { chmodSync, lstatSync, mkdirSync, mkdtempSync } from 'node:fs';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import { create, globals } from 'webgpu';

let instance: GPU | undefined;

/** The version of the WebGPU binding, `0.6.2`: with the adapter's driver what a measurement depends on. */
export function bindingVersion(): string {
  const { version } = createRequire(import.meta.url)('webgpu/package.json') as { version: string };
  return version;
}

export interface InstanceOptions {
  /** Bounds checks in shaders; off by default: all kernels guard their own accesses, and the checks cost about 15 % on lavapipe. */
  readonly robustness?: boolean;
  /** A substring of the adapter's name, to choose among several. */
  readonly adapter?: string;
  /** `cpu` chooses Mesa's software adapter, unless `adapter` names one. */
  readonly prefer?: 'any' | 'cpu' | 'gpu';
}

/** The part of an adapter's name by which Dawn is to choose; undefined leaves the choice to it. */
export const wantedAdapter = ({ adapter, prefer }: InstanceOptions): string | undefined =>
  adapter ?? (prefer === 'cpu' ? 'llvmpipe' : undefined);

/** The process's Dawn instance; the options of the first call, the choice of an adapter included, hold for all later ones. */
export function gpuInstance(options: InstanceOptions = {}): GPU {
  if (instance !== undefined) return instance;
  provideRuntimeDirectory();
  Object.assign(globalThis, globals);
  const enable = ['vulkan_enable_f16_on_nvidia', 'allow_unsafe_apis', ...(options.robustness === true ? [] : ['disable_robustness'])];
  const flags = [`enable-dawn-features=${enable.join(',')}`, 'disable-dawn-features=timestamp_quantization'];
  const name = wantedAdapter(options);
  if (name !== undefined) flags.push(`adapter=${name}`);
  instance = create(flags);
  return instance;
}

/**
 * Sets XDG_RUNTIME_DIR in `environment` when it is missing or empty (lavapipe prints an error at every start without one): a
 * directory of this user only, made in `parent`.
 */
export function provideRuntimeDirectory(environment: NodeJS.ProcessEnv = process.env, parent = tmpdir()): void {
  if ((environment['XDG_RUNTIME_DIR'] ?? '') !== '' || process.platform !== 'linux') return;
  try {
    environment['XDG_RUNTIME_DIR'] = privateDirectory(parent);
  } catch {
    // Only a printed line is at stake.
  }
}

/** The name is guessable in a directory that others write to: a link or somebody else's directory is not used. */
function privateDirectory(parent: string): string {
  const { uid } = userInfo();
  const wanted = join(parent, `n2n-runtime-${uid}`);
  try {
    mkdirSync(wanted, { mode: 0o700 });
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'EEXIST')) throw error;
  }
  const found = lstatSync(wanted);
  if (!found.isDirectory() || found.uid !== uid) return mkdtempSync(`${wanted}-`);
  chmodSync(wanted, 0o700);
  return wanted;
}
