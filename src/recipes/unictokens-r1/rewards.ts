/**
 * The rewards of Sync-GRPO put together for the mini world (Sec. 3.3): R = w1 TIER + w2 BER + w3 DER + w4 FER.
 * TIER embeds sentences with USE-lite; BER is mini_clip's cosine of compound prompt and picture; DER is the cosine of
 * MobileNet features with the training references; FER is `mini_face`: the same features of where a face can be.
 */
import { type Concept, conceptReferences, type SpriteSheet } from '../../data';
import { tf } from '../../engine';
import type { MiniClip } from '../../models/experts/mini-clip';
import { centring, type MobileNet } from '../../models/experts/mobilenet';
import type { ShowoModel } from '../../models/showo/model';
import {
  ensemble,
  type Feature,
  featureCosine,
  type Scorer,
  type SentenceEmbedder,
  type TierSample,
  tierScorer,
} from '../../rewards';
import { pixelsTensor } from '../../sft/train-magvit';
import { inClassWords, type SyncExample } from './examples';
import { rewardWeights, type SyncR1Options } from './options';
import type { SyncSample } from './rollout';

/** The frozen models that judge. */
export interface JudgeModels {
  readonly sentences: SentenceEmbedder;
  readonly clip: MiniClip;
  readonly mobilenet: MobileNet;
}

/** Judges of one concept: the models, and what they see in its training references. */
export interface ConceptJudges {
  readonly models: JudgeModels;
  /** Centred features of the whole references, and of their faces (people only). */
  readonly whole: readonly Float32Array[];
  readonly faces: readonly Float32Array[];
  readonly centre: {
    readonly whole: (f: Float32Array) => Float32Array;
    readonly face: (f: Float32Array) => Float32Array;
  };
}

export interface RewardRow {
  readonly reward: number;
  readonly parts: Readonly<Record<string, number>>;
  /** Why a part is missing. */
  readonly reason?: string;
}

interface Scored extends TierSample {
  readonly caption: string;
  /** `[1, height, width, 3]`, kept by {@link scoreSamples}. */
  readonly pixels: tf.Tensor4D;
}

/** Where a person's face can be: left edge, upper edge, side, in pixels of a 64 x 64 picture. */
const FACE_WINDOWS: readonly (readonly [x: number, y: number, side: number])[] = [
  [0, 16, 40],
  [8, 16, 40],
  [24, 16, 40],
];

/** Features of the concept's training references; `others` are pictures that the means are taken over. */
export async function conceptJudges(
  models: JudgeModels,
  concept: Concept,
  others: readonly Concept[],
  sprites: SpriteSheet,
): Promise<ConceptJudges> {
  const own = conceptReferences(concept, 'train', sprites);
  const background = others.flatMap((other) => conceptReferences(other, 'train', sprites).slice(0, 2));
  const wholeOf = async (list: readonly { pixels: Uint8Array }[]) => {
    const pixels = pixelsTensor(list.map((picture) => picture.pixels), 64, 64); // prettier-ignore
    const features = await models.mobilenet.embed(pixels);
    pixels.dispose();
    return features;
  };
  const ownWhole = await wholeOf(own);
  const centreWhole = centring([...ownWhole, ...(await wholeOf(background))]);
  if (concept.kind !== 'person')
    return { models, whole: ownWhole.map(centreWhole), faces: [], centre: { whole: centreWhole, face: (f) => f } };
  const people = others.filter((other) => other.kind === 'person').flatMap((other) => conceptReferences(other, 'train', sprites).slice(0, 2)); // prettier-ignore
  const faceOf = async (list: typeof own) => {
    const crops = tf.tidy(() => tf.concat4d(list.map((picture) => crop(pixelsTensor([picture.pixels], 64, 64), picture.scene.items[0])), 0)); // prettier-ignore
    const features = await models.mobilenet.embed(crops);
    crops.dispose();
    return features;
  };
  const ownFaces = await faceOf(own);
  const centreFace = centring([...ownFaces, ...(await faceOf(people))]);
  return {
    models,
    whole: ownWhole.map(centreWhole),
    faces: ownFaces.map(centreFace),
    centre: { whole: centreWhole, face: centreFace },
  };
}

/** The square of a figure, at the size of a whole picture. */
function crop(pixels: tf.Tensor4D, { x, y, size }: { x: number; y: number; size: number }): tf.Tensor4D {
  const side = Math.min(size, 64 - x, 64 - y);
  return tf.image.resizeBilinear(tf.slice(pixels, [0, y, x, 0], [-1, side, side, -1]), [64, 64]);
}

