// Where figures come from: what a result must carry to be judged later.
import { execFile } from 'node:child_process';
import { availableParallelism, cpus, loadavg, totalmem } from 'node:os';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { bindingVersion } from '@n2n/kernels';

export interface Provenance {
  /** ISO 8601, UTC. */
  readonly date: string;
  /** Null outside a checkout. `dirty`: tracked files were changed. */
  readonly commit: { readonly hash: string; readonly dirty: boolean } | null;
  readonly versions: { readonly node: string; readonly webgpu: string };
  readonly machine: { readonly cpu: string; readonly cores: number; readonly memoryBytes: number; readonly platform: string };
  /** Runnable processes over the last 1, 5 and 15 minutes, before the measurement began. */
  readonly load: readonly number[];
}

/** Reads the machine's state; call it before the measurement. */
export async function provenance(): Promise<Provenance> {
  return {
    date: new Date().toISOString(),
    commit: await commit(),
    versions: { node: process.versions.node, webgpu: bindingVersion() },
    machine: {
      cpu: cpus()[0]?.model.trim() ?? 'unknown',
      cores: availableParallelism(),
      memoryBytes: totalmem(),
      platform: `${process.platform} ${process.arch}`,
    },
    load: loadavg().map((value) => Math.round(value * 100) / 100),
  };
}

const run = promisify(execFile);

async function commit(): Promise<Provenance['commit']> {
  const cwd = fileURLToPath(new URL('..', import.meta.url));
  try {
    const { stdout: hash } = await run('git', ['rev-parse', 'HEAD'], { cwd });
    const { stdout: changes } = await run('git', ['status', '--porcelain', '--untracked-files=no'], { cwd });
    return { hash: hash.trim(), dirty: changes.trim() !== '' };
  } catch {
    return null;
  }
}
