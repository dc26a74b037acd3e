// Run as a child process (a broken driver may abort it): asks for a WebGPU adapter and prints one line of JSON,
// { adapter: { vendor, architecture, device, description } | null, error?: string }.
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';

/** Kept for the life of the process: Node crashes when it is collected while the binding is in use.
 * @type {GPU | undefined} */
let gpu;

async function probe() {
  // The package that owns the dependency, wherever npm put it.
  const path = createRequire(new URL('../../packages/kernels/package.json', import.meta.url)).resolve('webgpu');
  const webgpu = await import(pathToFileURL(path).href);
  Object.assign(globalThis, webgpu.globals);
  gpu = /** @type {GPU} */ (webgpu.create([]));
  const adapter = await gpu.requestAdapter();
  if (adapter === null) return { adapter: null };
  const { vendor, architecture, device, description } = adapter.info;
  return { adapter: { vendor, architecture, device, description } };
}

const answer = await probe().catch((error) => ({ adapter: null, error: String(error) }));
process.stdout.write(`${JSON.stringify(answer)}\n`);
