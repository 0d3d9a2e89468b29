/**
 * Show-o's language model: Phi-1.5's block (attention and MLP side by side under one LayerNorm), with a LayerNorm on
 * every head's queries and keys, over one vocabulary of text, special tokens and image codes.
 */
import { attention, embedding, geluTanh, inFloat32, layerNorm, linear, tf } from '../../engine';
import { additiveMask } from '../../nn/causal-mask';
import { checkpointedBlock } from '../../nn/checkpointed-block';
import type { ParameterSpec, Parameters } from '../../nn/parameters';
import { rotary, type RotaryTables, rotaryTables, rotaryTablesOf } from '../../nn/rotary';
import { checkShowoConfig, type ShowoConfig, type ShowoVocabulary, showoVocabulary } from './config';
import { imageStart } from './layout';
import { textToImageMask } from './masks';

/** Rows appended after the vocabulary: learned concept tokens. Ids go on from the vocabulary's size. */
export interface ExtraTokens {
  /** Input rows `[count, hidden]`. */
  readonly embed: tf.Tensor2D;
  /** Output rows `[count, hidden]` and biases `[count]`. */
  readonly head: tf.Tensor2D;
  readonly bias: tf.Tensor1D;
  /** The one among them that text may say: the subject's own `<sks>`, the last. */
  readonly sayable: number;
}

/** Logits over the image codes, `[images * codes, codebook]`. */
export interface ImageLogits {
  /** uncond + s (cond - uncond): what codes are drawn from. */
  readonly guided: tf.Tensor2D;
  readonly conditional: tf.Tensor2D;
}

/** The language model with its numbers: ids in, hidden states and logits out. Samplers, replay and losses share it. */
export class ShowoNetwork {
  readonly vocabulary: ShowoVocabulary;

  constructor(
    readonly config: ShowoConfig,
    readonly parameters: Parameters,
    /** A subject's tokens, when there are any. */
    readonly extra?: ExtraTokens,
  ) {
    checkShowoConfig(config);
    this.vocabulary = showoVocabulary(config);
  }

  /** What text is drawn from: the text vocabulary, then a subject's `<sks>`. */
  get sayableIds(): { readonly count: number; idOf: (index: number) => number; indexOf: (id: number) => number } {
    const { extra, vocabulary } = this;
    const words = this.config.llm_vocab_size;
    const subject = extra ? vocabulary.size + extra.sayable : -1;
    return {
      count: words + (extra ? 1 : 0),
      idOf: (index) => (index < words ? index : subject),
      indexOf: (id) => (id === subject ? words : id),
    };
  }

  /**
   * Hidden states `[batch, tokens, hidden]` of rows of one length.
   * @param positions where each token stands, row by row; default: 0, 1, 2 ...
   */
  hidden(
    rows: readonly ArrayLike<number>[],
    masks: readonly Uint8Array[],
    positions?: readonly ArrayLike<number>[],
  ): tf.Tensor3D {
    const tokens = rows[0].length;
    return tf.tidy(() => {
      const ids = tf.tensor2d(Int32Array.from(rows.flatMap((row) => Array.from(row))), [rows.length, tokens], 'int32');
      return showoHidden(this.parameters, this.config, ids, additiveMask(masks, tokens), this.extra, positions);
    });
  }

  /** Logits over the whole vocabulary (and the extra rows), `[rows, vocab]`, of hidden states `[rows, hidden]`. */
  logits(hidden: tf.Tensor2D): tf.Tensor2D {
    return tf.tidy(() => {
      // Logits are exact: rounded ones would move log-probs by more than a step of training does.
      const base = inFloat32(() => dense(this.parameters, 'showo.lm_head', hidden));
      const { extra } = this;
      return (extra ? tf.concat([base, linear(hidden, extra.head, extra.bias)], 1) : base) as tf.Tensor2D;
    });
  }

  /** Logits over {@link sayableIds}, `[rows, count]`. */
  textLogits(hidden: tf.Tensor2D): tf.Tensor2D {
    return tf.tidy(() => {
      const base = this.logitsRange(hidden, 0, this.config.llm_vocab_size);
      if (!this.extra) return base;
      const { head, bias, sayable } = this.extra;
      const own = inFloat32(() =>
        linear(hidden, tf.slice(head, [sayable, 0], [1, -1]), tf.slice(bias, [sayable], [1])),
      );
      return tf.concat([base, own as tf.Tensor2D], 1);
    });
  }

