/** Waiting that a signal can end. */

/** Never settles but by the signal, with its reason. */
export function rejectedBy(signal: AbortSignal | undefined): Promise<never> {
  return new Promise((_, reject) => {
    const give = (): void => reject(signal?.reason as Error);
    if (signal?.aborted) give();
    else signal?.addEventListener('abort', give, { once: true });
  });
}
