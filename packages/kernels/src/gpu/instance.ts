// The Dawn instance. It must outlive every adapter and device: were it collected while a device lives, Node would die with
// SIGSEGV, so the one instance of the process stays in this module for good.
import { chmodSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { tmpdir } from 'node:os';
import { create, globals } from 'webgpu';

let instance: GPU | undefined;

export interface InstanceOptions {
  /** Bounds checks in shaders; off by default: all kernels guard their own accesses, and the checks cost about 15 % on lavapipe. */
  readonly robustness?: boolean;
  /** A substring of the adapter's name, to choose among several. */
  readonly adapter?: string;
}

/** The process's Dawn instance; the options of the first call hold for all later ones. */
export function gpuInstance(options: InstanceOptions = {}): GPU {
  if (instance !== undefined) return instance;
  provideRuntimeDirectory();
  Object.assign(globalThis, globals);
  const enable = ['vulkan_enable_f16_on_nvidia', 'allow_unsafe_apis', ...(options.robustness === true ? [] : ['disable_robustness'])];
  const flags = [`enable-dawn-features=${enable.join(',')}`, 'disable-dawn-features=timestamp_quantization'];
  if (options.adapter !== undefined) flags.push(`adapter=${options.adapter}`);
  instance = create(flags);
  return instance;
}

/** lavapipe prints an error at every start when XDG_RUNTIME_DIR is missing. */
function provideRuntimeDirectory(): void {
  if (process.env['XDG_RUNTIME_DIR'] !== undefined || process.platform !== 'linux') return;
  const directory = join(tmpdir(), `n2n-runtime-${process.getuid?.() ?? 0}`);
  try {
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    chmodSync(directory, 0o700);
    process.env['XDG_RUNTIME_DIR'] = directory;
  } catch {
    // Only a printed line is at stake.
  }
}
