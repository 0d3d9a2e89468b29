/**
 * Janus' network: text, images and codes in, hidden states and logits out. Image codes enter by embeddings and an aligner
 * of their own and leave by a head of their own; samplers, policies and losses share these passes.
 */
import { embedding, inFloat32, releaseTraced, type Rng, tf } from '../../engine';
import { activation } from '../../nn/activations';
import { BLOCKED } from '../../nn/causal-mask';
import { Embedding, Linear } from '../../nn/layers';
import { exactLogits, Llama, type LlamaForwardOptions } from '../../nn/llama';
import { Module } from '../../nn/module';
import { ParamStore } from '../../nn/store';
import { Vqgan } from '../../nn/vqgan';
import type { ConceptTokens } from './concept-tokens';
import { checkJanusConfig, type JanusConfig, vqganConfig } from './config';
import { imageIds } from './layout';
import { Aligner, VisionTower } from './vision';

/** All layers of Janus; the fields are upstream's names. */
export class JanusLayers extends Module<JanusConfig> {
  readonly model = {
    vision_model: new VisionTower(this.config.vision),
    aligner: this.newAligner('vision'),
    language_model: new Llama(this.config.text),
    generation_embeddings: new Embedding(this.config.vq.num_embeddings, this.config.vq.embed_dim, 1),
    generation_aligner: this.newAligner('vq'),
    generation_head: {
      proj_out: new Linear(this.config.text.hidden_size, this.config.vq.projection_dim),
      vision_head: new Linear(this.config.vq.projection_dim, this.config.vq.num_embeddings),
    },
    // Latents and codes are compared by angle: codes in all directions, none of them at home in the origin.
    vqmodel: new Vqgan({ ...vqganConfig(this.config.vq), codebookStd: 1 }),
  };
  readonly lm_head = this.model.language_model.head();

  /** @throws JanusConfigError */
  static of(config: JanusConfig): JanusLayers {
    checkJanusConfig(config);
    return new JanusLayers(config);
  }

  private newAligner(part: 'vision' | 'vq'): Aligner {
    const { vision, vq } = this.config;
    return part === 'vision'
      ? new Aligner({
          inputs: vision.hidden_size,
          width: vision.projection_dim,
          layers: vision.depth,
          activation: vision.hidden_act,
        })
      : new Aligner({
          inputs: vq.embed_dim,
          width: vq.projection_dim,
          layers: vq.num_hidden_layers,
          activation: vq.hidden_act,
        });
  }
}

/** Rows of text as tensors. */
export type EmbedInputs = {
  /** int32 `[rows, tokens]`; 0 where a subject's tokens stand. */
  readonly ids: tf.Tensor2D;
  /** int32 `[rows, tokens]`: among the rows' own embeddings, the subject's and the features. Absent for words alone. */
  readonly from?: tf.Tensor2D;
};

export class JanusNetwork {
  /** A subject's tokens, whose ids follow the vocabulary. */
  concept?: ConceptTokens;

  /**
   * @param store the numbers; disposed with this
   * @param layers those that compute, with the numbers in them: with adapters, for instance. Default: as configured
   * @throws JanusConfigError
   */
  constructor(
    readonly config: JanusConfig,
    readonly store: ParamStore,
    readonly layers: JanusLayers = JanusLayers.of(config).with(store),
  ) {}

  /** With random weights. @throws JanusConfigError */
  static random(config: JanusConfig, rng: Rng): JanusNetwork {
    return new JanusNetwork(config, ParamStore.random(JanusLayers.of(config), rng));
  }

  /**
   * What the language model reads of images, `[images, features, hidden]`.
   * @param pixels `[images, image_size, image_size, 3]` in [-1, 1]
   */
  imageFeatures(pixels: tf.Tensor4D): tf.Tensor3D {
    const { vision_model, aligner } = this.layers.model;
    return tf.tidy(() => aligner.forward(vision_model.forward(pixels)));
  }

