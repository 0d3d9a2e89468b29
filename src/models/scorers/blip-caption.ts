/**
 * BLIP's captioner (Li et al. 2022; `BlipForConditionalGeneration`): an image in, a sentence about it out. CoRL's cycle
 * reward reads generated images with it. Hugging Face parameter names. Frozen.
 */
import { crossEntropy, logSoftmax, type Rng, tf } from '../../engine';
import { openSafetensors } from '../../io';
import { Module } from '../../nn/module';
import { ParamStore } from '../../nn/store';
import { ConfigFields } from './bert/fields';
import { frozen, type FrozenNetwork, isPositionIds, randomFrozen } from './bert/load';
import { bothMasks, causalPart, checkRows, checkTable, paddingMask, tableTensor, type TokenRows } from './bert/rows';
import { type BlipConfig, readBlipConfig } from './blip/config';
import { type CaptionDecoder, decode, type DecodingOptions } from './blip/decoding';
import { HEAD_BIAS, OWN_PROJECTION, projectionIsTied, SECOND_BIAS, unusedBias, WordHead } from './blip/head';
import { BlipTextModel } from './blip/text';
import { type BlipVisionOutput, BlipVisionTower } from './blip/vision';

export { BLIP_BASE, type BlipConfig } from './blip/config';
export type { BlipVisionOutput } from './blip/vision';

export interface CaptionOptions extends DecodingOptions {
  /**
   * What every caption starts with, one row an image, as the tokenizer gives it: its first token is replaced by bos
   * and its last one (sep) dropped. Default: bos alone.
   */
  readonly prompt?: TokenRows;
}

/** The whole network under upstream's names. */
export class BlipCaptionNetwork extends Module<BlipConfig> {
  readonly vision_model = new BlipVisionTower(this.config.vision);
  readonly text_decoder: CaptionDecoder;

  /** @param tied whether the words' table is the output projection */
  constructor(config: BlipConfig, tied = config.tie_word_embeddings) {
    super(config);
    const bert = new BlipTextModel(config.text);
    const table = bert.embeddings.word_embeddings;
    this.text_decoder = { bert, cls: { predictions: new WordHead(config.text, tied ? table : undefined) } };
  }
}

export class BlipCaptioner {
  readonly config: BlipConfig;
  readonly parameters: ParamStore;
  private readonly net: BlipCaptionNetwork;

  private constructor({ net, parameters }: FrozenNetwork<BlipCaptionNetwork>) {
    this.config = net.config;
    this.net = net;
    this.parameters = parameters;
  }

  /** One with random weights. */
  static random(config: BlipConfig, rng: Rng): BlipCaptioner {
    return new BlipCaptioner(randomFrozen(new BlipCaptionNetwork(config), rng));
  }

  /**
   * Loads `config.json` and the weights of a folder.
   * @throws ScorerConfigError, SafetensorsError or CheckpointMismatchError saying all that is wrong
   */
  static async fromPretrained(folder: string): Promise<BlipCaptioner> {
    const config = readBlipConfig(await ConfigFields.read(folder));
    const reader = await openSafetensors(folder);
    try {
      const tied = await projectionIsTied(reader, config.tie_word_embeddings);
      const net = new BlipCaptionNetwork(config, tied);
      const parameters = await ParamStore.read(net, reader, folder, {
        rename: (name) => (name === SECOND_BIAS ? HEAD_BIAS : name),
        ignore: (name) =>
          isPositionIds(name) ||
          (tied && name === OWN_PROJECTION) ||
          name === unusedBias(reader.names, config.tie_word_embeddings),
      });
      return new BlipCaptioner(frozen(net, parameters));
    } finally {
      await reader.close();
    }
  }

  /** What the vision tower sees, see {@link BlipVisionTower}; the caller disposes it. */
  vision(pixels: tf.Tensor4D): BlipVisionOutput {
    return this.net.vision_model.forward(pixels);
  }

  /**
   * Logits of the token after each token of the given captions, `[batch, tokens, vocab]`; the caller disposes them.
   * @param pixels `[batch, size, size, 3]`
   * @throws RangeError when images and rows do not fit
   */
  logits(pixels: tf.Tensor4D, rows: TokenRows): tf.Tensor3D {
    const [, tokens] = this.check(pixels, rows);
    const { bert, cls } = this.net.text_decoder;
    return tf.tidy(() => {
      const { hidden } = bert.forward({
        ids: tableTensor(rows.ids),
        mask: bothMasks(causalPart(tokens), paddingMask(rows.mask)),
        image: bert.imageKeys(this.vision(pixels).lastHiddenState),
      });
      return cls.predictions.forward(hidden);
    });
  }