/** Early scores in [0, 1]: BER of the picture that would result if decoding stopped now (the judge of DSOG). */
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
  const rows = samples.map((sample, i): Scored => ({
    reasoning: sample.reasoning,
    items: example.candidates,
    correct: example.correct,
    caption: inClassWords(concept, sample.compound),
    pixels: tf.slice(pixels, [i, 0, 0, 0], [1, -1, -1, -1]),
  }));
  const results = await rewardOf(judges, concept, options).score(rows);
  tf.dispose([pixels, ...rows.map((row) => row.pixels)]);
  return results.map(({ value, parts = {}, reason }) => ({ reward: value, parts, reason }));
}

function rewardOf(judges: ConceptJudges, concept: Concept, options: SyncR1Options): Scorer<Scored> {
  const weights = rewardWeights(options, concept.kind);
  // Without reasoning there is nothing for TIER to read.
  const scorers = [
    { scorer: tierScorer(judges.models.sentences) as Scorer<Scored>, weight: options.understanding ? weights.tier : 0 },
    { scorer: berMiniClip(judges.models.clip), weight: weights.ber },
    { scorer: derMobilenet(judges), weight: weights.der },
    { scorer: ferMiniFace(judges), weight: weights.fer },
  ];
  return ensemble(scorers);
}

function berMiniClip(clip: MiniClip): Scorer<Scored> {
  return {
    name: 'ber_mini_clip',
    range: [-1, 1],
    higherIsBetter: true,
    score: (samples) => {
      const pixels = tf.concat4d(samples.map((sample) => sample.pixels), 0); // prettier-ignore
      const values = textImage(clip, pixels, samples.map((sample) => sample.caption)); // prettier-ignore
      pixels.dispose();
      return Promise.resolve(values.map((value) => ({ value })));
    },
  };
}

/** Cosines of pictures and captions, pair by pair. */
function textImage(clip: MiniClip, pixels: tf.Tensor4D, captions: readonly string[]): number[] {
  return tf.tidy(() => {
    const words = captions.map((caption) => clip.text.encode(caption).slice(0, clip.config.maxTokens));
    return Array.from(tf.sum(tf.mul(clip.imageFeatures(pixels), clip.textFeatures(words)), 1).dataSync());
  });
}

function derMobilenet(judges: ConceptJudges): Scorer<Scored> {
  return featureCosine<Scored>({
    name: 'der_mobilenet',
    of: async (samples) => {
      const pixels = tf.concat4d(samples.map((sample) => sample.pixels), 0); // prettier-ignore
      const features = await judges.models.mobilenet.embed(pixels);
      pixels.dispose();
      return features.map(judges.centre.whole);
    },
    like: (samples) => Promise.resolve(samples.map((): Feature[] => [...judges.whole])),
  });
}

/** `mini_face`: the best of the windows where a face can be, against the faces of the references. */
function ferMiniFace(judges: ConceptJudges): Scorer<Scored> {
  return {
    name: 'fer_mini_face',
    range: [-1, 1],
    higherIsBetter: true,
    score: async (samples) => {
      const crops = tf.tidy(() =>
        tf.concat4d(
          samples.flatMap((sample) => FACE_WINDOWS.map(([x, y, size]) => crop(sample.pixels, { x, y, size }))),
          0,
        ),
      );
      const features = (await judges.models.mobilenet.embed(crops)).map(judges.centre.face);
      crops.dispose();
      return samples.map((_, i) => {
        const windows = features.slice(i * FACE_WINDOWS.length, (i + 1) * FACE_WINDOWS.length);
        return { value: Math.max(...windows.map((window) => meanCosine(window, judges.faces))) };
      });
    },
  };
}

function meanCosine(own: Float32Array, others: readonly Float32Array[]): number {
  const dot = (a: Float32Array, b: Float32Array) => a.reduce((sum, value, i) => sum + value * b[i], 0);
  const norm = Math.sqrt(dot(own, own));
  return (
    others.reduce((sum, other) => sum + dot(own, other) / (norm * Math.sqrt(dot(other, other)) || 1), 0) / others.length
  );
}

function decoded(model: ShowoModel, codes: readonly Int32Array[]): tf.Tensor4D {
  return tf.tidy(() => tf.clipByValue(model.images.decode(codes, model.grid), -1, 1));
}
