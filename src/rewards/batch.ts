/** From trajectories to samples that rewards look at, and from rewards to one number a sample. */
import { tf } from '../engine';
import { type Image, tensorToImages } from '../io';
import { decodedPixels } from '../models/decoded-pixels';
import type { ImageSegment, ImageTokenizer, Trajectory } from '../models/unified';
import type { LazyImage, Reward, RewardSample, Score } from './reward';

/** What was sampled for an example. */
export interface Sampled<Truth = unknown> {
  readonly example: { readonly prompt: string; readonly references: readonly Image[]; readonly truth: Truth };
  readonly trajectory: Trajectory;
  /** What the last image was asked to show. Default: the example's prompt. */
  readonly imagePrompt?: string;
}

/** Images of one grid, decoded together when the first is looked at. */
interface Decoding {
  readonly segments: ImageSegment[];
  pixels?: tf.Tensor4D;
  bytes?: Promise<Image[]>;
}

/** Trajectories as rewards see them. All images of a grid are decoded together, once, when the first is looked at. */
export class RewardBatch<Truth = unknown> {
  readonly samples: readonly RewardSample<Truth>[];
  private readonly decodings = new Map<string, Decoding>();
  private readonly slices: tf.Tensor[] = [];

  constructor(
    private readonly tokenizer: ImageTokenizer,
    sampled: readonly Sampled<Truth>[],
  ) {
    this.samples = sampled.map((one) => this.sampleOf(one));
  }

  /** Frees all pixels. The samples' images must not be looked at any more. */
  dispose(): void {
    tf.dispose(this.slices);
    for (const { pixels } of this.decodings.values()) pixels?.dispose();
    this.decodings.clear();
  }

  private sampleOf({ example, trajectory, imagePrompt }: Sampled<Truth>): RewardSample<Truth> {
    const { prompt, references, truth } = example;
    const outputs = trajectory.segments.map((segment) =>
      segment.name === 'understanding' ? { text: segment.text } : { image: this.lazy(segment) },
    );
    const completion = outputs.flatMap((output) => ('text' in output ? [output.text] : [])).join(' ');
    const image = outputs.flatMap((output) => ('image' in output ? [output.image] : [])).at(-1);
    return { prompt, imagePrompt, outputs, completion, image, references, truth };
  }

  private lazy(segment: ImageSegment): LazyImage {
    const key = segment.grid.join('x');
    const decoding = this.decodings.get(key) ?? { segments: [] };
    this.decodings.set(key, decoding);
    const i = decoding.segments.push(segment) - 1;
    return {
      pixels: () => {
        // Kept: a reward may look for the first time within a `tf.tidy` of its own.
        const own = tf.keep(tf.slice4d(this.decoded(decoding), [i, 0, 0, 0], [1, -1, -1, -1]));
        this.slices.push(own);
        return own;
      },
      bytes: async () => (await (decoding.bytes ??= tensorToImages(this.decoded(decoding))))[i],
    };
  }

  private decoded(decoding: Decoding): tf.Tensor4D {
    const { segments } = decoding;
    const codes = segments.map((segment) => segment.codes);
    decoding.pixels ??= tf.keep(decodedPixels(this.tokenizer, codes, segments[0].grid));
    return decoding.pixels;
  }
}

/** Scores trajectories; their images are freed afterwards. */
export async function scoreTrajectories<Truth>(
  tokenizer: ImageTokenizer,
  sampled: readonly Sampled<Truth>[],
  score: (samples: readonly RewardSample<Truth>[]) => Promise<readonly Score[]>,
): Promise<readonly Score[]> {
  const batch = new RewardBatch(tokenizer, sampled);
  try {
    return await score(batch.samples);
  } finally {
    batch.dispose();
  }
}

/** The parts of scores as columns, for their metrics; NaN where a sample lacks one. */
export function columnsOf(scores: readonly Score[]): Record<string, number[]> {
  const names = new Set(scores.flatMap(({ parts }) => Object.keys(parts ?? {})));
  return Object.fromEntries([...names].map((name) => [name, scores.map(({ parts }) => parts?.[name] ?? NaN)]));
}

export interface WeightedReward<Truth = unknown> {
  readonly reward: Reward<Truth>;
  readonly weight: number;
}

/**
 * R = sum of weight x value, sample by sample. A reward that could not be computed (NaN, null, undefined) is left out of
 * its sample's sum, as TRL does; a sample without any is NaN. `parts` has each reward's own value under its name, and
 * what the reward itself tells as `NAME/PART`; `reason` says what was missing or unusual. Rewards of which less is
 * better are subtracted; those of weight 0 are not asked.
 * @throws RangeError for no rewards, two of one name, or a weight that is not finite
 */
export async function weightedSum<Truth>(
  rewards: readonly WeightedReward<Truth>[],
  samples: readonly RewardSample<Truth>[],
): Promise<Score[]> {
  checkRewards(rewards);
  const active = rewards.filter(({ weight }) => weight !== 0);
  const columns: (readonly Score[])[] = [];
  for (const { reward } of active) columns.push(await reward(samples)); // one after another: each fills the machine
  return samples.map((_, s) => {
    const scores = active.map((one, r) => ({ ...one, score: columns[r][s] }));
    return addUp(scores);
  });
}

function checkRewards<Truth>(rewards: readonly WeightedReward<Truth>[]): void {
  if (rewards.length === 0) throw new RangeError('there are no rewards to sum');
  rewards.forEach(({ reward: { name }, weight }, r) => {
    if (!Number.isFinite(weight)) throw new RangeError(`the weight of '${name}' is ${weight}`);
    if (rewards.findIndex(({ reward }) => reward.name === name) < r)
      throw new RangeError(`two rewards are named '${name}'`);
  });
}

function addUp(scores: readonly { reward: Reward<never>; weight: number; score: Score | undefined }[]): Score {
  let value = NaN;
  const parts: Record<string, number> = {};
  const reasons: string[] = [];
  for (const { reward, weight, score } of scores) {
    const { name, higherIsBetter } = reward;
    const own: unknown = score?.value;
    const isThere = typeof own === 'number' && !Number.isNaN(own);
    parts[name] = isThere ? own : NaN;
    for (const [part, number] of Object.entries(score?.parts ?? {})) parts[`${name}/${part}`] = number;
    if (score?.reason || !isThere) reasons.push(`${name}: ${score?.reason ?? `its value is ${String(own)}`}`);
    if (isThere) value = (Number.isNaN(value) ? 0 : value) + (higherIsBetter ? weight : -weight) * own;
  }
  return reasons.length > 0 ? { value, parts, reason: reasons.join('; ') } : { value, parts };
}