  /**
   * Logits of images under guidance.
   * @param rows conditional sequences; `unconditional` the same with the condition dropped, not used at s = 1
   * @param guidanceScale s
   */
  imageLogits(
    rows: readonly ArrayLike<number>[],
    unconditional: readonly ArrayLike<number>[],
    guidanceScale: number,
  ): ImageLogits {
    return tf.tidy(() => {
      const guided = guidanceScale !== 1;
      const all = guided ? [...rows, ...unconditional] : [...rows];
      const masks = all.map((row) => textToImageMask(row, this.vocabulary));
      const count = this.config.num_vq_tokens;
      const inside = tf.slice(this.hidden(all, masks), [0, imageStart(this.config), 0], [-1, count, -1]);
      const flat = tf.reshape<tf.Rank.R2>(inside, [-1, this.config.hidden_size]);
      const logits = this.logitsRange(flat, this.vocabulary.imageOffset, this.config.codebook_size);
      if (!guided) return { guided: logits, conditional: logits };
      const half = rows.length * count;
      const [conditional, dropped] = [tf.slice(logits, [0, 0], [half, -1]), tf.slice(logits, [half, 0], [half, -1])];
      const mixture = tf.sub<tf.Tensor2D>(tf.mul(conditional, guidanceScale), tf.mul(dropped, guidanceScale - 1));
      return { guided: mixture, conditional };
    });
  }

  /** Logits over ids `from` .. `from + count - 1` alone, `[rows, count]`: an image needs its codes only. */
  private logitsRange(hidden: tf.Tensor2D, from: number, count: number): tf.Tensor2D {
    return tf.tidy(() => {
      const weight = tf.slice(this.parameters.get('showo.lm_head.weight') as tf.Tensor2D, [from, 0], [count, -1]);
      const bias = tf.slice(this.parameters.get('showo.lm_head.bias') as tf.Tensor1D, [from], [count]);
      return inFloat32(() => linear(hidden, weight, bias)) as tf.Tensor2D;
    });
  }
}

/** Every parameter under its upstream name. */
export function showoSpecs(config: ShowoConfig): Record<string, ParameterSpec> {
  const { hidden_size: d, intermediate_size: ff } = config;
  const vocab = showoVocabulary(config).size;
  const std = 0.02;
  const residual = std / Math.sqrt(2 * config.num_hidden_layers); // GPT-2's scaling keeps the stream's variance flat
  const specs: Record<string, ParameterSpec> = {};
  const layer = (name: string, out: number, inp: number, scale: number) => {
    specs[`${name}.weight`] = { shape: [out, inp], init: { normal: scale } };
    specs[`${name}.bias`] = { shape: [out], init: { constant: 0 } };
  };
  const norm = (name: string, size: number) => {
    specs[`${name}.weight`] = { shape: [size], init: { constant: 1 } };
    specs[`${name}.bias`] = { shape: [size], init: { constant: 0 } };
  };
  specs['showo.model.embed_tokens.weight'] = { shape: [vocab, d], init: { normal: std } };
  for (let i = 0; i < config.num_hidden_layers; i++) {
    const at = `showo.model.layers.${i}`;
    norm(`${at}.input_layernorm`, d);
    for (const part of ['q_proj', 'k_proj', 'v_proj']) layer(`${at}.self_attn.${part}`, d, d, std);
    for (const part of ['q_layernorm', 'k_layernorm']) norm(`${at}.self_attn.${part}`, d / config.num_attention_heads);
    layer(`${at}.self_attn.dense`, d, d, residual);
    layer(`${at}.mlp.fc1`, ff, d, std);
    layer(`${at}.mlp.fc2`, d, ff, residual);
  }
  norm('showo.model.final_layernorm', d);
  layer('showo.lm_head', vocab, d, std);
  return specs;
}

/**
 * Hidden states after the last LayerNorm, `[batch, tokens, hidden]`.
 * @param ids int32 `[batch, tokens]`; ids from the vocabulary's size on are `extra` rows
 * @param mask added to attention scores, `[batch, 1, tokens, tokens]`
 * @param positions `[batch][tokens]`, whole numbers from 0; default: 0, 1, 2 ... in every row
 */
