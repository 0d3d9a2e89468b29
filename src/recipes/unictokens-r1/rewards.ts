/**
 * The rewards of Sync-GRPO put together for the mini world (Sec. 3.3): R = w1 TIER + w2 BER + w3 DER + w4 FER.
 * TIER embeds sentences with USE-lite; BER is mini_clip's cosine of compound prompt and image; DER is the cosine of
 * the figure's features with those of the training references, by `mini_figure` or, as an ablation, by MobileNet, which
 * was taught on photographs and hardly tells the drawn figures apart; FER is the same with `mini_face`.
 */
import {
  type Concept,
  type ConceptImage,
  conceptReferences,
  SUBJECT_ROW,
  SIZES,
  type SpriteSheet,
} from '../../miniworld';
import { tf } from '../../engine';
import { type Image, imagesToTensor, tensorToImages } from '../../io';
import type { MiniClip } from '../../models/scorers/mini-clip';
import type { MiniLooks } from '../../models/scorers/mini-looks';
import { centring, type MobileNet } from '../../models/scorers/mobilenet';
import type { ShowoModel } from '../../models/showo/model';
import {
  berReward,
  defineReward,
  type Reward,
  type RewardSample,
  type SentenceEmbedder,
  tierReward,
  type TierTruth,
  weightedSum,
} from '../../rewards';
import { pixelsTensor } from '../../sft/train-magvit';
import { figureAttributes } from '../../miniworld/lessons/figure-task';
import { inClassWords, type SyncExample } from './examples';
import { rewardWeights, type SyncR1Options } from './options';
import type { SyncSample } from './rollout';

/** The frozen models that judge. */
export interface JudgeModels {
  readonly sentences: SentenceEmbedder;
  readonly clip: MiniClip;
  /** Needed by the ablation alone. */
  readonly mobilenet?: MobileNet;
  readonly face: MiniLooks;
  readonly figure: MiniLooks;
}

/** What figures look like to one judge, as vectors, and how those of the concept's training references do. */
interface FigureFeatures {
  readonly name: string;
  readonly embed: (figures: tf.Tensor4D) => Promise<Float32Array[]>;
  readonly references: readonly Float32Array[];
}

/** Judges of one concept: the models, and what they see in its training references. */
export interface ConceptJudges {
  readonly models: JudgeModels;
  readonly der: FigureFeatures;
  /** Absent unless the concept is a person. */
  readonly fer?: FigureFeatures;
}

export interface RewardRow {
  readonly reward: number;
  readonly parts: Readonly<Record<string, number>>;
  /** Why a part is missing. */
  readonly reason?: string;
}

/** Left edges of the places where a concept's figure can stand, see `besideLayout` and `subjectColumn`. */
const FIGURE_COLUMNS = [0, 8, 24] as const;

/**
 * What the judges see in the concept's training references.
 * @param others concepts whose images MobileNet's mean is taken over
 * @param der who judges the figure's likeness
 * @throws Error when MobileNet is to judge and is not among the models
 */
export async function conceptJudges(
  models: JudgeModels,
  concept: Concept,
  others: readonly Concept[],
  sprites: SpriteSheet,
  der: SyncR1Options['der'],
): Promise<ConceptJudges> {
  const figuresOf = (list: readonly ConceptImage[]) =>
    tf.tidy(() =>
      tf.concat4d(
        list.map(({ pixels, scene }) => figure(pixelsTensor([pixels], 64, 64), scene.items[0].x)),
        0,
      ),
    );
  const own = figuresOf(conceptReferences(concept, 'train', sprites));
  const seenBy = async (name: string, embed: FigureFeatures['embed']): Promise<FigureFeatures> => ({
    name,
    embed,
    references: await embed(own),
  });
  const byMobileNet = async () => {
    const { mobilenet } = models;
    if (!mobilenet) throw new Error("MobileNet is to judge the figures (der: 'mobilenet'), but is not among the judges' models"); // prettier-ignore
    const background = figuresOf(others.flatMap((other) => conceptReferences(other, 'train', sprites).slice(0, 2)));
    const seen = [...(await lookAt(mobilenet, own)), ...(await lookAt(mobilenet, background))];
    background.dispose();
    const centre = centring(seen);
    return seenBy('der_mobilenet', async (figures) => (await lookAt(mobilenet, figures)).map(centre));
  };
  const looks = figureAttributes(concept.kind);
  const byLooks = () => seenBy('der_mini_figure', (figures) => Promise.resolve(models.figure.embed(figures, looks)));
  const judges: ConceptJudges = {
    models,
    der: await (der === 'mobilenet' ? byMobileNet() : byLooks()),
    fer: concept.kind === 'person' ? await seenBy('fer_mini_face', (figures) => Promise.resolve(models.face.embed(figures))) : undefined, // prettier-ignore
  };
  own.dispose();
  return judges;
}

/** What stands at a column on the line of creatures, `[n, 40, 40, 3]`. */
function figure(pixels: tf.Tensor4D, x: number): tf.Tensor4D {
  return tf.slice(pixels, [0, SUBJECT_ROW, x, 0], [-1, SIZES.subject, SIZES.subject, 3]);
}

