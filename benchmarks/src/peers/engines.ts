// The engines: how each process is started, and what it is called.
import { fileURLToPath } from 'node:url';

export interface EngineDeclaration {
  /** As results name it: `torch-cpu-2`. */
  readonly name: string;
  readonly command: string;
  readonly args: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
  /** What the process is told to be: threads, provider, precision; n2n gets the adapter. */
  readonly variant: string;
  /** On the same WebGPU binding as n2n: its adapter must be the same. */
  readonly sameAdapter?: true;
  /** Computes in fewer bits than float32: its results are held to this tolerance where it is larger than the case's. */
  readonly tolerance?: number;
}

export interface EngineOptions {
  /** `any`, `cpu`, `gpu` or a part of a name, as n2n takes it. */
  readonly adapter: string;
  /** The command that runs Python. */
  readonly python: string;
}

/** The folder with the drivers and the packages that only they need. */
export const peersFolder = fileURLToPath(new URL('../../peers/', import.meta.url));
const driver = (file: string): string => fileURLToPath(new URL(`../../peers/${file}`, import.meta.url));

/** All engines; those that cannot run here say so when they are opened. n2n is the first. */
export function engineDeclarations({ adapter, python }: EngineOptions): EngineDeclaration[] {
  const node = (name: string, file: string, variant: string): EngineDeclaration => ({
    name,
    command: process.execPath,
    args: [driver(file)],
    variant,
  });
  const torch = (variant: string, threads: number, tolerance?: number): EngineDeclaration => ({
    name: `torch-${variant}`,
    command: python,
    args: [driver('torch_driver.py')],
    environment: { OMP_NUM_THREADS: String(threads), OPENBLAS_NUM_THREADS: String(threads), MKL_NUM_THREADS: String(threads) },
    variant,
    ...(tolerance !== undefined && { tolerance }),
  });
  return [
    { name: 'n2n', command: process.execPath, args: [fileURLToPath(new URL('./n2n.js', import.meta.url))], variant: adapter },
    { ...node('tfjs-webgpu', 'tfjs.mjs', 'webgpu'), sameAdapter: true },
    { ...node('jax-webgpu', 'jax.mjs', 'webgpu'), sameAdapter: true },
    node('ort-webgpu', 'ort.mjs', 'webgpu'),
    node('ort-cpu-1', 'ort.mjs', 'cpu-1'),
    node('ort-cpu-2', 'ort.mjs', 'cpu-2'),
    torch('cpu-1', 1),
    torch('cpu-2', 2),
    torch('cuda-f32', 2),
    torch('cuda-tf32', 2, 5e-2),
    torch('cuda-bf16', 2, 2e-1),
  ];
}

/** The names that results may have. */
export const engineNames: readonly string[] = engineDeclarations({ adapter: 'any', python: 'python3' }).map(({ name }) => name);