  /**
   * Rows of ids as {@link embed} takes them. Features take the places of placeholders: the first goes to the first
   * placeholder of the first row, and so on.
   * @param rows of one length
   * @param features how many there are for placeholders; none for text alone
   * @throws RangeError for an id outside the vocabulary, or when placeholders and features differ in number
   */
  embedInputs(rows: readonly ArrayLike<number>[], features = 0): EmbedInputs {
    const { concept } = this;
    const { vocab_size: vocabulary } = this.config.text;
    const flat = flatRows(rows, vocabulary + (concept?.count ?? 0), 'token');
    const shape: [number, number] = [rows.length, rows[0].length];
    this.checkPlaceholders(flat, features);
    const words = concept ? flat.map((id) => (id < vocabulary ? id : 0)) : flat;
    const ids = tf.tensor2d(words, shape, 'int32');
    if (features === 0 && !concept) return { ids };
    // One look-up in all of them: rows of the text, the subject's tokens, the features in order.
    let next = flat.length + (concept?.count ?? 0);
    const from = flat.map((id, i) => {
      if (id >= vocabulary) return flat.length + id - vocabulary;
      return features > 0 && id === this.config.tokens.image ? next++ : i;
    });
    return { ids, from: tf.tensor2d(from, shape, 'int32') };
  }

  /**
   * Embeddings of rows, `[rows, tokens, hidden]`.
   * @param features `[images, features, hidden]` of {@link imageFeatures}: at least as many as there are placeholders
   */
  embed({ ids, from }: EmbedInputs, features?: tf.Tensor3D): tf.Tensor3D {
    const { concept } = this;
    const { hidden_size: width } = this.config.text;
    return tf.tidy(() => {
      const text = this.layers.model.language_model.embed_tokens.forward(ids);
      if (!from) return text;
      const parts: tf.Tensor2D[] = [tf.reshape(text, [-1, width])];
      if (concept) parts.push(concept.embed);
      if (features) parts.push(tf.reshape(features, [-1, width]));
      return embedding(tf.concat(parts), from) as tf.Tensor3D;
    });
  }

  /** Rows of image codes, int32 `[rows, codes]`. @throws RangeError for a code outside the codebook */
  codeIds(codes: readonly ArrayLike<number>[]): tf.Tensor2D {
    const flat = flatRows(codes, this.config.vq.num_embeddings, 'image code');
    return tf.tensor2d(flat, [codes.length, codes[0].length], 'int32');
  }

  /** Embeddings of image codes, `[rows, codes, hidden]`. @param codes int32 `[rows, codes]` */
  embedCodes(codes: tf.Tensor2D): tf.Tensor3D {
    return tf.tidy(() => this.layers.model.generation_aligner.forward(this.codeRows(codes)));
  }

  /** The same before the aligner, `[rows, codes, embed_dim]`. */
  codeRows(codes: tf.Tensor2D): tf.Tensor3D {
    return this.layers.model.generation_embeddings.forward(codes);
  }

  /** Hidden states after the last norm, `[rows, tokens, hidden]`, of embeddings of the same shape. */
  hidden(embeds: tf.Tensor3D, options: LlamaForwardOptions = {}): tf.Tensor3D {
    return this.layers.model.language_model.forward(embeds, options);
  }

  /**
   * Logits over the vocabulary (and a subject's `<sks>` behind it), `[rows, vocab]`, of hidden states `[rows, hidden]`.
   */
  textLogits(hidden: tf.Tensor2D): tf.Tensor2D {
    const logits = exactLogits(this.layers.lm_head, hidden);
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
    const { proj_out, vision_head } = this.layers.model.generation_head;
    const act = activation(this.config.vq.hidden_act);
    // In float32, but with AMX: guidance multiplies what rounding does to the difference of two rows.
    return tf.tidy(() => inFloat32(() => vision_head.forward(act(proj_out.forward(hidden)) as tf.Tensor2D)));
  }

  dispose(): void {
    releaseTraced(this);
    this.store.dispose();
    this.concept?.dispose();
  }

  private checkPlaceholders(ids: Int32Array, features: number): void {
    const { image } = this.config.tokens;
    const places = features > 0 ? ids.reduce((count, id) => count + (id === image ? 1 : 0), 0) : 0;
    if (features !== places)
      throw new RangeError(
        `${places} placeholders (id ${image}) stand in the rows, but there are ${features} features: each placeholder takes one`,
      );
  }
}

/** How many features there are for placeholders. */
export function featureCount(features: tf.Tensor3D | undefined): number {
  return features ? features.shape[0] * features.shape[1] : 0;
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
