// Waiting: the thread sleeps while the device works, and a short wait costs no sleep.
import { performance } from 'node:perf_hooks';
import { describe, expect, it } from 'vitest';
import { sparingly } from './wait.js';

/** The number of turns of the event loop in `ms`, asking in each of them, as the binding does. */
async function polled(ms: number): Promise<number> {
  const started = performance.now();
  let turns = 0;
  return new Promise<number>((resolve) => {
    const poll = (): void => {
      turns++;
      if (performance.now() - started >= ms) resolve(turns);
      else setImmediate(poll);
    };
    setImmediate(poll);
  });
}

describe('sparingly', () => {
  it('leaves the core alone for most of a long wait, and is late by little', async () => {
    const started = performance.now();
    const used = process.cpuUsage();
    const turns = await sparingly(polled(300));
    const { user, system } = process.cpuUsage(used);
    expect(turns).toBeLessThan(600);
    expect((user + system) / 1000).toBeLessThan(100);
    // A sleep is at most a thirty-second of the wait; the rest is for a busy machine.
    expect(performance.now() - started).toBeLessThan(600);
    expect(await polled(150), 'turns without it').toBeGreaterThan(600);
  });

  it('passes on results and failures', async () => {
    expect(await sparingly(Promise.resolve(7))).toBe(7);
    await expect(sparingly(Promise.reject(new Error('lost')))).rejects.toThrow('lost');
  });
});
