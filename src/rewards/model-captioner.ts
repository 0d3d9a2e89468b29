/** A unified model as a captioner: it is asked what an image shows. For CoRL's cycle where no BLIP is at hand. */
import { Rng } from '../engine';
import type { Image } from '../io';
import type { UnifiedModel } from '../models/unified';
import type { Captioner } from './caption-similarity';

export interface ModelCaptionerOptions {
  /** Answers to these, joined by spaces, are the caption. Default: one, to describe the image in a sentence. */
  readonly questions?: readonly string[];
  /** Longest answer to each, in tokens. Default 32. */
  readonly maxNewTokens?: number;
}

/**
 * Greedy answers of a model that stands still: a policy that captions its own images moves its reward with every step,
 * so give a frozen copy. The model is not disposed.
 */
export function modelCaptioner(
  model: UnifiedModel,
  { questions = ['Describe the image in one sentence.'], maxNewTokens = 32 }: ModelCaptionerOptions = {},
): Captioner {
  const rng = new Rng(0); // a greedy answer draws nothing
  return {
    name: `${model.modelType}_frozen`,
    captions: (images: readonly Image[]) => {
      const asked = images.flatMap((image) =>
        questions.map((question) => ({ prompt: model.prompt([image, question], 'understand'), rng })),
      );
      const answers = asked.length > 0 ? model.sampleText(asked, { temperature: 0, maxNewTokens }) : [];
      const of = (i: number) => answers.slice(i * questions.length, (i + 1) * questions.length);
      return Promise.resolve(
        images.map((_, i) =>
          of(i)
            .map(({ text }) => text)
            .join(' '),
        ),
      );
    },
  };
}
