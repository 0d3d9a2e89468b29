/**
 * BLIP-2 as a judge of images with texts (Li et al. 2023; `Blip2ForImageTextRetrieval`): matching (ITM) and contrast
 * (ITC), the "BLIP evaluation" of UniCTokens-R1. Hugging Face parameter names. Frozen.
 */
import { embedding, type Rng, tf } from '../../engine';
import { declareLinear, namedLinear } from '../../nn/encoder';
import { type ParameterSpec, Parameters } from '../../nn/parameters';
import { ConfigFields } from './bert/fields';
import { freeze, loadFrozen } from './bert/load';
import { checkRows, paddingMask, tableTensor, type TokenRows } from './bert/rows';
import { unitVectors } from './blip/unit-vectors';
import {
  blipVision,
  type BlipVisionConfig,
  type BlipVisionOutput,
  declareBlipVision,
  readBlipVisionConfig,
} from './blip/vision';
import { declareQFormer, qformer, QFORMER_BASE, type QFormerConfig, readQFormerConfig } from './qformer';

export interface Blip2Config {
  readonly vision: BlipVisionConfig;
  readonly qformer: QFormerConfig;
  /** Learned queries that look at an image. */
  readonly num_query_tokens: number;
  /** Size of the common space of images and texts. */
  readonly image_text_hidden_size: number;
}

/** The configuration of Salesforce/blip2-itm-vit-g: EVA-CLIP's ViT-g without its last layer. */
export const BLIP2_VIT_G: Blip2Config = {
  vision: {
    hidden_size: 1408,
    num_hidden_layers: 39,
    num_attention_heads: 16,
    intermediate_size: 6144,
    hidden_act: 'gelu',
    layer_norm_eps: 1e-6,
    image_size: 224,
    patch_size: 14,
    qkv_bias: true,
  },
  qformer: QFORMER_BASE,
  num_query_tokens: 32,
  image_text_hidden_size: 256,
};

export class Blip2Matcher {
  readonly name = 'blip2';

  private constructor(
    readonly config: Blip2Config,
    readonly parameters: Parameters,
  ) {}

  /** One with random weights. */
  static random(config: Blip2Config, rng: Rng): Blip2Matcher {
    return new Blip2Matcher(config, freeze(Parameters.random(blip2MatcherSpecs(config), rng)));
  }

  /**
   * Loads `config.json` and the weights of a folder.
   * @throws ExpertConfigError, SafetensorsError or CheckpointMismatchError saying all that is wrong
   */
  static async fromPretrained(folder: string): Promise<Blip2Matcher> {
    const config = readBlip2Config(await ConfigFields.read(folder));
    return new Blip2Matcher(config, await loadFrozen(folder, blip2MatcherSpecs(config)));
  }

  /** Side of the images in pixels. */
  get imageSize(): number {
    return this.config.vision.image_size;
  }

  /** Longest text in tokens. */
  get longestText(): number {
    return this.config.qformer.max_position_embeddings;
  }

  /** What the vision tower sees, see {@link blipVision}; the caller disposes it. */
  vision(pixels: tf.Tensor4D): BlipVisionOutput {
    return blipVision(this.parameters, this.config.vision, pixels);
  }

  /** What the queries found in images, `[batch, queries, hidden]`; the caller disposes it. @param seen image tokens */
  imageHidden(seen: tf.Tensor3D): tf.Tensor3D {
    const { num_query_tokens: queries } = this.config;
    return tf.tidy(() =>
      qformer(this.parameters, this.config.qformer, {
        embedded: this.queries(seen.shape[0]),
        queries,
        image: seen,
        mask: null,
      }),
    );
  }

  /** Token vectors of texts without an image, `[batch, tokens, hidden]`; the caller disposes them. */
  textHidden(rows: TokenRows): tf.Tensor3D {
    this.check(rows);
    return tf.tidy(() =>
      qformer(this.parameters, this.config.qformer, {
        embedded: this.words(rows),
        queries: 0,
        mask: paddingMask(rows.mask),
      }),
    );
  }

  /**
   * Whether image i goes with text i: logits `[batch, 2]`, column 1 says match, the mean over the queries; the caller
   * disposes them.
   * @param pixels `[batch, size, size, 3]`
   * @throws RangeError when images and rows do not fit
   */
  matchLogits(pixels: tf.Tensor4D, rows: TokenRows): tf.Tensor2D {
    const [batch] = this.check(rows);
    const { num_query_tokens: queries } = this.config;
    if (pixels.shape[0] !== batch)
      throw new RangeError(`blip2: there are ${pixels.shape[0]} images and ${batch} texts`);
    return tf.tidy(() => {
      const always = new Array<number>(queries).fill(1);
      const mask = rows.mask && paddingMask(rows.mask.map((row) => [...always, ...Array.from(row)]));
      const hidden = qformer(this.parameters, this.config.qformer, {
        embedded: tf.concat([this.queries(batch), this.words(rows)], 1),
        queries,
        image: this.vision(pixels).lastHiddenState,
        mask: mask ?? null,
      });
      const each = namedLinear(this.parameters, 'itm_head', tf.slice(hidden, [0, 0, 0], [-1, queries, -1]));
      return tf.mean<tf.Tensor2D>(each, 1);
    });
  }

