/**
 * BLIP-2 as a judge of images with texts (Li et al. 2023; `Blip2ForImageTextRetrieval`): matching (ITM) and contrast
 * (ITC), the "BLIP evaluation" of UniCTokens-R1. Hugging Face parameter names. Frozen.
 */
import { type Rng, tf } from '../../engine';
import { Embedding, Linear } from '../../nn/layers';
import { Module, Parameter } from '../../nn/module';
import type { ParamStore } from '../../nn/store';
import { l2Normalize } from '../../nn/vqgan-codebook';
import { ConfigFields } from './bert/fields';
import { type FrozenNetwork, loadFrozen, randomFrozen } from './bert/load';
import { firstToken } from './bert/network';
import { checkRows, paddingMask, tableTensor, type TokenRows } from './bert/rows';
import { type BlipVisionConfig, type BlipVisionOutput, BlipVisionTower, readBlipVisionConfig } from './blip/vision';
import { QFormer, QFORMER_BASE, type QFormerConfig, readQFormerConfig } from './qformer';

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

/** The whole network under upstream's names. */
export class Blip2MatchNetwork extends Module<Blip2Config> {
  private readonly hidden = this.config.qformer.hidden_size;
  readonly vision_model = new BlipVisionTower(this.config.vision);
  readonly query_tokens = new Parameter<tf.Tensor3D>([1, this.config.num_query_tokens, this.hidden], { normal: 0.02 });
  readonly embeddings = {
    word_embeddings: new Embedding(this.config.qformer.vocab_size, this.hidden),
    position_embeddings: new Embedding(this.config.qformer.max_position_embeddings, this.hidden),
  };
  readonly qformer = new QFormer(this.config.qformer);
  readonly vision_projection = new Linear(this.hidden, this.config.image_text_hidden_size);
  readonly text_projection = new Linear(this.hidden, this.config.image_text_hidden_size);
  readonly itm_head = new Linear(this.hidden, 2);
}

export class Blip2Matcher {
  readonly name = 'blip2';

  readonly config: Blip2Config;
  readonly parameters: ParamStore;
  private readonly net: Blip2MatchNetwork;

  private constructor({ net, parameters }: FrozenNetwork<Blip2MatchNetwork>) {
    this.config = net.config;
    this.net = net;
    this.parameters = parameters;
  }

  /** One with random weights. */
  static random(config: Blip2Config, rng: Rng): Blip2Matcher {
    return new Blip2Matcher(randomFrozen(new Blip2MatchNetwork(config), rng));
  }

  /**
   * Loads `config.json` and the weights of a folder.
   * @throws ScorerConfigError, SafetensorsError or CheckpointMismatchError saying all that is wrong
   */
  static async fromPretrained(folder: string): Promise<Blip2Matcher> {
    const config = readBlip2Config(await ConfigFields.read(folder));
    return new Blip2Matcher(await loadFrozen(folder, new Blip2MatchNetwork(config)));
  }

  /** Side of the images in pixels. */
  get imageSize(): number {
    return this.config.vision.image_size;
  }

  /** Longest text in tokens. */
  get longestText(): number {
    return this.config.qformer.max_position_embeddings;
  }

  /** What the vision tower sees, see {@link BlipVisionTower}; the caller disposes it. */
  vision(pixels: tf.Tensor4D): BlipVisionOutput {
    return this.net.vision_model.forward(pixels);
  }

  /** What the queries found in images, `[batch, queries, hidden]`; the caller disposes it. @param seen image tokens */
  imageHidden(seen: tf.Tensor3D): tf.Tensor3D {
    const { num_query_tokens: queries } = this.config;
    return tf.tidy(() =>
      this.net.qformer.forward({
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
      this.net.qformer.forward({
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
      const hidden = this.net.qformer.forward({
        embedded: tf.concat([this.queries(batch), this.words(rows)], 1),
        queries,
        image: this.vision(pixels).lastHiddenState,
        mask: mask ?? null,
      });
      const each = this.net.itm_head.forward(tf.slice(hidden, [0, 0, 0], [-1, queries, -1]));
      return tf.mean<tf.Tensor2D>(each, 1);
    });
  }

  /** Images as unit vectors, one a query: `[batch, queries, image_text_hidden_size]`; the caller disposes them. */
  imageFeatures(pixels: tf.Tensor4D): tf.Tensor3D {
    return tf.tidy(() => {
      const found = this.imageHidden(this.vision(pixels).lastHiddenState);
      return l2Normalize(this.net.vision_projection.forward(found));
    });
  }

  /** Texts as unit vectors, of their first token: `[batch, image_text_hidden_size]`; the caller disposes them. */
  textFeatures(rows: TokenRows): tf.Tensor2D {
    return tf.tidy(() => {
      const first = firstToken(this.textHidden(rows));
      return l2Normalize(this.net.text_projection.forward(first));
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
    return tf.tile(this.net.query_tokens.value, [batch, 1, 1]);
  }

  private words({ ids }: TokenRows): tf.Tensor3D {
    const { word_embeddings, position_embeddings } = this.net.embeddings;
    const places = tf.slice(position_embeddings.weight.value, [0, 0], [ids[0].length, -1]);
    return tf.add(word_embeddings.forward(tableTensor(ids)), places);
  }

  private check(rows: TokenRows): [number, number] {
    const { vocab_size: vocabulary, max_position_embeddings: positions } = this.config.qformer;
    return checkRows(rows, { model: 'blip2', vocabulary, positions });
  }
}

/** Reads a published `config.json`. @throws ScorerConfigError naming the file and every field that is wrong */
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
