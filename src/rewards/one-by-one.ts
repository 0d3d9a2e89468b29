/** Batched judging in which one sample that cannot be judged does not spoil the others. */
import type { ScoreResult } from './scorer';

/**
 * Judges a batch at once; if that throws, sample by sample, and those that throw again are NaN with the error's message.
 * @param judge one result a sample, in order
 */
export async function withPerSampleFallback<S>(
  samples: readonly S[],
  judge: (samples: readonly S[]) => Promise<ScoreResult[]>,
): Promise<ScoreResult[]> {
  if (samples.length === 0) return [];
  try {
    return await judge(samples);
  } catch (error) {
    if (samples.length === 1) return [{ value: NaN, reason: error instanceof Error ? error.message : String(error) }];
    const out: ScoreResult[] = [];
    for (const sample of samples) out.push(...(await withPerSampleFallback([sample], judge)));
    return out;
  }
}
