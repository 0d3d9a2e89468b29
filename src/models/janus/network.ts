/**
 * Janus' network: text, images and codes in, hidden states and logits out. Image codes enter by embeddings and an aligner
 * of their own and leave by a head of their own; samplers, policies and losses share these passes.
 */
import { embedding, inFloat32, type Rng, tf } from '../../engine';
import { activation } from '../../nn/activations';
import { BLOCKED } from '../../nn/causal-mask';
import { declareLinear } from '../../nn/encoder';
import { declareLlama, type LlamaForwardOptions, llamaHidden, llamaLogits } from '../../nn/llama';
import { type ParameterSpec, Parameters } from '../../nn/parameters';
import type { ConceptTokens } from './concept-tokens';
import { checkJanusConfig, type JanusConfig } from './config';
import { declareTokenizer } from './image-tokenizer';
import { imageIds } from './layout';
import { alignFeatures, declareMlp, declareVision, mlp, visionFeatures } from './vision';

const LANGUAGE = 'model.language_model';
const EMBEDDINGS = 'model.generation_embeddings';
const ALIGNER = 'model.generation_aligner';
const HEAD = 'model.generation_head';

/** Every parameter of Janus under its upstream name, the image tokenizer's included. */
export function janusSpecs(config: JanusConfig): Record<string, ParameterSpec> {
  const { text, vq } = config;
  const specs: Record<string, ParameterSpec> = {};
  declareVision(specs, config);
  declareLlama(specs, LANGUAGE, text);
  specs[`${EMBEDDINGS}.weight`] = { shape: [vq.num_embeddings, vq.embed_dim], init: { normal: 1 } };
  declareMlp(specs, ALIGNER, vq.embed_dim, vq.projection_dim, vq.num_hidden_layers);
  declareLinear(specs, `${HEAD}.proj_out`, text.hidden_size, vq.projection_dim);
  declareLinear(specs, `${HEAD}.vision_head`, vq.projection_dim, vq.num_embeddings);
  declareTokenizer(specs, vq);
  return specs;
}

export class JanusNetwork {
  /** A subject's tokens, whose ids follow the vocabulary. */
  concept?: ConceptTokens;

  /** @throws JanusConfigError */
  constructor(
    readonly config: JanusConfig,
    readonly parameters: Parameters,
  ) {
    checkJanusConfig(config);
  }

  /** With random weights. @throws JanusConfigError */
  static random(config: JanusConfig, rng: Rng): JanusNetwork {
    checkJanusConfig(config);
    return new JanusNetwork(config, Parameters.random(janusSpecs(config), rng));
  }

  /**
   * What the language model reads of images, `[images, features, hidden]`.
   * @param pixels `[images, image_size, image_size, 3]` in [-1, 1]
   */
  imageFeatures(pixels: tf.Tensor4D): tf.Tensor3D {
    const { parameters, config } = this;
    return tf.tidy(() => alignFeatures(parameters, config, visionFeatures(parameters, config, pixels)));
  }

  /**
   * Embeddings of rows of ids, with images' features in the places of their placeholders: the first features go to
   * the first placeholder of the first row, and so on.
   * @param rows of one length
   * @param features `[images, features, hidden]` of {@link imageFeatures}; none for text alone
   * @returns `[rows, tokens, hidden]`
   * @throws RangeError for an id outside the vocabulary, or when placeholders and features differ in number
   */
  embed(rows: readonly ArrayLike<number>[], features?: tf.Tensor3D): tf.Tensor3D {
    const { concept } = this;
    const { vocab_size: vocabulary, hidden_size: width } = this.config.text;
    const flat = flatRows(rows, vocabulary + (concept?.count ?? 0), 'token');
    const shape: [number, number] = [rows.length, rows[0].length];
    if (features) this.checkPlaceholders(flat, features);
    return tf.tidy(() => {
      const words = concept ? flat.map((id) => (id < vocabulary ? id : 0)) : flat;
      const table = `${LANGUAGE}.embed_tokens`;
      const text = this.parameters.embedding(table, tf.tensor2d(words, shape, 'int32')) as tf.Tensor3D;
      if (!features && !concept) return text;
      // One look-up in all of them: rows of the text, the features in order, the subject's tokens.
      const parts: tf.Tensor2D[] = [tf.reshape(text, [-1, width])];
      if (features) parts.push(tf.reshape(features, [-1, width]));
      if (concept) parts.push(concept.embed);
      let next = flat.length;
      const subject = flat.length + (features ? features.size / width : 0);
      const from = flat.map((id, i) => {
        if (id >= vocabulary) return subject + id - vocabulary;
        return features && id === this.config.tokens.image ? next++ : i;
      });
      return embedding(tf.concat(parts), tf.tensor2d(from, shape, 'int32')) as tf.Tensor3D;
    });
  }

