/**
 * Images and texts in, numbers out: BLIP's or BLIP-2's matcher with the image processor and the tokenizer of its
 * folder. What the rewards ask.
 */
import { readValues, tf } from '../../engine';
import type { Image } from '../../io';
import { ImageProcessor } from '../../io/preprocess';
import { loadWordPiece, type WordPiece } from '../../text/wordpiece';
import { ConfigFields } from './bert/fields';
import { padRows } from './bert/rows';
import { BlipMatcher } from './blip-itm';
import { Blip2Matcher } from './blip2-itm';

export interface BlipJudgeOptions {
  /** Longest text in tokens; what is beyond is cut. Default: the model's longest. LAVIS cuts at 35 (BLIP) and 32 (BLIP-2). */
  readonly maxTokens?: number;
  /** Images at a time. Default 8. */
  readonly batch?: number;
}

/** The matcher with what stands before it. */
export class BlipJudge {
  constructor(
    readonly matcher: BlipMatcher | Blip2Matcher,
    readonly processor: ImageProcessor,
    readonly tokenizer: WordPiece,
    readonly options: BlipJudgeOptions = {},
  ) {}

  /**
   * Loads either model, as `model_type` of the folder's `config.json` says.
   * @throws an error of the configuration, the weights, the tokenizer or the image processor, naming the file
   */
  static async fromPretrained(folder: string, options: BlipJudgeOptions = {}): Promise<BlipJudge> {
    const type = (await ConfigFields.read(folder)).text('model_type');
    const tokenizer = await loadWordPiece(folder);
    const processor = await ImageProcessor.fromPretrained(folder, 'BlipImageProcessor');
    const load = type === 'blip-2' ? Blip2Matcher : BlipMatcher;
    return new BlipJudge(await load.fromPretrained(folder), processor, tokenizer, options);
  }

  /** `blip` or `blip2`. */
  get name(): 'blip' | 'blip2' {
    return this.matcher.name;
  }

  /**
   * Probability that image i goes with text i (ITM), in [0, 1].
   * @throws RangeError when there are not as many texts as images, or an image is broken
   */
  async match(images: readonly Image[], texts: readonly string[]): Promise<number[]> {
    return this.inPieces(images, texts, (pixels, rows) =>
      tf.slice(tf.softmax(this.matcher.matchLogits(pixels, rows)), [0, 1], [-1, 1]),
    );
  }

  /**
   * Cosine of image i and text i (ITC; BLIP-2: of the best query), in [-1, 1].
   * @throws RangeError as {@link BlipJudge.match}
   */
  async cosine(images: readonly Image[], texts: readonly string[]): Promise<number[]> {
    return this.inPieces(images, texts, (pixels, rows) => {
      const all = this.matcher.similarity(pixels, rows);
      return tf.sum(tf.mul(all, tf.eye(all.shape[0])), 1);
    });
  }

  dispose(): void {
    this.matcher.dispose();
  }

  private inPieces(
    images: readonly Image[],
    texts: readonly string[],
    compute: (pixels: tf.Tensor4D, rows: ReturnType<typeof padRows>) => tf.Tensor,
  ): number[] {
    if (images.length !== texts.length)
      throw new RangeError(`there are ${images.length} images and ${texts.length} texts`);
    const { batch = 8, maxTokens = Infinity } = this.options;
    const limit = Math.min(maxTokens, this.matcher.longestText);
    const out: number[] = [];
    for (let from = 0; from < images.length; from += batch) {
      const rows = padRows(
        texts.slice(from, from + batch).map((text) => this.tokenizer.encode(text, limit)),
        this.tokenizer.padId,
      );
      const values = readValues(() => compute(this.processor.process(images.slice(from, from + batch)), rows));
      for (const value of values) out.push(Math.min(1, Math.max(-1, value))); // rounding can step over the edge
    }
    return out;
  }
}
