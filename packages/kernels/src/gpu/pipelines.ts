// Pipelines, compiled once a process and kept: a new architecture finds every pipeline here. The key is the file, the entry
// point, the constants and the aliases, never a shape.
import { readFileSync } from 'node:fs';
import { basename } from 'node:path';
import { fileURLToPath } from 'node:url';
import { DeviceUseError } from './errors.js';

export interface KernelSource {
  readonly wgsl: URL;
  readonly entryPoint?: string;
  readonly constants?: Readonly<Record<string, number>>;
  readonly aliases?: Readonly<Record<string, string>>;
}

export interface Kernel {
  readonly pipeline: GPUComputePipeline;
  readonly layout: GPUBindGroupLayout;
  readonly label: string;
}

export class PipelineCache {
  readonly #device: GPUDevice;
  readonly #statistics: { pipelinesCompiled: number };
  readonly #check: () => void;
  readonly #kernels = new Map<string, Promise<Kernel>>();

  constructor(device: GPUDevice, statistics: { pipelinesCompiled: number }, check: () => void) {
    this.#device = device;
    this.#statistics = statistics;
    this.#check = check;
  }

  get(source: KernelSource): Promise<Kernel> {
    const { wgsl, entryPoint = 'main', constants = {}, aliases = {} } = source;
    const key = `${wgsl.href} ${entryPoint} ${JSON.stringify([constants, aliases])}`;
    let kernel = this.#kernels.get(key);
    if (kernel === undefined) {
      kernel = this.#compile(source);
      this.#kernels.set(key, kernel);
    }
    return kernel;
  }

  async #compile(source: KernelSource): Promise<Kernel> {
    const code = loadWgsl(source);
    const label = kernelLabel(source);
    this.#statistics.pipelinesCompiled += 1;
    this.#device.pushErrorScope('validation');
    const module = this.#device.createShaderModule({ code, label });
    const layout = this.#device.createBindGroupLayout({ entries: bindingLayout(code), label });
    const scope = this.#device.popErrorScope();
    const { messages } = await module.getCompilationInfo();
    const fault = messages.find((message) => message.type === 'error');
    const error = await scope;
    if (fault !== undefined) throw new DeviceUseError(`${label}, line ${fault.lineNum}: ${fault.message}`);
    if (error !== null) throw new DeviceUseError(`${label}: ${error.message}`);
    try {
      const pipeline = await this.#device.createComputePipelineAsync({
        layout: this.#device.createPipelineLayout({ bindGroupLayouts: [layout] }),
        compute: { module, entryPoint: source.entryPoint ?? 'main' },
        label,
      });
      return { pipeline, layout, label };
    } catch (cause) {
      this.#check();
      throw new DeviceUseError(`${label}: ${cause instanceof Error ? cause.message : String(cause)}`, { cause });
    }
  }
}

/** `conv2d/forward.subgroup`: the op's folder and the file; what its aliases became, if any. */
export function kernelLabel(source: KernelSource): string {
  const parts = fileURLToPath(source.wgsl).split('/');
  const entry = source.entryPoint === undefined || source.entryPoint === 'main' ? '' : `:${source.entryPoint}`;
  const types = Object.values(source.aliases ?? {}).map((type) => ` ${type}`);
  return `${parts.at(-2) ?? ''}/${basename(source.wgsl.pathname, '.wgsl')}${entry}${types.join('')}`;
}

const files = new Map<string, string>();

/** The types that need the extension `f16`. */
const F16_TYPE = /^(f16|vec[234]h)$/;

/**
 * The text of a `.wgsl` file with the given constants and aliases in place of the declared defaults. A constant must be declared
 * at module scope as `const NAME = 8u;` (or `8`, `0.5`, with or without a type), an alias as `alias NAME = vec4f;`; an unknown
 * name throws. An alias of an f16 type enables the extension.
 */
export function loadWgsl({ wgsl: file, constants = {}, aliases = {} }: KernelSource): string {
  let code = files.get(file.href);
  if (code === undefined) {
    code = readFileSync(file, 'utf8');
    files.set(file.href, code);
  }
  for (const [name, value] of Object.entries(constants)) {
    const declaration = new RegExp(`^(const ${name}\\b[^=]*= *)-?[0-9.]+([a-z]*);`, 'm');
    if (!declaration.test(code)) throw new DeviceUseError(`${fileURLToPath(file)} declares no constant "${name}"`);
    code = code.replace(declaration, (_, head: string, suffix: string) => `${head}${value}${suffix};`);
  }
  for (const [name, type] of Object.entries(aliases)) {
    const declaration = new RegExp(`^(alias ${name} *= *)\\w+;`, 'm');
    if (!declaration.test(code)) throw new DeviceUseError(`${fileURLToPath(file)} declares no alias "${name}"`);
    code = code.replace(declaration, (_, head: string) => `${head}${type};`);
  }
  // On the first line, so that errors keep their line numbers.
  if (Object.values(aliases).some((type) => F16_TYPE.test(type))) code = `enable f16; ${code}`;
  return code;
}

/** The bind group layout that the file's own declarations ask for, used or not. */
function bindingLayout(code: string): GPUBindGroupLayoutEntry[] {
  const entries: GPUBindGroupLayoutEntry[] = [];
  for (const [, binding, space] of code.matchAll(/@binding\((\d+)\)\s*var<([^>]*)>/g)) {
    const words = (space ?? '').split(',').map((word) => word.trim());
    const type = words[0] === 'uniform' ? 'uniform' : words[1] === 'read_write' ? 'storage' : 'read-only-storage';
    entries.push({ binding: Number(binding), visibility: GPUShaderStage.COMPUTE, buffer: { type } });
  }
  return entries;
}
