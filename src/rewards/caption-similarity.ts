/**
 * Whether a picture, put into words, says what its prompt said: the cosine of two sentences, of BLIP's caption of the
 * picture and of the prompt. The text half of a cycle from words to picture and back; CoRL's own compares scene graphs.
 */
import type { Picture } from '../io';
import { oneByOne } from './one-by-one';
import { checkTexts, type PictureTextSample } from './picture-text';
import type { ScoreResult, Scorer } from './scorer';
import type { SentenceEmbedder } from './tier';

/** Says what a picture shows. Frozen. `BlipDescriber` is one. */
export interface Captioner {
  readonly name: string;
  /** One sentence a picture, in order. */
  captions(pictures: readonly Picture[]): Promise<string[]>;
}

/**
 * `caption_similarity_CAPTIONER_EMBEDDER`, in [-1, 1]; 0 for a picture about which the captioner says nothing, NaN for
 * an empty text or a broken picture, each with the reason.
 */
export interface CaptionSimilarity extends Scorer<PictureTextSample> {
  /** What the captioner said of a picture that was scored, for display; kept as long as the picture is. */
  captionOf(picture: Picture): string | undefined;
}

/** @see CaptionSimilarity */
export function captionSimilarity(captioner: Captioner, embedder: SentenceEmbedder): CaptionSimilarity {
  const said = new WeakMap<Picture, string>();
  return {
    name: `caption_similarity_${captioner.name}_${embedder.name}`,
    range: [-1, 1],
    higherIsBetter: true,
    captionOf: (picture) => said.get(picture),
    score: (samples) =>
      oneByOne(samples, async (some) => {
        checkTexts(some);
        const captions = await captioner.captions(some.map(({ picture }) => picture));
        some.forEach(({ picture }, i) => said.set(picture, captions[i]));
        const vectors = await embedder.embed([...captions, ...some.map(({ text }) => text)]);
        return captions.map((caption, i) => compare(caption, vectors[i], vectors[some.length + i]));
      }),
  };
}

function compare(caption: string, a: Float32Array, b: Float32Array): ScoreResult {
  if (caption.trim() === '') return { value: 0, reason: 'the caption is empty' };
  const cosine = a.reduce((sum, value, i) => sum + value * b[i], 0);
  return { value: Math.min(1, Math.max(-1, cosine)) };
}
