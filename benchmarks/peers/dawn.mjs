// The WebGPU binding for libraries that were written for browsers: `navigator.gpu`, with the flags that n2n runs with.
import { create, globals } from 'webgpu';

/** Kept for the life of the process: collected while a device lives, it would take the process down. */
let instance;

/**
 * @param {readonly string[]} flags
 * @returns {Promise<string>} the adapter's description: driver and version
 */
export async function provideNavigator(flags) {
  instance = create([...flags]);
  Object.assign(globalThis, globals);
  Object.defineProperty(globalThis, 'navigator', { value: { gpu: instance, userAgent: 'node' }, configurable: true });
  const adapter = await instance.requestAdapter({ powerPreference: 'high-performance' });
  if (adapter === null) throw new Error('no WebGPU adapter');
  return adapter.info.description;
}

/**
 * Bad usage is no exception in WebGPU: what fails validation is skipped, and an engine that skips its work looks fast.
 * @param {GPUDevice} device
 * @returns {() => void} throws the first error that the device met
 */
export function watchErrors(device) {
  let first;
  device.addEventListener('uncapturederror', (event) => {
    event.preventDefault();
    first ??= event.error.message;
  });
  void device.lost.then(({ message }) => (first ??= `the device was lost: ${message}`));
  return () => {
    if (first !== undefined) throw new Error(first);
  };
}

/** Errors arrive in later turns of the event loop. */
export const settle = () => new Promise((resolve) => setImmediate(resolve));
