/** Waiting for what comes to be, in place of waiting for a time. */
import { setTimeout as sleep } from 'node:timers/promises';

/** In ms: far more than the slowest machine under load needs, so that only a hang is cut off. */
export const PATIENCE = 120_000;

/**
 * Makes a check again and again until it passes.
 * @param check throws, or its promise rejects, as long as it is not so
 * @returns what the check returned
 * @throws what the check threw last, after `patience` ms
 */
export async function eventually<T>(check: () => T | Promise<T>, patience = PATIENCE): Promise<T> {
  const end = performance.now() + patience;
  for (;;) {
    try {
      return await check();
    } catch (error) {
      if (performance.now() > end) throw error;
    }
    await sleep(20);
  }
}
