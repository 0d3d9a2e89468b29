/** Images in, sentences out: BLIP's captioner with the image processor and the tokenizer of its folder. */
import type { Rng } from '../../engine';
import type { Image } from '../../io';
import { ImageProcessor } from '../../io/preprocess';
import { loadWordPiece, type WordPiece } from '../../text/wordpiece';
import { padRows } from './bert/rows';
import { BlipCaptioner } from './blip-caption';

export interface DescribeOptions {
  /** What every caption starts with ("an image of"); it stands in the caption, too. Default: nothing. */
  readonly prompt?: string;
  /** Longest caption in tokens, first token and prompt included. Default 20, as upstream. */
  readonly maxLength?: number;
  /** 0 (default) is greedy; above it tokens are drawn, from a fork of `stream` for each image. */
  readonly temperature?: number;
  readonly rng?: Rng;
  /** Images at a time. Default 8. */
  readonly batch?: number;
}

export class BlipDescriber {
  readonly name = 'blip';

  constructor(
    readonly captioner: BlipCaptioner,
    readonly processor: ImageProcessor,
    readonly tokenizer: WordPiece,
  ) {}

  /** @throws an error of the configuration, the weights, the tokenizer or the image processor, naming the file */
  static async fromPretrained(folder: string): Promise<BlipDescriber> {
    const tokenizer = await loadWordPiece(folder);
    const processor = await ImageProcessor.fromPretrained(folder, 'BlipImageProcessor');
    return new BlipDescriber(await BlipCaptioner.fromPretrained(folder), processor, tokenizer);
  }

  /**
   * A caption an image, in order; the same for each whatever stands beside it in the batch.
   * @throws RangeError for a broken image, a prompt that fills the caption, or drawing without a stream
   */
  async captions(images: readonly Image[], options: DescribeOptions = {}): Promise<string[]> {
    const { prompt, rng, batch = 8, maxLength, temperature = 0 } = options;
    if (temperature > 0 && !rng) throw new RangeError('captions above temperature 0 are drawn: give a stream');
    const out: string[] = [];
    for (let from = 0; from < images.length; from += batch) {
      const piece = images.slice(from, from + batch);
      const pixels = this.processor.process(piece);
      try {
        const rows = this.captioner.generate(pixels, {
          maxLength,
          temperature,
          prompt: prompt ? padRows(piece.map(() => this.tokenizer.encode(prompt))) : undefined,
          rngs: temperature > 0 ? piece.map((_, i) => (rng as Rng).split(from + i)) : undefined,
        });
        for (const row of rows) out.push(this.tokenizer.decode(this.captioner.captionTokens(row)));
      } finally {
        pixels.dispose();
      }
    }
    return out;
  }

  dispose(): void {
    this.captioner.dispose();
  }
}
