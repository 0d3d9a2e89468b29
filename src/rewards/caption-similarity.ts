/**
 * Whether an image, put into words, says what its prompt said: the cosine of two sentences, of BLIP's caption of the
 * image and of the prompt. The text half of a cycle from words to image and back; CoRL's own compares scene graphs.
 */
import type { Image } from '../io';
import { checkTexts } from './image-text';
import { defineReward, type Reward, type Score } from './reward';
import { scoreImages } from './seen';
import type { SentenceEmbedder } from './tier';

/** Says what an image shows. Frozen. `BlipDescriber` is one. */
export interface Captioner {
  readonly name: string;
  /** One sentence an image, in order. */
  captions(images: readonly Image[]): Promise<string[]>;
}

/**
 * `caption_similarity_CAPTIONER_EMBEDDER`, in [-1, 1]; 0 for an image about which the captioner says nothing, NaN for
 * an empty text or a broken image, each with the reason. `onCaption` is told what was said.
 */
export function captionSimilarity(
  captioner: Captioner,
  embedder: SentenceEmbedder,
  onCaption: (image: Image, caption: string) => void = () => undefined,
): Reward {
  return defineReward(`caption_similarity_${captioner.name}_${embedder.name}`, [-1, 1], (samples) =>
    scoreImages(samples, async (seen) => {
      checkTexts(seen);
      const captions = await captioner.captions(seen.map(({ image }) => image));
      seen.forEach(({ image }, i) => onCaption(image, captions[i]));
      const vectors = await embedder.embed([...captions, ...seen.map(({ text }) => text)]);
      return captions.map((caption, i) => compare(caption, vectors[i], vectors[seen.length + i]));
    }),
  );
}

function compare(caption: string, a: Float32Array, b: Float32Array): Score {
  if (caption.trim() === '') return { value: 0, reason: 'the caption is empty' };
  const cosine = a.reduce((sum, value, i) => sum + value * b[i], 0);
  return { value: Math.min(1, Math.max(-1, cosine)) };
}