  /** Embeddings of image codes, `[rows, codes, hidden]`. @throws RangeError for a code outside the codebook */
  embedCodes(codes: readonly ArrayLike<number>[]): tf.Tensor3D {
    const { num_hidden_layers: layers, hidden_act } = this.config.vq;
    return tf.tidy(() => mlp(this.parameters, ALIGNER, layers, hidden_act, this.codeRows(codes)) as tf.Tensor3D);
  }

  /** The same before the aligner, `[rows, codes, embed_dim]`. */
  codeRows(codes: readonly ArrayLike<number>[]): tf.Tensor3D {
    const flat = flatRows(codes, this.config.vq.num_embeddings, 'image code');
    return tf.tidy(() => {
      const ids = tf.tensor2d(flat, [codes.length, codes[0].length], 'int32');
      return this.parameters.embedding(EMBEDDINGS, ids) as tf.Tensor3D;
    });
  }

  /** Hidden states after the last norm, `[rows, tokens, hidden]`, of embeddings of the same shape. */
  hidden(embeds: tf.Tensor3D, options: LlamaForwardOptions = {}): tf.Tensor3D {
    return llamaHidden(this.parameters, LANGUAGE, this.config.text, embeds, options);
  }

  /**
   * Logits over the vocabulary (and a subject's `<sks>` behind it), `[rows, vocab]`, of hidden states `[rows, hidden]`.
   */
  textLogits(hidden: tf.Tensor2D): tf.Tensor2D {
    const logits = llamaLogits(this.parameters, hidden);
    return this.concept ? this.concept.withSubject(logits, hidden) : logits;
  }

  /** The same as text is sampled and replayed: what means images is out of reach, see {@link imageIds}. */
  spokenLogits(hidden: tf.Tensor2D): tf.Tensor2D {
    return tf.tidy(() => {
      const logits = this.textLogits(hidden);
      const blocked = new Float32Array(logits.shape[1]);
      for (const id of imageIds(this.config.tokens)) blocked[id] = BLOCKED;
      return tf.add<tf.Tensor2D>(logits, tf.tensor1d(blocked));
    });
  }

  /** Logits over the image codes, `[rows, codes]`, of hidden states `[rows, hidden]`. */
  codeLogits(hidden: tf.Tensor2D): tf.Tensor2D {
    const { parameters: p } = this;
    const act = activation(this.config.vq.hidden_act);
    // Exact, also where products are rounded: guidance multiplies what rounding does to the difference of two rows.
    return tf.tidy(() =>
      inFloat32(() => p.linear(`${HEAD}.vision_head`, act(p.linear(`${HEAD}.proj_out`, hidden)))),
    ) as tf.Tensor2D;
  }

  dispose(): void {
    this.parameters.dispose();
    this.concept?.dispose();
  }

  private checkPlaceholders(ids: Int32Array, features: tf.Tensor3D): void {
    const { image } = this.config.tokens;
    const width = this.config.text.hidden_size;
    const places = ids.reduce((count, id) => count + (id === image ? 1 : 0), 0);
    if (features.size !== places * width)
      throw new RangeError(
        `${places} placeholders (id ${image}) stand in the rows, but the features are [${features.shape}]: each placeholder takes one of ${width} numbers`,
      );
  }
}

function flatRows(rows: readonly ArrayLike<number>[], size: number, what: string): Int32Array {
  const length = rows[0]?.length ?? 0;
  if (length === 0) throw new RangeError(`${what}s were expected, there are none`);
  const flat = new Int32Array(rows.length * length);
  rows.forEach((row, b) => {
    if (row.length !== length)
      throw new RangeError(
        `row ${b} has ${row.length} ${what}s, row 0 has ${length}; rows of one batch need one length`,
      );
    for (let i = 0; i < length; i++) {
      if (!(Number.isInteger(row[i]) && row[i] >= 0 && row[i] < size))
        throw new RangeError(`${what} ${row[i]} at ${i} of row ${b} is outside 0..${size - 1}`);
      flat[b * length + i] = row[i];
    }
  });
  return flat;
}
