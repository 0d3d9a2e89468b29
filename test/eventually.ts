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

/** Waits for a promise. @throws Error where it has not settled after `patience` ms */
export async function within<T>(promise: Promise<T>, what: string, patience = PATIENCE): Promise<T> {
  let alarm: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    alarm = setTimeout(() => reject(new Error(`${what}: not within ${patience / 1000} s`)), patience);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(alarm);
  }
}
