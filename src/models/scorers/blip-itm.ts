/**
 * BLIP as a judge of images with texts (Li et al. 2022; `BlipForImageTextRetrieval`): matching (ITM, the text encoder
 * looks at the image and says match or not) and contrast (ITC, a cosine of two vectors). Hugging Face parameter
 * names. Frozen.
 */
import { type Rng, tf } from '../../engine';
import { Linear } from '../../nn/layers';
import { Module } from '../../nn/module';
import type { ParamStore } from '../../nn/store';
import { l2Normalize } from '../../nn/vqgan-codebook';
import { ConfigFields } from './bert/fields';
import { type FrozenNetwork, loadFrozen, randomFrozen } from './bert/load';
import { firstToken } from './bert/network';
import { checkRows, paddingMask, tableTensor, type TokenRows } from './bert/rows';
import { type BlipConfig, readBlipConfig } from './blip/config';
import { BlipTextModel } from './blip/text';
import { type BlipVisionOutput, BlipVisionTower } from './blip/vision';

/** The whole network under upstream's names. */
export class BlipMatchNetwork extends Module<BlipConfig> {
  readonly vision_model = new BlipVisionTower(this.config.vision);
  readonly text_encoder = new BlipTextModel(this.config.text);
  readonly vision_proj = new Linear(this.config.vision.hidden_size, this.config.image_text_hidden_size);
  readonly text_proj = new Linear(this.config.text.hidden_size, this.config.image_text_hidden_size);
  readonly itm_head = new Linear(this.config.text.hidden_size, 2);
}

export class BlipMatcher {
  readonly name = 'blip';

  readonly config: BlipConfig;
  readonly parameters: ParamStore;
  private readonly net: BlipMatchNetwork;

  private constructor({ net, parameters }: FrozenNetwork<BlipMatchNetwork>) {
    this.config = net.config;
    this.net = net;
    this.parameters = parameters;
  }

  /** One with random weights. */
  static random(config: BlipConfig, rng: Rng): BlipMatcher {
    return new BlipMatcher(randomFrozen(new BlipMatchNetwork(config), rng));
  }

  /**
   * Loads `config.json` and the weights of a folder.
   * @throws ScorerConfigError, SafetensorsError or CheckpointMismatchError saying all that is wrong
   */
  static async fromPretrained(folder: string): Promise<BlipMatcher> {
    const config = readBlipConfig(await ConfigFields.read(folder));
    return new BlipMatcher(await loadFrozen(folder, new BlipMatchNetwork(config)));
  }

  /** Side of the images in pixels. */
  get imageSize(): number {
    return this.config.vision.image_size;
  }

  /** Longest text in tokens. */
  get longestText(): number {
    return this.config.text.max_position_embeddings;
  }

  /** What the vision tower sees, see {@link BlipVisionTower}; the caller disposes it. */
  vision(pixels: tf.Tensor4D): BlipVisionOutput {
    return this.net.vision_model.forward(pixels);
  }

  /**
   * Token vectors of texts, both ways attentive, `[batch, tokens, hidden]`; the caller disposes them.
   * @param seen image tokens that cross attention looks at, one image a text; without them there is none
   * @throws RangeError for rows that do not fit
   */
  textHidden(rows: TokenRows, seen?: tf.Tensor3D): tf.Tensor3D {
    const { text_encoder } = this.net;
    const { text } = this.config;
    const limits = { model: 'blip', vocabulary: text.vocab_size, positions: text.max_position_embeddings };
    const [batch] = checkRows(rows, limits);
    if (seen && seen.shape[0] !== batch)
      throw new RangeError(`blip: there are ${seen.shape[0]} images and ${batch} texts`);
    return tf.tidy(() => {
      const image = seen && text_encoder.imageKeys(seen);
      return text_encoder.forward({ ids: tableTensor(rows.ids), mask: paddingMask(rows.mask), image }).hidden;
    });
  }

  /**
   * Whether image i goes with text i: logits `[batch, 2]`, column 1 says match; the caller disposes them.
   * @param pixels `[batch, size, size, 3]`
   */
  matchLogits(pixels: tf.Tensor4D, rows: TokenRows): tf.Tensor2D {
    return tf.tidy(() => {
      const hidden = this.textHidden(rows, this.vision(pixels).lastHiddenState);
      return this.net.itm_head.forward(firstToken(hidden));
    });
  }

  /** Images as unit vectors `[batch, image_text_hidden_size]`; the caller disposes them. */
  imageFeatures(pixels: tf.Tensor4D): tf.Tensor2D {
    return tf.tidy(() => l2Normalize(this.net.vision_proj.forward(firstToken(this.vision(pixels).lastHiddenState))));
  }

  /** Texts as unit vectors `[batch, image_text_hidden_size]`; the caller disposes them. */
  textFeatures(rows: TokenRows): tf.Tensor2D {
    return tf.tidy(() => l2Normalize(this.net.text_proj.forward(firstToken(this.textHidden(rows)))));
  }

  /** Cosine of every image with every text, `[images, texts]`, no temperature; the caller disposes it. */
  similarity(pixels: tf.Tensor4D, rows: TokenRows): tf.Tensor2D {
    return tf.tidy(() => tf.matMul(this.imageFeatures(pixels), this.textFeatures(rows), false, true));
  }

  dispose(): void {
    this.parameters.dispose();
  }
}
