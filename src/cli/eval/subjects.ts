/** The three mini models as `unilab eval mini-world` sees them: what draws captions and answers questions. */
import { readValues, Stream, type tf } from '../../engine';
import { sampleAnswers as sampleJanus, type JanusPrefix } from '../../models/janus/answers';
import { pictureCodes } from '../../models/janus/config';
import { generationIds, textIds, understandingIds } from '../../models/janus/layout';
import type { JanusModel } from '../../models/janus/model';
import { PictureBatch as JanusPictures, type PictureOptions as JanusPictureOptions } from '../../models/janus/pictures';
import { pictureIds } from '../../models/chameleon/layout';
import type { ChameleonModel } from '../../models/chameleon/model';
import { sampleSequences, type SequenceOptions } from '../../models/chameleon/sampler';
import { type AnswerPrefix, sampleAnswers as sampleShowo } from '../../models/showo/answers';
import { textPrefix, understandingPrefix } from '../../models/showo/layout';
import type { ShowoModel } from '../../models/showo/model';
import { PictureBatch as ShowoPictures, type PictureOptions as ShowoPictureOptions } from '../../models/showo/sampler';
import { pixelsTensor } from '../../sft/train-magvit';

type Ids = readonly number[];

/** A question about a picture of RGB bytes `[64, 64, 3]`. */
export interface Asked {
  readonly picture: Uint8Array;
  readonly question: Ids;
}

export interface Subject {
  /** Pictures of captions, `[captions, 64, 64, 3]`, not clipped. @param streams one a caption */
  draw(captions: readonly Ids[], streams: readonly Stream[]): tf.Tensor4D;
  /** Pictures as the image tokenizer gives them back, of the same shape. */
  giveBack(pictures: readonly Uint8Array[]): tf.Tensor4D;
  /** Greedy answers, as ids without the one that ends them. */
  answerPictures(asked: readonly Asked[]): number[][];
  /** The same for text alone. */
  answerTexts(texts: readonly Ids[]): number[][];
  dispose(): void;
}

/** Words of the longest answer, and its end. */
const LONGEST_ANSWER = 8;
const GREEDY = { temperature: 0, maxNewTokens: LONGEST_ANSWER } as const;
/** Greedy answers draw nothing. */
const unused = (list: readonly unknown[]) => list.map((_, i) => new Stream(i));

const pixelsOf = (pictures: readonly Uint8Array[]) => pixelsTensor(pictures, 64, 64);

/** Rows of `[pictures, codes]` as they come out of a tokenizer. */
function rowsOf(flat: Int32Array, count: number): Int32Array[] {
  return Array.from({ length: flat.length / count }, (_, i) => flat.slice(i * count, (i + 1) * count));
}

/** Calls once a picture, however many questions there are about it. */
function ofPictures<T>(asked: readonly Asked[], make: (pictures: readonly Uint8Array[]) => readonly T[]): T[] {
  const unique = [...new Set(asked.map(({ picture }) => picture))];
  const made = make(unique);
  return asked.map(({ picture }) => made[unique.indexOf(picture)]);
}

export function showoSubject(model: ShowoModel, options?: ShowoPictureOptions): Subject {
  const encode = (pictures: readonly Uint8Array[]) =>
    rowsOf(readValues<'int32'>(() => model.images.encode(pixelsOf(pictures))), model.config.num_vq_tokens); // prettier-ignore
  const answers = (prefixes: readonly AnswerPrefix[]) =>
    sampleShowo(model, prefixes, unused(prefixes), GREEDY).map(({ ids }) =>
      ids.filter((id) => id !== model.vocabulary.eot),
    );
  return {
    draw: (captions, streams) =>
      model.images.decode(new ShowoPictures(model, captions, streams, options).finish(), model.grid),
    giveBack: (pictures) => model.images.decode(encode(pictures), model.grid),
    answerPictures: (asked) => {
      const codes = ofPictures(asked, encode);
      return answers(
        asked.map(({ question }, i) => ({ ids: understandingPrefix(model.config, codes[i], question), picture: true })),
      );
    },
    answerTexts: (texts) => answers(texts.map((text) => ({ ids: textPrefix(model.config, text), picture: false }))), // prettier-ignore
    dispose: () => {
      model.dispose();
    },
  };
}

export function janusSubject(model: JanusModel, options?: JanusPictureOptions): Subject {
  const { config } = model;
  const answers = (prefixes: readonly JanusPrefix[]) =>
    sampleJanus(model, prefixes, unused(prefixes), GREEDY).map(({ ids }) =>
      ids.filter((id) => id !== config.tokens.eos),
    );
  return {
    draw: (captions, streams) => {
      const prompts = captions.map((caption) => generationIds(config, caption));
      return model.decodeCodes(new JanusPictures(model, prompts, streams, options).finish().map(({ codes }) => codes));
    },
    giveBack: (pictures) => {
      const codes = readValues<'int32'>(() => model.encodePixels(pixelsOf(pictures)));
      return model.decodeCodes(rowsOf(codes, pictureCodes(config)));
    },
    answerPictures: (asked) => {
      const seen = ofPictures(asked, (list) => list.map((rgb) => ({ width: 64, height: 64, rgb })));
      return answers(asked.map(({ question }, i) => ({ ids: understandingIds(config, question), picture: seen[i] })));
    },
    answerTexts: (texts) => answers(texts.map((text) => ({ ids: textIds(config, text) }))),
    dispose: () => {
      model.dispose();
    },
  };
}

export function chameleonSubject(model: ChameleonModel, options: SequenceOptions = {}): Subject {
  const { config, vocabulary: v } = model;
  const encode = (pictures: readonly Uint8Array[]) => {
    const pixels = pixelsOf(pictures);
    const codes = model.encodePictures(pixels);
    pixels.dispose();
    return codes;
  };
  const answers = (prompts: readonly Ids[]) =>
    sampleSequences(model, prompts, unused(prompts), { text: { temperature: 0 }, image: { temperature: 0 }, maxNewTokens: LONGEST_ANSWER, maxPictures: 0 })
      .map(({ ids }) => [...ids].filter((id) => id !== v.eos)); // prettier-ignore
  return {
    draw: (captions, streams) => {
      const prompts = captions.map((caption) => [v.bos, ...caption, v.boi]);
      const drawn = sampleSequences(model, prompts, streams, { ...options, maxNewTokens: 1 });
      return model.decodePictures(drawn.map(({ ids }) => Int32Array.from([...ids].flatMap((id) => (v.codeOfId[id] >= 0 ? [v.codeOfId[id]] : []))))); // prettier-ignore
    },
    giveBack: (pictures) => model.decodePictures(encode(pictures)),
    answerPictures: (asked) => {
      const codes = ofPictures(asked, encode);
      return answers(asked.map(({ question }, i) => [v.bos, ...pictureIds(config, v, codes[i]), ...question])); // prettier-ignore
    },
    answerTexts: (texts) => answers(texts.map((text) => [v.bos, ...text])),
    dispose: () => {
      model.dispose();
    },
  };
}