  /**
   * Mean of -log p of each label given what stands before it, with the configuration's label smoothing.
   * @param labels as the rows of `ids`; -100 takes no part. Default: the ids where the mask shows them
   */
  loss(pixels: tf.Tensor4D, rows: TokenRows, labels?: readonly ArrayLike<number>[]): tf.Scalar {
    const { vocab_size: words, label_smoothing: smoothing } = this.config.text;
    const wanted =
      labels ?? rows.ids.map((row, r) => Array.from(row, (id, i) => (rows.mask?.[r][i] === 0 ? -100 : id)));
    const shape = this.check(pixels, rows);
    checkTable(
      wanted.map((row) => Array.from(row, (id) => (id === -100 ? 0 : id))),
      shape,
      words,
      'blip: label',
    );
    return tf.tidy(() => {
      const [batch, tokens] = shape;
      const before = tf.slice(this.logits(pixels, rows), [0, 0, 0], [batch, tokens - 1, words]);
      const flat = tf.reshape<tf.Rank.R2>(before, [batch * (tokens - 1), words]);
      const next = wanted.flatMap((row) => Array.from(row).slice(1));
      const after = tf.tensor1d(next, 'int32');
      const exact = crossEntropy(flat, after);
      if (smoothing === 0) return exact;
      const counted = tf.cast(tf.notEqual(after, -100), 'float32');
      const spread = tf.div(tf.sum(tf.mul(tf.neg(tf.mean(logSoftmax(flat), 1)), counted)), tf.sum(counted));
      return tf.add<tf.Scalar>(tf.mul(exact, 1 - smoothing), tf.mul(spread, smoothing));
    });
  }

  /**
   * A caption an image.
   * @param pixels `[batch, size, size, 3]`
   * @returns rows of one length: bos, prompt, caption, sep where it ended, then pads. {@link captionTokens} takes the
   *   caption out
   * @throws RangeError for prompts that do not fit, or a length that the model cannot reach
   */
  generate(pixels: tf.Tensor4D, options: CaptionOptions = {}): number[][] {
    const { text } = this.config;
    const [batch] = pixels.shape;
    const { maxLength = Math.min(20, text.max_position_embeddings), temperature = 0, rngs = [] } = options;
    if (!Number.isInteger(maxLength) || maxLength < 1 || maxLength > text.max_position_embeddings)
      throw new RangeError(`captions have 1 to ${text.max_position_embeddings} tokens, not ${maxLength}`);
    if (!(temperature >= 0 && temperature < Infinity))
      throw new RangeError(`the temperature is ${temperature}; it must be a number of at least 0`);
    if (temperature > 0 && rngs.length !== batch)
      throw new RangeError(`captions are drawn with a stream an image: ${batch} are needed, ${rngs.length} given`);
    const { start, shown } = this.startOf(batch, options.prompt);
    if (start[0].length >= maxLength)
      throw new RangeError(`a caption of ${maxLength} tokens has no room behind a start of ${start[0].length}`);
    const { text_decoder: decoder } = this.net;
    const image = tf.tidy(() => decoder.bert.imageKeys(this.vision(pixels).lastHiddenState));
    try {
      return decode(decoder, image, start, shown, { ...options, maxLength });
    } finally {
      for (const { keys, values } of image) tf.dispose([keys, values]);
    }
  }

  /** What a row of {@link BlipCaptioner.generate} says: the tokens between bos and sep, the prompt's included. */
  captionTokens(row: readonly number[]): number[] {
    const end = row.indexOf(this.config.text.sep_token_id, 1);
    return row.slice(1, end < 0 ? row.length : end);
  }

  dispose(): void {
    this.parameters.dispose();
  }

  private startOf(batch: number, prompt: TokenRows | undefined): { start: number[][]; shown: number[][] } {
    const { bos_token_id: bos, pad_token_id: pad } = this.config.text;
    if (!prompt)
      return { start: Array.from({ length: batch }, () => [bos]), shown: Array.from({ length: batch }, () => [1]) };
    const [rows, tokens] = this.checkTokens(prompt);
    if (rows !== batch) throw new RangeError(`there are ${batch} images and ${rows} prompts`);
    if (tokens < 2) throw new RangeError('a prompt has at least two tokens: the first is replaced, the last dropped');
    const start = prompt.ids.map((row) => [bos, ...Array.from(row).slice(1, -1)]);
    // Without a mask, pads are what is not to be seen, as upstream infers.
    const shown = prompt.mask
      ? prompt.mask.map((row) => Array.from(row).slice(0, -1))
      : start.map((row) => row.map((id) => (id === pad ? 0 : 1)));
    return { start, shown };
  }

  private check(pixels: tf.Tensor4D, rows: TokenRows): [number, number] {
    const shape = this.checkTokens(rows);
    if (pixels.shape[0] !== shape[0])
      throw new RangeError(`blip: there are ${pixels.shape[0]} images and ${shape[0]} rows of tokens`);
    return shape;
  }

  private checkTokens(rows: TokenRows): [number, number] {
    const { vocab_size: vocabulary, max_position_embeddings: positions } = this.config.text;
    return checkRows(rows, { model: 'blip', vocabulary, positions });
  }
}
