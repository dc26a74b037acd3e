// Waiting for the device without burning a core. While anything is pending the binding polls the device in every turn of the
// event loop, as fast as the loop turns: on a machine whose driver computes on the same cores that is up to a third of them.
import { performance } from 'node:perf_hooks';

/** Waits up to this long are left to the binding's polling: a sleep would cost more than it saves. */
const SPIN_MS = 0.5;
/** A sleep is at most this share of the time waited so far, so that it adds as little to the wait. */
const SHARE = 1 / 32;
const LONGEST_SLEEP_MS = 4;

const never = new Int32Array(new SharedArrayBuffer(4));

/** Awaits what the device does, with short sleeps of this thread between the turns of the event loop. */
export async function sparingly<T>(pending: Promise<T>): Promise<T> {
  const started = performance.now();
  let waiting = true;
  const turn = (): void => {
    if (!waiting) return;
    const elapsedMs = performance.now() - started;
    if (elapsedMs > SPIN_MS) Atomics.wait(never, 0, 0, Math.min(LONGEST_SLEEP_MS, elapsedMs * SHARE));
    setImmediate(turn);
  };
  setImmediate(turn);
  try {
    return await pending;
  } finally {
    waiting = false;
  }
}
