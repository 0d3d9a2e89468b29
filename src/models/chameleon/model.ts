/** Chameleon as one object: configuration, weights, image tokenizer; what the sampler and the trainers share. */
import { readValues, type Rng, tf } from '../../engine';
import { Parameters } from '../../nn/parameters';
import { VqganTokenizer } from '../../nn/vqgan-tokenizer';
import { type LoadOptions, loadChameleon, saveChameleon, type SaveOptions } from './checkpoint';
import { type ChameleonConfig, defaultGrid } from './config';
import type { Grid } from './layout';
import { chameleonHidden, chameleonLogits, chameleonSpecs, type HiddenOptions } from './transformer';
import { type ChameleonVocabulary, chameleonVocabulary } from './vocabulary';

export class ChameleonModel {
  readonly vocabulary: ChameleonVocabulary;

  /**
   * @param parameters the language model's
   * @param images the image tokenizer; none: codes only
   * @throws ChameleonConfigError for a vocabulary that does not fit, RangeError for another tokenizer's size
   */
  constructor(
    readonly config: ChameleonConfig,
    readonly parameters: Parameters,
    readonly imageTokenizer?: VqganTokenizer,
  ) {
    this.vocabulary = chameleonVocabulary(config);
    if (imageTokenizer && imageTokenizer.codebookSize !== config.vq.n_embed)
      throw new RangeError(
        `the image tokenizer has ${imageTokenizer.codebookSize} codes, the configuration says ${config.vq.n_embed}`,
      );
  }

  /** A model with random weights, and a random image tokenizer unless one is given. */
  static random(config: ChameleonConfig, rng: Rng, imageTokenizer?: VqganTokenizer): ChameleonModel {
    return new ChameleonModel(
      config,
      Parameters.random(chameleonSpecs(config), rng.split('language')),
      imageTokenizer ?? VqganTokenizer.random(config.vq, rng.split('images')),
    );
  }

  /**
   * Loads a checkpoint in Hugging Face's layout: `config.json`, `model.safetensors` or its shards, and, for decoding
   * images, the whole VQGAN in `vqgan/` (`config.json` and `model.safetensors`, taming-transformers' names).
   * @throws CheckpointMismatchError listing every unknown, missing and mis-shaped tensor; an error naming the file that
   *   is missing or damaged; ChameleonConfigError
   */
  static async fromPretrained(folder: string, options: LoadOptions = {}): Promise<ChameleonModel> {
    const { config, parameters, imageTokenizer } = await loadChameleon(folder, options);
    return new ChameleonModel(config, parameters, imageTokenizer);
  }

  /** Saves as {@link ChameleonModel.fromPretrained} reads; `config.json` last, so that a half-written folder is no checkpoint. */
  async savePretrained(folder: string, options: SaveOptions = {}): Promise<void> {
    await saveChameleon(folder, this, options);
  }

  /** Hidden states after the last norm, `[batch, tokens, hidden]`, of rows of one length. */
  hidden(rows: readonly ArrayLike<number>[], options: HiddenOptions = {}, parameters = this.parameters): tf.Tensor3D {
    return chameleonHidden(parameters, this.config, rows, options);
  }

  /** Logits over the whole vocabulary, `[batch, tokens, vocab]`, image codes not masked. */
  logits(rows: readonly ArrayLike<number>[], options: HiddenOptions = {}, parameters = this.parameters): tf.Tensor3D {
    return tf.tidy(() => {
      const hidden = this.hidden(rows, options, parameters);
      const flat = tf.reshape<tf.Rank.R2>(hidden, [-1, this.config.text.hidden_size]);
      return tf.reshape<tf.Rank.R3>(chameleonLogits(parameters, flat), [rows.length, rows[0].length, -1]);
    });
  }

  /** Pixels `[batch, height, width, 3]` in [-1, 1] -> the codes of each image. @throws Error without an image tokenizer */
  encodeImages(pixels: tf.Tensor4D): Int32Array[] {
    const flat = readValues<'int32'>(() => this.tokenizer.encode(pixels));
    const count = flat.length / pixels.shape[0];
    return Array.from({ length: pixels.shape[0] }, (_, i) => flat.slice(i * count, (i + 1) * count));
  }

  /**
   * Codes of images of one grid -> pixels `[batch, height, width, 3]`, about [-1, 1], not clipped.
   * @param grid default: the configuration's
   */
  decodeImages(codes: readonly ArrayLike<number>[], grid: Grid = defaultGrid(this.config)): tf.Tensor4D {
    return this.tokenizer.decode(codes, grid);
  }

  dispose(): void {
    this.parameters.dispose();
    this.imageTokenizer?.dispose();
  }

  private get tokenizer(): VqganTokenizer {
    if (!this.imageTokenizer)
      throw new Error('this Chameleon was loaded without an image tokenizer: its checkpoint holds none, and there is no folder vqgan/ beside it'); // prettier-ignore
    return this.imageTokenizer;
  }
}
