/** The three mini models as `unilab eval mini-world` sees them: what draws captions and answers questions. */
import { readValues, Rng, type tf } from '../../engine';
import { sampleAnswers as sampleJanus, type JanusPrefix } from '../../models/janus/answers';
import { imageCodes } from '../../models/janus/config';
import { generationIds, textIds, understandingIds } from '../../models/janus/layout';
import type { JanusModel } from '../../models/janus/model';
import { ImageBatch as JanusImages, type ImageOptions as JanusImageOptions } from '../../models/janus/images';
import { imageIds } from '../../models/chameleon/layout';
import type { ChameleonModel } from '../../models/chameleon/model';
import { sampleSequences, type SequenceOptions } from '../../models/chameleon/sampler';
import { type AnswerPrefix, sampleAnswers as sampleShowo } from '../../models/showo/answers';
import { textPrefix, understandingPrefix } from '../../models/showo/layout';
import type { ShowoModel } from '../../models/showo/model';
import { ImageBatch as ShowoImages, type ImageOptions as ShowoImageOptions } from '../../models/showo/sampler';
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
  const encode = (images: readonly Uint8Array[]) =>
    rowsOf(readValues<'int32'>(() => model.imageTokenizer.encode(pixelsOf(images))), model.config.num_vq_tokens); // prettier-ignore
  const answers = (prefixes: readonly AnswerPrefix[]) =>
    sampleShowo(model, prefixes, unused(prefixes), GREEDY).map(({ ids }) =>
      ids.filter((id) => id !== model.vocabulary.eot),
    );
  return {
    draw: (captions, rngs) =>
      model.imageTokenizer.decode(new ShowoImages(model, captions, rngs, options).finish(), model.grid),
    giveBack: (images) => model.imageTokenizer.decode(encode(images), model.grid),
    answerImages: (asked) => {
      const codes = ofImages(asked, encode);
      return answers(
        asked.map(({ question }, i) => ({ ids: understandingPrefix(model.config, codes[i], question), image: true })),
      );
    },
    answerTexts: (texts) => answers(texts.map((text) => ({ ids: textPrefix(model.config, text), image: false }))), // prettier-ignore
    dispose: () => {
      model.dispose();
    },
  };
}

export function janusSubject(model: JanusModel, options?: JanusImageOptions): Subject {
  const { config } = model;
  const answers = (prefixes: readonly JanusPrefix[]) =>
    sampleJanus(model, prefixes, unused(prefixes), GREEDY).map(({ ids }) =>
      ids.filter((id) => id !== config.tokens.eos),
    );
  return {
    draw: (captions, rngs) => {
      const prompts = captions.map((caption) => generationIds(config, caption));
      return model.decodeCodes(new JanusImages(model, prompts, rngs, options).finish().map(({ codes }) => codes));
    },
    giveBack: (images) => {
      const codes = readValues<'int32'>(() => model.encodePixels(pixelsOf(images)));
      return model.decodeCodes(rowsOf(codes, imageCodes(config)));
    },
    answerImages: (asked) => {
      const seen = ofImages(asked, (list) => list.map((rgb) => ({ width: 64, height: 64, rgb })));
      return answers(asked.map(({ question }, i) => ({ ids: understandingIds(config, question), image: seen[i] })));
    },
    answerTexts: (texts) => answers(texts.map((text) => ({ ids: textIds(config, text) }))),
    dispose: () => {
      model.dispose();
    },
  };
}

export function chameleonSubject(model: ChameleonModel, options: SequenceOptions = {}): Subject {
  const { config, vocabulary: v } = model;
  const encode = (images: readonly Uint8Array[]) => {
    const pixels = pixelsOf(images);
    const codes = model.encodeImages(pixels);
    pixels.dispose();
    return codes;
  };
  const answers = (prompts: readonly Ids[]) =>
    sampleSequences(model, prompts, unused(prompts), { text: { temperature: 0 }, image: { temperature: 0 }, maxNewTokens: LONGEST_ANSWER, maxImages: 0 })
      .map(({ ids }) => [...ids].filter((id) => id !== v.eos)); // prettier-ignore
  return {
    draw: (captions, rngs) => {
      const prompts = captions.map((caption) => [v.bos, ...caption, v.boi]);
      const drawn = sampleSequences(model, prompts, rngs, { ...options, maxNewTokens: 1 });
      return model.decodeImages(drawn.map(({ ids }) => Int32Array.from([...ids].flatMap((id) => (v.codeOfId[id] >= 0 ? [v.codeOfId[id]] : []))))); // prettier-ignore
    },
    giveBack: (images) => model.decodeImages(encode(images)),
    answerImages: (asked) => {
      const codes = ofImages(asked, encode);
      return answers(asked.map(({ question }, i) => [v.bos, ...imageIds(config, v, codes[i]), ...question])); // prettier-ignore
    },
    answerTexts: (texts) => answers(texts.map((text) => [v.bos, ...text])),
    dispose: () => {
      model.dispose();
    },
  };
}