/** MobileNet's features of figures. */
async function lookAt(mobilenet: MobileNet, figures: tf.Tensor4D): Promise<Float32Array[]> {
  const large = tf.image.resizeBilinear(figures, [64, 64]);
  const features = await mobilenet.embed(large);
  large.dispose();
  return features;
}

/**
 * A cosine with the references' figures wherever the figure stands: of its possible places the most alike counts, so
 * that neither ground nor companion say anything about who it is.
 */
function figureCosine({ name, references, embed }: FigureFeatures): Reward {
  return defineReward(name, [-1, 1], async (samples) => {
    const figures = tf.tidy(() => tf.concat4d(samples.flatMap(({ image }) => FIGURE_COLUMNS.map((x) => figure(pixelsOf(image), x))), 0)); // prettier-ignore
    const features = await embed(figures);
    figures.dispose();
    const places = FIGURE_COLUMNS.length;
    return samples.map((_, i) => {
      const cosines = features.slice(i * places, (i + 1) * places).map((own) => meanCosine(own, references));
      return Math.max(...cosines);
    });
  });
}

function pixelsOf(image: RewardSample['image']): tf.Tensor4D {
  if (!image) throw new Error('there is no image');
  return image.pixels();
}

/** Early scores in [0, 1]: BER of the image that would result if decoding stopped now (the judge of DSOG). */
export async function earlyScores(
  model: ShowoModel,
  judges: ConceptJudges,
  concept: Concept,
  codes: readonly Int32Array[],
  compounds: readonly string[],
): Promise<number[]> {
  const pixels = decoded(model, codes);
  const scores = textImage(judges.models.clip, pixels, compounds.map((compound) => inClassWords(concept, compound))); // prettier-ignore
  pixels.dispose();
  // Cosines above 0 already say "alike"; the threshold lives in (0, 1).
  return Promise.resolve(scores.map((score) => Math.min(0.999, Math.max(0.001, score))));
}

/** Rewards of a group, in the order of the samples. */
export async function scoreSamples(
  model: ShowoModel,
  judges: ConceptJudges,
  concept: Concept,
  options: SyncR1Options,
  example: SyncExample,
  samples: readonly SyncSample[],
): Promise<RewardRow[]> {
  const pixels = decoded(model, samples.map((sample) => sample.codes)); // prettier-ignore
  const slices: tf.Tensor[] = [];
  const rows = samples.map((sample, i): RewardSample<TierTruth> => {
    const own = tf.slice(pixels, [i, 0, 0, 0], [1, -1, -1, -1]);
    slices.push(own);
    const image = { pixels: () => own, bytes: async () => (await tensorToImages(own))[0] };
    return {
      prompt: inClassWords(concept, sample.compound),
      outputs: [{ text: sample.reasoning }, { image }],
      completion: sample.reasoning,
      image,
      references: [],
      truth: { candidates: example.candidates, correct: example.correct },
    };
  });
  const results = await weightedSum(rewardsOf(judges, concept, options), rows);
  tf.dispose([pixels, ...slices]);
  return results.map(({ value, parts = {}, reason }) => ({ reward: value, parts, reason }));
}

function rewardsOf(judges: ConceptJudges, concept: Concept, options: SyncR1Options) {
  const weights = rewardWeights(options, concept.kind);
  const { clip, sentences } = judges.models;
  const cosine = async (images: readonly Image[], texts: readonly string[]) => {
    const pixels = imagesToTensor(images);
    const cosines = textImage(clip, pixels, texts);
    pixels.dispose();
    return Promise.resolve(cosines);
  };
  const rewards: { reward: Reward<TierTruth>; weight: number }[] = [
    // Without reasoning there is nothing for TIER to read.
    { reward: tierReward(sentences), weight: options.understanding ? weights.tier : 0 },
    { reward: berReward({ name: 'mini_clip', cosine }), weight: weights.ber },
    { reward: figureCosine(judges.der), weight: weights.der },
    ...(judges.fer ? [{ reward: figureCosine(judges.fer), weight: weights.fer }] : []),
  ];
  return rewards.filter(({ weight }) => weight !== 0);
}

/** Cosines of images and captions, pair by pair. */
function textImage(clip: MiniClip, pixels: tf.Tensor4D, captions: readonly string[]): number[] {
  return tf.tidy(() => {
    const words = captions.map((caption) => clip.text.encode(caption).slice(0, clip.config.maxTokens));
    return Array.from(tf.sum(tf.mul(clip.imageFeatures(pixels), clip.textFeatures(words)), 1).dataSync());
  });
}

function meanCosine(own: Float32Array, others: readonly Float32Array[]): number {
  const dot = (a: Float32Array, b: Float32Array) => a.reduce((sum, value, i) => sum + value * b[i], 0);
  const norm = Math.sqrt(dot(own, own));
  return (
    others.reduce((sum, other) => sum + dot(own, other) / (norm * Math.sqrt(dot(other, other)) || 1), 0) / others.length
  );
}

function decoded(model: ShowoModel, codes: readonly Int32Array[]): tf.Tensor4D {
  return tf.tidy(() => tf.clipByValue(model.imageTokenizer.decode(codes), -1, 1));
}