export function showoHidden(
  p: Parameters,
  config: ShowoConfig,
  ids: tf.Tensor2D,
  mask: tf.Tensor4D,
  extra?: ExtraTokens,
  positions?: readonly ArrayLike<number>[],
): tf.Tensor3D {
  const [batch, tokens] = ids.shape;
  if (mask.shape.join() !== [batch, 1, tokens, tokens].join()) {
    throw new RangeError(
      `show-o: mask is [${mask.shape}], expected [${batch}, 1, ${tokens}, ${tokens}] for ids [${ids.shape}]`,
    );
  }
  return tf.tidy(() => {
    const heads = config.num_attention_heads;
    const headDim = config.hidden_size / heads;
    const rotated = Math.floor(headDim * config.partial_rotary_factor);
    const tables = positions
      ? rotaryTablesOf(positions, headDim, rotated, config.rope_theta)
      : rotaryTables(tokens, headDim, rotated, config.rope_theta);
    let x = embedTokens(p, config, ids, extra);
    for (let i = 0; i < config.num_hidden_layers; i++) {
      const at = `showo.model.layers.${i}`;
      // A tidy of its own: of weights that are stored smaller, only one block's stand there in full.
      x = checkpointedBlock(p, at, x, [mask, tables.cos, tables.sin, tables.swap], (h, seen, cos, sin, swap) =>
        block(p, config, at, h, seen as tf.Tensor4D, { cos, sin, swap } as RotaryTables),
      );
    }
    return normed(p, 'showo.model.final_layernorm', x, config.layer_norm_eps) as tf.Tensor3D;
  });
}

function embedTokens(p: Parameters, config: ShowoConfig, ids: tf.Tensor2D, extra?: ExtraTokens): tf.Tensor3D {
  const rows = (of: tf.Tensor2D) => p.embedding('showo.model.embed_tokens', of) as tf.Tensor3D;
  if (!extra) return rows(ids);
  const size = showoVocabulary(config).size;
  // Two small look-ups instead of one in a concatenated table: the table of a real checkpoint is half a gigabyte.
  const isExtra = tf.cast(tf.greaterEqual(ids, tf.scalar(size, 'int32')), 'int32');
  const base = rows(tf.mul<tf.Tensor2D>(ids, tf.sub(tf.scalar(1, 'int32'), isExtra)));
  const own = embedding(extra.embed, tf.mul<tf.Tensor2D>(tf.sub(ids, tf.scalar(size, 'int32')), isExtra));
  const pick = tf.expandDims(tf.cast(isExtra, 'float32'), -1);
  return tf.add<tf.Tensor3D>(tf.mul(base, tf.sub(1, pick)), tf.mul(own, pick));
}

function normed(p: Parameters, name: string, x: tf.Tensor, eps: number): tf.Tensor {
  return layerNorm(x, p.get(`${name}.weight`) as tf.Tensor1D, p.get(`${name}.bias`) as tf.Tensor1D, eps);
}

function dense(p: Parameters, name: string, x: tf.Tensor): tf.Tensor {
  return p.linear(name, x);
}

function block(
  p: Parameters,
  config: ShowoConfig,
  at: string,
  x: tf.Tensor3D,
  mask: tf.Tensor4D,
  tables: RotaryTables,
): tf.Tensor3D {
  const [batch, tokens, hidden] = x.shape;
  const heads = config.num_attention_heads;
  const h = normed(p, `${at}.input_layernorm`, x, config.layer_norm_eps);
  const split = (name: string) =>
    tf.reshape(dense(p, `${at}.self_attn.${name}`, h), [batch, tokens, heads, hidden / heads]);
  const turned = (name: string, norm: string) =>
    rotary(
      tf.transpose(
        normed(p, `${at}.self_attn.${norm}`, split(name), config.layer_norm_eps),
        [0, 2, 1, 3],
      ) as tf.Tensor4D,
      tables,
    );
  const mixed = attention(
    turned('q_proj', 'q_layernorm'),
    turned('k_proj', 'k_layernorm'),
    tf.transpose(split('v_proj'), [0, 2, 1, 3]),
    mask,
  );
  const attended = dense(
    p,
    `${at}.self_attn.dense`,
    tf.reshape(tf.transpose(mixed, [0, 2, 1, 3]), [batch, tokens, hidden]),
  );
  const mlp = dense(p, `${at}.mlp.fc2`, geluTanh(dense(p, `${at}.mlp.fc1`, h)));
  return tf.addN([x, attended, mlp]) as tf.Tensor3D;
}