  /** Images as unit vectors, one a query: `[batch, queries, image_text_hidden_size]`; the caller disposes them. */
  imageFeatures(pixels: tf.Tensor4D): tf.Tensor3D {
    return tf.tidy(() => {
      const found = this.imageHidden(this.vision(pixels).lastHiddenState);
      return unitVectors<tf.Tensor3D>(namedLinear(this.parameters, 'vision_projection', found));
    });
  }

  /** Texts as unit vectors, of their first token: `[batch, image_text_hidden_size]`; the caller disposes them. */
  textFeatures(rows: TokenRows): tf.Tensor2D {
    return tf.tidy(() => {
      const first = tf.squeeze(tf.slice(this.textHidden(rows), [0, 0, 0], [-1, 1, -1]), [1]);
      return unitVectors<tf.Tensor2D>(namedLinear(this.parameters, 'text_projection', first));
    });
  }

  /** The best query's cosine of every image with every text, `[images, texts]`; the caller disposes it. */
  similarity(pixels: tf.Tensor4D, rows: TokenRows): tf.Tensor2D {
    return tf.tidy(() => {
      const images = this.imageFeatures(pixels);
      const [batch, queries, size] = images.shape;
      const flat = tf.reshape<tf.Rank.R2>(images, [batch * queries, size]);
      const all = tf.matMul(flat, this.textFeatures(rows), false, true);
      return tf.max<tf.Tensor2D>(tf.reshape(all, [batch, queries, -1]), 1);
    });
  }

  dispose(): void {
    this.parameters.dispose();
  }

  private queries(batch: number): tf.Tensor3D {
    return tf.tile<tf.Tensor3D>(this.parameters.get('query_tokens') as tf.Tensor<tf.Rank.R3>, [batch, 1, 1]);
  }

  private words({ ids }: TokenRows): tf.Tensor3D {
    const table = this.parameters.get('embeddings.position_embeddings.weight') as tf.Tensor2D;
    const words = embedding(this.parameters.get('embeddings.word_embeddings.weight'), tableTensor(ids));
    return tf.add<tf.Tensor3D>(words, tf.slice(table, [0, 0], [ids[0].length, -1]));
  }

  private check(rows: TokenRows): [number, number] {
    const { vocab_size: vocabulary, max_position_embeddings: positions } = this.config.qformer;
    return checkRows(rows, { model: 'blip2', vocabulary, positions });
  }
}

/** Reads a published `config.json`. @throws ExpertConfigError naming the file and every field that is wrong */
export function readBlip2Config(fields: ConfigFields): Blip2Config {
  const type = fields.text('model_type') ?? 'blip-2';
  if (type !== 'blip-2') fields.fault(`model_type is "${type}", expected "blip-2"`);
  const vision = readBlipVisionConfig(fields.inner('vision_config'), BLIP2_VIT_G.vision);
  const former = fields.inner('qformer_config');
  former.only('use_qformer_text_input', true, 'reads texts');
  const config: Blip2Config = {
    vision,
    qformer: readQFormerConfig(former, vision.hidden_size),
    num_query_tokens: fields.size('num_query_tokens', BLIP2_VIT_G.num_query_tokens),
    image_text_hidden_size: fields.size('image_text_hidden_size', BLIP2_VIT_G.image_text_hidden_size),
  };
  fields.check();
  return config;
}

/** Every parameter under its upstream name. */
export function blip2MatcherSpecs(config: Blip2Config): Record<string, ParameterSpec> {
  const specs: Record<string, ParameterSpec> = {};
  const { qformer: former, num_query_tokens: queries, image_text_hidden_size: size } = config;
  const { hidden_size: hidden } = former;
  declareBlipVision(specs, config.vision);
  specs.query_tokens = { shape: [1, queries, hidden], init: { normal: 0.02 } };
  specs['embeddings.word_embeddings.weight'] = { shape: [former.vocab_size, hidden], init: { normal: 0.02 } };
  specs['embeddings.position_embeddings.weight'] = {
    shape: [former.max_position_embeddings, hidden],
    init: { normal: 0.02 },
  };
  declareQFormer(specs, former);
  declareLinear(specs, 'vision_projection', hidden, size);
  declareLinear(specs, 'text_projection', hidden, size);
  declareLinear(specs, 'itm_head', hidden, 2);
  return specs;
}
