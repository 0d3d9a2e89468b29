/** Show-o as one object: configuration, weights, image tokenizer; forward passes that the sampler and trainers share. */
import { readFile } from 'node:fs/promises';
import { mkdirSync } from 'node:fs';
import path from 'node:path';
import { writeFileAtomic } from '../../io/write-file';
import { type Rng, tf } from '../../engine';
import { openSafetensors, readSafetensors, writeSafetensors } from '../../io';
import { additiveMask } from '../../nn/causal-mask';
import { Parameters } from '../../nn/parameters';
import { checkShowoConfig, type ShowoConfig, type ShowoVocabulary, showoVocabulary } from './config';
import { imageStart } from './layout';
import { MagvitTokenizer, type MagvitConfig } from './magvit';
import { textToImageMask } from './masks';
import { type ExtraTokens, showoHidden, showoLogitsRange, showoSpecs } from './transformer';

/** What `config.json` of a UniLab checkpoint of Show-o holds. */
export interface ShowoFile {
  readonly model_type: 'showo';
  readonly transformer: ShowoConfig;
  readonly tokenizer: MagvitConfig;
}

export interface SaveOptions {
  /** How the weights are stored. Default `BF16`; `F32` keeps every bit. */
  readonly dtype?: 'F32' | 'BF16';
  /** Above so many bytes the transformer goes into several files with an index. Default: one file. */
  readonly shardBytes?: number;
}

export class ShowoModel {
  readonly vocabulary: ShowoVocabulary;

  constructor(
    readonly config: ShowoConfig,
    readonly parameters: Parameters,
    readonly imageTokenizer: MagvitTokenizer,
    /** Concept tokens, when there are any. */
    public extra?: ExtraTokens,
  ) {
    checkShowoConfig(config);
    this.vocabulary = showoVocabulary(config);
    if (imageTokenizer.codebookSize !== config.codebook_size) {
      throw new RangeError(
        `the image tokenizer has ${imageTokenizer.codebookSize} codes, the transformer expects ${config.codebook_size}`,
      );
    }
  }

  /** A model with random weights around a trained (or random) image tokenizer. */
  static random(config: ShowoConfig, imageTokenizer: MagvitTokenizer, rng: Rng): ShowoModel {
    return new ShowoModel(config, Parameters.random(showoSpecs(config), rng), imageTokenizer);
  }

  /** The same transformer (shared, not copied) around another image tokenizer with as many codes. */
  withImageTokenizer(imageTokenizer: MagvitTokenizer): ShowoModel {
    return new ShowoModel(this.config, this.parameters, imageTokenizer, this.extra);
  }

  /** Rows and columns of the image's code grid. */
  get grid(): [number, number] {
    const columns = this.config.image_columns ?? Math.round(Math.sqrt(this.config.num_vq_tokens));
    return [this.config.num_vq_tokens / columns, columns];
  }

  /**
   * Loads a folder written by {@link ShowoModel.savePretrained}: `config.json`, `model.safetensors` or its shards,
   * `tokenizer.safetensors`.
   * @throws CheckpointMismatchError, or an error naming the file that is missing or damaged
   */
  static async fromPretrained(folder: string): Promise<ShowoModel> {
    const file = path.join(folder, 'config.json');
    let config: ShowoFile;
    try {
      config = JSON.parse(await readFile(file, 'utf8')) as ShowoFile;
    } catch (error) {
      throw new Error(`${file} cannot be read as a Show-o checkpoint's configuration: ${(error as Error).message}`, {
        cause: error,
      });
    }
    if (config.model_type !== 'showo')
      throw new Error(`${file}: model_type is ${JSON.stringify(config.model_type)}, expected "showo"`);
    checkShowoConfig(config.transformer);
    const imagesFile = path.join(folder, 'tokenizer.safetensors');
    const imageTokenizer = MagvitTokenizer.fromTensors(config.tokenizer, await readSafetensors(imagesFile), imagesFile);
    const reader = await openSafetensors(folder); // model.safetensors, or its shards and index
    try {
      const parameters = await Parameters.read(showoSpecs(config.transformer), reader, folder);
      return new ShowoModel(config.transformer, parameters, imageTokenizer);
    } catch (error) {
      imageTokenizer.dispose();
      throw error;
    } finally {
      await reader.close();
    }
  }

  /** Saves as {@link ShowoModel.fromPretrained} reads; `config.json` last, so that a half-written folder is not a checkpoint. */
  async savePretrained(folder: string, { dtype = 'BF16', shardBytes }: SaveOptions = {}): Promise<void> {
    mkdirSync(folder, { recursive: true });
    await writeSafetensors(path.join(folder, 'tokenizer.safetensors'), this.imageTokenizer.parameters.writable(dtype));
    await writeSafetensors(path.join(folder, 'model.safetensors'), this.parameters.writable(dtype), { shardBytes });
    const file: ShowoFile = { model_type: 'showo', transformer: this.config, tokenizer: this.imageTokenizer.config };
    await writeFileAtomic(path.join(folder, 'config.json'), `${JSON.stringify(file, null, 2)}\n`);
  }

  /** {@link ShowoModel.savePretrained} in one file. */
  save(folder: string, dtype: 'F32' | 'BF16' = 'BF16'): Promise<void> {
    return this.savePretrained(folder, { dtype });
  }

  /**
   * Hidden states `[batch, tokens, hidden]` of rows of one length.
   * @param positions where each token stands, row by row; default: 0, 1, 2 ...
   */
  hidden(
    rows: readonly ArrayLike<number>[],
    masks: readonly Uint8Array[],
    parameters = this.parameters,
    extra = this.extra,
    positions?: readonly ArrayLike<number>[],
  ): tf.Tensor3D {
    const tokens = rows[0].length;
    return tf.tidy(() => {
      const ids = tf.tensor2d(Int32Array.from(rows.flatMap((row) => Array.from(row))), [rows.length, tokens], 'int32');
      return showoHidden(parameters, this.config, ids, additiveMask(masks, tokens), extra, positions);
    });
  }

  /**
   * Guided logits over the image codes, `[images * codes, codebook]`: (1 + w) conditional - w unconditional
   * (Show-o's convention; w = 0 gives the conditional ones).
   * @param rows conditional sequences; `unconditional` the same with the condition dropped
   */
  imageLogits(
    rows: readonly ArrayLike<number>[],
    unconditional: readonly ArrayLike<number>[],
    w: number,
    parameters = this.parameters,
    extra = this.extra,
  ): tf.Tensor2D {
    return tf.tidy(() => {
      const all = w > 0 ? [...rows, ...unconditional] : [...rows];
      const hidden = this.hidden(all, all.map((row) => textToImageMask(row, this.vocabulary)), parameters, extra); // prettier-ignore
      const count = this.config.num_vq_tokens;
      const inside = tf.slice(hidden, [0, imageStart(this.config), 0], [-1, count, -1]);
      const flat = tf.reshape<tf.Rank.R2>(inside, [-1, this.config.hidden_size]);
      const logits = showoLogitsRange(parameters, flat, this.vocabulary.imageOffset, this.config.codebook_size);
      if (!(w > 0)) return logits;
      const half = rows.length * count;
      const [conditional, dropped] = [tf.slice(logits, [0, 0], [half, -1]), tf.slice(logits, [half, 0], [half, -1])];
      return tf.sub<tf.Tensor2D>(tf.mul(conditional, 1 + w), tf.mul(dropped, w));
    });
  }

  dispose(): void {
    this.parameters.dispose();
    this.imageTokenizer.dispose();
  }
}
