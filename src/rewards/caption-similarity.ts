/**
 * Whether an image, put into words, says what its prompt said: the cosine of two sentences, of BLIP's caption of the
 * image and of the prompt. The text half of a cycle from words to image and back; CoRL's own compares scene graphs.
 */
import type { Image } from '../io';
import { withPerSampleFallback } from './one-by-one';
import { checkTexts, type ImageTextSample } from './image-text';
import type { ScoreResult, Scorer } from './scorer';
import type { SentenceEmbedder } from './tier';

/** Says what an image shows. Frozen. `BlipDescriber` is one. */
export interface Captioner {
  readonly name: string;
  /** One sentence an image, in order. */
  captions(images: readonly Image[]): Promise<string[]>;
}

/**
 * `caption_similarity_CAPTIONER_EMBEDDER`, in [-1, 1]; 0 for an image about which the captioner says nothing, NaN for
 * an empty text or a broken image, each with the reason.
 */
export interface CaptionSimilarity extends Scorer<ImageTextSample> {
  /** What the captioner said of an image that was scored, for display; kept as long as the image is. */
  captionOf(image: Image): string | undefined;
}

/** @see CaptionSimilarity */
export function captionSimilarity(captioner: Captioner, embedder: SentenceEmbedder): CaptionSimilarity {
  const said = new WeakMap<Image, string>();
  return {
    name: `caption_similarity_${captioner.name}_${embedder.name}`,
    range: [-1, 1],
    higherIsBetter: true,
    captionOf: (image) => said.get(image),
    score: (samples) =>
      withPerSampleFallback(samples, async (some) => {
        checkTexts(some);
        const captions = await captioner.captions(some.map(({ image }) => image));
        some.forEach(({ image }, i) => said.set(image, captions[i]));
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
