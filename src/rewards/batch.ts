/** From trajectories to samples that rewards look at, and from rewards to one number a sample. */
import { tf } from '../engine';
import { type Image, tensorToImages } from '../io';
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
        const own = tf.slice4d(this.decoded(decoding), [i, 0, 0, 0], [1, -1, -1, -1]);
        this.slices.push(own);
        return own;
      },
      bytes: async () => (await (decoding.bytes ??= tensorToImages(this.decoded(decoding))))[i],
    };
  }

  private decoded(decoding: Decoding): tf.Tensor4D {
    const { segments } = decoding;
    decoding.pixels ??= tf.tidy(() => {
      const codes = segments.map((segment) => segment.codes);
      return tf.clipByValue(this.tokenizer.decode(codes, segments[0].grid), -1, 1);
    });
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

/** A reward's value that is missing: NaN, null and undefined alike. */
const isMissing = (value: unknown): boolean => typeof value !== 'number' || Number.isNaN(value);

/**
 * R = sum of weight x value, sample by sample. A part that could not be scored is left out of its sample's sum, as TRL
 * does, and said in `reason`; a sample without any part is NaN. `parts` has each reward's own value. Rewards of which
 * less is better are subtracted.
 */
export async function weightedSum<Truth>(
  rewards: readonly WeightedReward<Truth>[],
  samples: readonly RewardSample<Truth>[],
): Promise<Score[]> {
  const columns: (readonly (Score | undefined)[])[] = [];
  for (const { reward } of rewards) columns.push(await reward(samples)); // one after another: each fills the machine
  return samples.map((_, s) => {
    let value = NaN;
    const parts: Record<string, number> = {};
    const reasons: string[] = [];
    rewards.forEach(({ reward, weight }, r) => {
      const score = columns[r][s];
      if (!score || isMissing(score.value)) {
        parts[reward.name] = NaN;
        reasons.push(`${reward.name}: ${score?.reason ?? 'no score'}`);
        return;
      }
      parts[reward.name] = score.value;
      value = (Number.isNaN(value) ? 0 : value) + (reward.higherIsBetter ? weight : -weight) * score.value;
    });
    return reasons.length > 0 ? { value, parts, reason: reasons.join('; ') } : { value, parts };
  });
}
