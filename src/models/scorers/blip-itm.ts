/**
 * BLIP as a judge of images with texts (Li et al. 2022; `BlipForImageTextRetrieval`): matching (ITM, the text encoder
 * looks at the image and says match or not) and contrast (ITC, a cosine of two vectors). Hugging Face parameter
 * names. Frozen.
 */
import { type Rng, tf } from '../../engine';
import { declareLinear, namedLinear } from '../../nn/encoder';
import { type ParameterSpec, Parameters } from '../../nn/parameters';
import { ConfigFields } from './bert/fields';
import { freeze, loadFrozen } from './bert/load';
import { checkRows, paddingMask, tableTensor, type TokenRows } from './bert/rows';
import { type BlipConfig, readBlipConfig } from './blip/config';
import { blipText, declareBlipText, imageKeys } from './blip/text';
import { unitVectors } from './blip/unit-vectors';
import { blipVision, type BlipVisionOutput, declareBlipVision } from './blip/vision';

const ENCODER = 'text_encoder';

export class BlipMatcher {
  readonly name = 'blip';

  private constructor(
    readonly config: BlipConfig,
    readonly parameters: Parameters,
  ) {}

  /** One with random weights. */
  static random(config: BlipConfig, rng: Rng): BlipMatcher {
    return new BlipMatcher(config, freeze(Parameters.random(blipMatcherSpecs(config), rng)));
  }

  /**
   * Loads `config.json` and the weights of a folder.
   * @throws ExpertConfigError, SafetensorsError or CheckpointMismatchError saying all that is wrong
   */
  static async fromPretrained(folder: string): Promise<BlipMatcher> {
    const config = readBlipConfig(await ConfigFields.read(folder));
    return new BlipMatcher(config, await loadFrozen(folder, blipMatcherSpecs(config)));
  }

  /** Side of the images in pixels. */
  get imageSize(): number {
    return this.config.vision.image_size;
  }

  /** Longest text in tokens. */
  get longestText(): number {
    return this.config.text.max_position_embeddings;
  }

  /** What the vision tower sees, see {@link blipVision}; the caller disposes it. */
  vision(pixels: tf.Tensor4D): BlipVisionOutput {
    return blipVision(this.parameters, this.config.vision, pixels);
  }

  /**
   * Token vectors of texts, both ways attentive, `[batch, tokens, hidden]`; the caller disposes them.
   * @param seen image tokens that cross attention looks at, one image a text; without them there is none
   * @throws RangeError for rows that do not fit
   */
  textHidden(rows: TokenRows, seen?: tf.Tensor3D): tf.Tensor3D {
    const { parameters: p } = this;
    const { text } = this.config;
    const limits = { model: 'blip', vocabulary: text.vocab_size, positions: text.max_position_embeddings };
    const [batch] = checkRows(rows, limits);
    if (seen && seen.shape[0] !== batch)
      throw new RangeError(`blip: there are ${seen.shape[0]} images and ${batch} texts`);
    return tf.tidy(() => {
      const image = seen && imageKeys(p, ENCODER, text, seen);
      return blipText(p, ENCODER, text, { ids: tableTensor(rows.ids), mask: paddingMask(rows.mask), image }).hidden;
    });
  }

  /**
   * Whether image i goes with text i: logits `[batch, 2]`, column 1 says match; the caller disposes them.
   * @param pixels `[batch, size, size, 3]`
   */
  matchLogits(pixels: tf.Tensor4D, rows: TokenRows): tf.Tensor2D {
    return tf.tidy(() => {
      const hidden = this.textHidden(rows, this.vision(pixels).lastHiddenState);
      return namedLinear(this.parameters, 'itm_head', firstToken(hidden)) as tf.Tensor2D;
    });
  }

  /** Images as unit vectors `[batch, image_text_hidden_size]`; the caller disposes them. */
  imageFeatures(pixels: tf.Tensor4D): tf.Tensor2D {
    return tf.tidy(() =>
      unitVectors(namedLinear(this.parameters, 'vision_proj', firstToken(this.vision(pixels).lastHiddenState))),
    );
  }

  /** Texts as unit vectors `[batch, image_text_hidden_size]`; the caller disposes them. */
  textFeatures(rows: TokenRows): tf.Tensor2D {
    return tf.tidy(() => unitVectors(namedLinear(this.parameters, 'text_proj', firstToken(this.textHidden(rows)))));
  }

  /** Cosine of every image with every text, `[images, texts]`, no temperature; the caller disposes it. */
  similarity(pixels: tf.Tensor4D, rows: TokenRows): tf.Tensor2D {
    return tf.tidy(() => tf.matMul(this.imageFeatures(pixels), this.textFeatures(rows), false, true));
  }

  dispose(): void {
    this.parameters.dispose();
  }
}

/** Every parameter under its upstream name. */
export function blipMatcherSpecs(config: BlipConfig): Record<string, ParameterSpec> {
  const specs: Record<string, ParameterSpec> = {};
  declareBlipVision(specs, config.vision);
  declareBlipText(specs, ENCODER, config.text);
  declareLinear(specs, 'vision_proj', config.vision.hidden_size, config.image_text_hidden_size);
  declareLinear(specs, 'text_proj', config.text.hidden_size, config.image_text_hidden_size);
  declareLinear(specs, 'itm_head', config.text.hidden_size, 2);
  return specs;
}

function firstToken(hidden: tf.Tensor3D): tf.Tensor2D {
  return tf.squeeze<tf.Tensor2D>(tf.slice(hidden, [0, 0, 0], [-1, 1, -1]), [1]);
}
