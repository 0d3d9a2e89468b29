/** What a reward is to a trainer: something that scores a batch, and never stops a run. */

/** One sample's score. */
export interface ScoreResult {
  /** NaN when this sample could not be scored. */
  readonly value: number;
  /** Why it could not be scored, or what was unusual ("no face was found"). */
  readonly reason?: string;
  /** Named numbers that the value is made of, for display. */
  readonly parts?: Readonly<Record<string, number>>;
}

/**
 * A frozen judge. `score` takes a batch and gives one result a sample, in order; a sample that cannot be scored is NaN
 * with a reason, never an exception.
 */
export interface Scorer<S> {
  /** As it stands in logs and tables: `rewards/NAME/mean`. */
  readonly name: string;
  /** Least and largest possible value. */
  readonly range: readonly [number, number];
  readonly higherIsBetter: boolean;
  score(samples: readonly S[]): Promise<ScoreResult[]>;
}

/**
 * Scores a batch with what a scorer promises enforced: an exception becomes NaN for every sample with its message as
 * the reason, infinities become NaN.
 * @throws Error only when the scorer returns a wrong number of results: a mistake in it, which no run should hide
 */
export async function scoreSafely<S>(scorer: Scorer<S>, samples: readonly S[]): Promise<ScoreResult[]> {
  if (samples.length === 0) return [];
  let results: ScoreResult[];
  try {
    results = await scorer.score(samples);
  } catch (error) {
    const reason = `${scorer.name} failed: ${error instanceof Error ? error.message : String(error)}`;
    return samples.map(() => ({ value: NaN, reason }));
  }
  if (results.length !== samples.length) {
    throw new Error(`scorer '${scorer.name}' gave ${results.length} results for ${samples.length} samples`);
  }
  return results.map((result) =>
    Math.abs(result.value) === Infinity
      ? { ...result, value: NaN, reason: `${scorer.name} gave ${result.value}` }
      : result,
  );
}
