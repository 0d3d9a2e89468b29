/** The three mini models as `unilab eval mini-world` sees them: what draws captions and answers questions. */
import { readValues, Rng, type tf } from '../../engine';
import type { Image } from '../../io';
import { generationIds, type JanusPrompt, understandingIds } from '../../models/janus/layout';
import type { JanusModel } from '../../models/janus/model';
import type { ImageOptions as UnifiedImageOptions } from '../../models/unified';
import { imageIds } from '../../models/chameleon/layout';
import type { ChameleonModel } from '../../models/chameleon/model';
import type { ImageOptions } from '../../models/unified';
import { sampleTexts as sampleShowo, type TextRow } from '../../models/showo/text-sampler';
import { textPrefix, understandingPrefix } from '../../models/showo/layout';
import type { ShowoModel } from '../../models/showo/model';
import { type ShowoImageOptions, ShowoImageSampler } from '../../models/showo/sampler';
import { pixelsTensor } from '../../sft/train-magvit';

type Ids = readonly number[];

/** A question about an image of RGB bytes `[64, 64, 3]`. */
export interface Asked {
  readonly image: Uint8Array;
  readonly question: Ids;
}

export interface Subject {
  /** Images of captions, `[captions, 64, 64, 3]`, not clipped. @param generators one a caption */
  draw(captions: readonly Ids[], rngs: readonly Rng[]): tf.Tensor4D;
  /** Images as the image tokenizer gives them back, of the same shape. */
  giveBack(images: readonly Uint8Array[]): tf.Tensor4D;
  /** Greedy answers, as ids without the one that ends them. */
  answerImages(asked: readonly Asked[]): number[][];
  /** The same for text alone. */
  answerTexts(texts: readonly Ids[]): number[][];
  dispose(): void;
}

/** Words of the longest answer, and its end. */
const LONGEST_ANSWER = 8;
const GREEDY = { temperature: 0, maxNewTokens: LONGEST_ANSWER } as const;
/** Greedy answers draw nothing. */
const unused = (list: readonly unknown[]) => list.map((_, i) => new Rng(i));

const pixelsOf = (images: readonly Uint8Array[]) => pixelsTensor(images, 64, 64);

/** Rows of `[images, codes]` as they come out of a tokenizer. */
function rowsOf(flat: Int32Array, count: number): Int32Array[] {
  return Array.from({ length: flat.length / count }, (_, i) => flat.slice(i * count, (i + 1) * count));
}

/** Calls once an image, however many questions there are about it. */
function ofImages<T>(asked: readonly Asked[], make: (images: readonly Uint8Array[]) => readonly T[]): T[] {
  const unique = [...new Set(asked.map(({ image }) => image))];
  const made = make(unique);
  return asked.map(({ image }) => made[unique.indexOf(image)]);
}

export function showoSubject(model: ShowoModel, options?: ShowoImageOptions): Subject {
  const { network, magvit, config } = model;
  const { grid } = model.imageTokenizer;
  const encode = (images: readonly Uint8Array[]) =>
    rowsOf(readValues<'int32'>(() => magvit.encode(pixelsOf(images))), config.num_vq_tokens); // prettier-ignore
  const answers = (rows: readonly TextRow[]) =>
    sampleShowo(network, rows, unused(rows), GREEDY).map(({ ids }) =>
      Array.from(ids).filter((id) => id !== network.vocabulary.eot),
    );
  return {
    draw: (captions, rngs) => {
      const requests = captions.map((condition, i) => ({ condition, draws: rngs[i] }));
      const segments = ShowoImageSampler.start(network, requests, options).finish();
      return magvit.decode(
        segments.map(({ codes }) => codes),
        grid,
      );
    },
    giveBack: (images) => magvit.decode(encode(images), grid),
    answerImages: (asked) => {
      const codes = ofImages(asked, encode);
      return answers(
        asked.map(({ question }, i) => ({ ids: understandingPrefix(config, codes[i], question), image: true })),
      );
    },
    answerTexts: (texts) => answers(texts.map((text) => ({ ids: textPrefix(config, text), image: false }))),
    dispose: () => {
      model.dispose();
    },
  };
}

export function janusSubject(model: JanusModel, options?: UnifiedImageOptions): Subject {
  const { config } = model;
  const requests = (prompts: readonly JanusPrompt[], rngs: readonly Rng[]) =>
    prompts.map((prompt, i) => ({ prompt, rng: rngs[i] }));
  const answers = (prompts: readonly JanusPrompt[]) =>
    model
      .sampleText(requests(prompts, unused(prompts)), GREEDY)
      .map(({ transitions: [{ sampledIds }] }) => [...sampledIds].filter((id) => id !== config.tokens.eos));
  const question = (ids: Ids, image?: Image): JanusPrompt => {
    const whole = understandingIds(config, image ? ['image', ids] : [ids]);
    return { task: 'understand', ids: whole, images: image ? [image] : [], shared: 1 };
  };
  return {
    draw: (captions, rngs) => {
      const prompts = captions.map((caption): JanusPrompt => ({
        task: 'generate',
        ids: generationIds(config, caption),
      }));
      const images = model.imageSampler(requests(prompts, rngs), options).finish();
      return model.imageTokenizer.decode(images.map(({ codes }) => codes));
    },
    giveBack: (images) => {
      const { imageTokenizer } = model;
      return imageTokenizer.decode(imageTokenizer.encode(images.map((rgb) => ({ width: 64, height: 64, rgb }))));
    },
    answerImages: (asked) => {
      const seen = ofImages(asked, (list) => list.map((rgb) => ({ width: 64, height: 64, rgb })));
      return answers(asked.map(({ question: ids }, i) => question(ids, seen[i])));
    },
    answerTexts: (texts) => answers(texts.map((text) => question(text))),
    dispose: () => {
      model.dispose();
    },
  };
}

export function chameleonSubject(model: ChameleonModel, options: ImageOptions = {}): Subject {
  const { config, vocabulary: v } = model.network;
  const { imageTokenizer } = model;
  const imagesOf = (list: readonly Uint8Array[]) => list.map((rgb) => ({ width: 64, height: 64, rgb }));
  const encode = (images: readonly Uint8Array[]) => imageTokenizer.encode(imagesOf(images));
  const answers = (prompts: readonly Ids[]) => {
    const rngs = unused(prompts);
    const requests = prompts.map((ids, i) => ({ prompt: { task: 'understand' as const, ids }, rng: rngs[i] }));
    return model
      .sampleText(requests, GREEDY)
      .map(({ transitions: [{ sampledIds }] }) => [...sampledIds].filter((id) => id !== v.eos));
  };
  return {
    draw: (captions, rngs) => {
      const requests = captions.map((caption, i) => ({
        prompt: { task: 'generate' as const, ids: [v.bos, ...caption, v.boi] },
        rng: rngs[i],
      }));
      const drawn = model.imageSampler(requests, options).finish();
      return imageTokenizer.decode(drawn.map(({ codes }) => codes));
    },
    giveBack: (images) => imageTokenizer.decode(encode(images)),
    answerImages: (asked) => {
      const codes = ofImages(asked, encode);
      return answers(asked.map(({ question }, i) => [v.bos, ...imageIds(config, v, codes[i]), ...question]));
    },
    answerTexts: (texts) => answers(texts.map((text) => [v.bos, ...text])),
    dispose: () => {
      model.dispose();
    },
  };
}
