/**
 * CLIP (Radford et al. 2021): texts and images as vectors of one space. It is the judge behind CLIP-I and CLIP-T, and
 * with other weights PickScore (Kirstain et al. 2023). Frozen: gradients leave its weights alone.
 */
import { readValues, type Rng, tf } from '../../engine';
import { ImageProcessor, type Image } from '../../io';
import type { ParamStore } from '../../nn/store';
import { l2Normalize } from '../../nn/vqgan-codebook';
import { ClipTokenizer } from '../../text/clip-bpe';
import { type FrozenNetwork, loadFrozen, randomFrozen } from './bert/load';
import { padRows, type TokenRows } from './bert/rows';
import { type ClipConfig, clipConfigFromUpstream } from './clip/config';
import { ClipNetwork, type TowerOutput } from './clip/towers';
import { embedInBatches } from './vision/batches';
import { readConfigJson } from './vision/config';

export { type ClipConfig, clipConfigFromUpstream } from './clip/config';

/** Upstream's image processor for this model. */
const PROCESSOR = 'CLIPImageProcessor';

/** What reads images and texts for the towers. */
export interface ClipReaders {
  /** Default: upstream's defaults, 224 x 224. */
  readonly processor?: ImageProcessor;
  /** Default: none; then texts must come as token numbers. */
  readonly tokenizer?: ClipTokenizer;
}

export class Clip {
  readonly processor: ImageProcessor;
  readonly parameters: ParamStore;
  private readonly net: ClipNetwork;
  private readonly tokenizer?: ClipTokenizer;

  private constructor(
    readonly config: ClipConfig,
    { net, parameters }: FrozenNetwork<ClipNetwork>,
    readers: ClipReaders,
  ) {
    this.net = net;
    this.parameters = parameters;
    this.processor = readers.processor ?? ImageProcessor.fromUpstream({}, PROCESSOR, PROCESSOR);
    this.tokenizer = readers.tokenizer;
  }

  /** A frozen one with random weights. */
  static random(config: ClipConfig, rng: Rng, readers: ClipReaders = {}): Clip {
    checkVocabulary(config, readers.tokenizer);
    return new Clip(config, randomFrozen(new ClipNetwork(config), rng), readers);
  }

  /**
   * Loads a folder: `config.json`, `model.safetensors` (or shards and index); `preprocessor_config.json` and the
   * vocabulary where they are there.
   * @param tokenizer used in place of the folder's
   * @throws ScorerConfigError, CheckpointMismatchError, ProcessorConfigError or SafetensorsError saying what does not fit
   */
  static async fromPretrained(folder: string, tokenizer?: ClipTokenizer): Promise<Clip> {
    const { json, file } = await readConfigJson(folder);
    const config = clipConfigFromUpstream(json, file);
    const readers = {
      processor: await ImageProcessor.fromPretrained(folder, PROCESSOR),
      tokenizer: tokenizer ?? (await ClipTokenizer.find(folder)),
    };
    checkVocabulary(config, readers.tokenizer);
    return new Clip(config, await loadFrozen(folder, new ClipNetwork(config)), readers);
  }

  /** Length of a vector. */
  get size(): number {
    return this.config.projection;
  }

  /** The learned factor on cosines, exp(logit_scale): 100 in OpenAI's. */
  get scale(): number {
    return readValues(() => tf.exp(this.net.logit_scale.value))[0];
  }

  /**
   * The text tower. @param rows token numbers with begin and end, padded behind; padding after the end changes no feature
   * @throws RangeError for rows that do not fit, or that hold no end token
   */
  text(rows: TokenRows): TowerOutput {
    return this.net.text_model.forward(rows);
  }

  /**
   * The vision tower.
   * @param pixels `[batch, height, width, channels]`, as the processor makes them
   * @param options.interpolatePositions stretches the positions to images of another size; default false
   * @throws RangeError for pixels of another shape, or of another size unless positions are interpolated
   */
  vision(pixels: tf.Tensor4D, options: { readonly interpolatePositions?: boolean } = {}): TowerOutput {
    return this.net.vision_model.forward(pixels, options.interpolatePositions ?? false);
  }

  /** Texts in the shared space, not normalized, `[batch, size]`. @throws RangeError as {@link Clip.text} */
  textFeatures(rows: TokenRows): tf.Tensor2D {
    return tf.tidy(() => this.net.text_projection.forward(this.text(rows).poolerOutput));
  }

  /** Images in the shared space, not normalized, `[batch, size]`. @throws RangeError as {@link Clip.vision} */
  imageFeatures(pixels: tf.Tensor4D): tf.Tensor2D {
    return tf.tidy(() => this.net.visual_projection.forward(this.vision(pixels).poolerOutput));
  }

  /** {@link Clip.textFeatures} of length 1. */
  textEmbeds(rows: TokenRows): tf.Tensor2D {
    return tf.tidy(() => l2Normalize(this.textFeatures(rows)));
  }

  /** {@link Clip.imageFeatures} of length 1. */
  imageEmbeds(pixels: tf.Tensor4D): tf.Tensor2D {
    return tf.tidy(() => l2Normalize(this.imageFeatures(pixels)));
  }

  /** exp(logit_scale) times the cosine of every image with every text, `[images, texts]`. */
  logitsPerImage(imageEmbeds: tf.Tensor2D, textEmbeds: tf.Tensor2D): tf.Tensor2D {
    return tf.tidy(() => tf.mul(tf.matMul(imageEmbeds, textEmbeds, false, true), tf.exp(this.net.logit_scale.value)));
  }

  /**
   * The unit vector of each text; `batch` (default 32) at a time. What is longer than the tower reads is cut.
   * @throws Error when there is no tokenizer
   */
  async embedTexts(texts: readonly string[], batch = 32): Promise<Float32Array[]> {
    const { tokenizer } = this;
    if (!tokenizer) {
      throw new Error(
        'this CLIP has no vocabulary: put tokenizer.json or bpe_simple_vocab_16e6.txt.gz into its folder, or give fromPretrained a ClipTokenizer',
      );
    }
    const rows = texts.map((text) => tokenizer.context(text, this.config.text.positions).ids);
    return embedInBatches(rows, batch, (part) => this.textEmbeds({ ids: padRows(part, tokenizer.end).ids }));
  }

  /** The unit vector of each image, of any size; `batch` (default 16) at a time. @throws RangeError for a broken image */
  embedImages(images: readonly Image[], batch = 16): Promise<Float32Array[]> {
    return embedInBatches(images, batch, (part) => tf.tidy(() => this.imageEmbeds(this.processor.process(part))));
  }

  dispose(): void {
    this.parameters.dispose();
  }
}

/** Said before any weight is held. @throws RangeError for a vocabulary that the text tower has no rows for */
function checkVocabulary({ text }: ClipConfig, tokenizer?: ClipTokenizer): void {
  if (tokenizer && tokenizer.vocabularySize > text.vocabulary)
    throw new RangeError(`the tokenizer has ${tokenizer.vocabularySize} tokens, this CLIP knows ${text.vocabulary}`);
}
