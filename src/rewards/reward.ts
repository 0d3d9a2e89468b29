/** What a reward is, and what it looks at: one sample with its images decoded once, together with their batch. */
import type { tf } from '../engine';
import type { Image } from '../io';

/** An image that is decoded when somebody first looks, together with its whole batch. */
export interface LazyImage {
  /** `[1, height, width, 3]` in [-1, 1]; belongs to the batch. */
  pixels(): tf.Tensor4D;
  bytes(): Promise<Image>;
}

/** What is scored: a trajectory without its log-probs. `Truth` is what the task knows and a reward may ask for. */
export interface RewardSample<Truth = unknown> {
  /** The text that the outputs answer. What a compound prompt says goes into `imagePrompt`. */
  readonly prompt: string;
  /** What the last image was asked to show. Default: the prompt. */
  readonly imagePrompt?: string;
  readonly outputs: readonly ({ readonly text: string } | { readonly image: LazyImage })[];
  /** All text of the outputs, joined by spaces. */
  readonly completion: string;
  /** The last image of the outputs. */
  readonly image?: LazyImage;
  /** Real images: of the subject (personalising), or what the prompt describes (CoRL). */
  readonly references: readonly Image[];
  readonly truth: Truth;
}

export interface Score {
  /** NaN: could not be scored. */
  readonly value: number;
  readonly reason?: string;
  readonly parts?: Readonly<Record<string, number>>;
}

/** A function with a name, a range and a direction. It never stops a run: what it cannot score is NaN with a reason. */
export interface Reward<Truth = unknown> {
  (samples: readonly RewardSample<Truth>[]): Promise<readonly Score[]>;
  readonly name: string;
  readonly range: readonly [number, number];
  readonly higherIsBetter: boolean;
}

/** What a scoring function may give for a sample. */
type Given = number | Score | null | undefined;

/**
 * `defineReward('length', [0, 1], (samples) => samples.map(({ completion }) => ...))`. Plain numbers are scores; null,
 * undefined and infinities are NaN with a reason, and so are all samples when `score` throws.
 * @throws Error, when it is asked, for another number of scores than samples: no run should hide that mistake
 */
export function defineReward<Truth = unknown>(
  name: string,
  range: readonly [number, number],
  score: (samples: readonly RewardSample<Truth>[]) => readonly Given[] | Promise<readonly Given[]>,
  { higherIsBetter = true }: { higherIsBetter?: boolean } = {},
): Reward<Truth> {
  const reward = async (samples: readonly RewardSample<Truth>[]): Promise<readonly Score[]> => {
    if (samples.length === 0) return [];
    let scores: readonly Given[];
    try {
      scores = await score(samples);
    } catch (error) {
      const reason = `${name} failed: ${error instanceof Error ? error.message : String(error)}`;
      return samples.map(() => ({ value: NaN, reason }));
    }
    if (scores.length !== samples.length)
      throw new Error(`reward '${name}' gave ${scores.length} scores for ${samples.length} samples`);
    return scores.map((given) => scoreOf(name, given));
  };
  // A function's own name is read-only for assignment, not for definition.
  return Object.defineProperties(reward, {
    name: { value: name },
    range: { value: range },
    higherIsBetter: { value: higherIsBetter },
  }) as Reward<Truth>;
}

function scoreOf(name: string, given: Given): Score {
  const score: Score = typeof given === 'object' && given !== null ? given : { value: given as number };
  const value: unknown = score.value;
  if (typeof value === 'number' && (Number.isFinite(value) || (Number.isNaN(value) && score.reason))) return score;
  return { ...score, value: NaN, reason: score.reason ?? `${name} gave ${String(value)}` };
}
