/** An image while it is drawn, for people who want to see how it comes to be. */
import { Rng } from '../engine';
import type { Image } from '../io';
import type { Seeded } from '../text/asked';
import { decodeImages } from './generate';
import type { ImageOptions, UnifiedModel } from './unified';

/** An image on its way. */
export interface DrawingStep {
  /** Steps done. */
  readonly step: number;
  readonly steps: number;
  /** What the image would be if it stopped here. */
  readonly image: Image;
}

/**
 * Draws an image of a caption as {@link generateImages} does, and yields it after each step. A model that draws code after
 * code has nothing to show before the end: there the finished image is the only one.
 * @param options of the model's sampler, and a seed
 * @throws PromptTooLongError for a caption that does not fit; the tokenizer's error for words it does not know
 */
export async function* drawingSteps(
  model: UnifiedModel,
  caption: string,
  { seed = 0, ...options }: ImageOptions & Seeded = {},
): AsyncGenerator<DrawingStep, void, void> {
  const request = { prompt: model.prompt([caption], 'generate'), rng: new Rng(seed).split(0) };
  const sampler = model.imageSampler([request], options);
  const { steps } = sampler;
  try {
    while (!sampler.done) {
      sampler.step();
      if (sampler.done || !sampler.predicted) continue;
      const [image] = await decodeImages(model, sampler.predicted);
      yield { step: sampler.stepsDone, steps, image };
    }
    const [{ codes, grid }] = sampler.finish();
    const [image] = await decodeImages(model, [codes], grid);
    yield { step: steps, steps, image };
  } finally {
    sampler.dispose();
  }
}
