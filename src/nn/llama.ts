/**
 * The LLaMA decoder (Touvron et al. 2023): RMS norms, rotary positions, grouped-query attention (Ainslie et al. 2023),
 * SwiGLU. With the two options that Chameleon adds: norms on every head's queries and keys, norms after the blocks.
 * It starts from embeddings, because Janus mixes text with images there.
 */
import { attention, inFloat32, layerNorm, swapHeads, swiglu, tf } from '../engine';
import { BLOCKED, causalMask } from './causal-mask';
import type { KvCache } from './kv-cache';
import type { LlamaConfig } from './llama-config';
import { Embedding, Linear, RmsNorm } from './layers';
import { Module, Parameter } from './module';
import { rotary, type RotaryConfig, type RotaryTables, rotaryTables } from './rotary';
import { attendShared, type SharedRows } from './shared-rows';

/** Epsilon of Chameleon's query and key norms. */
const QK_NORM_EPS = 1e-5;

export interface LlamaForwardOptions {
  /** Rows that share beginnings, in one row of tokens; the other options mean nothing then. */
  readonly shared?: SharedRows;
  /** Holds what came before, and is given what comes now. Without it the tokens are a sequence's first. */
  readonly cache?: KvCache;
  /** Tokens that the cache's rows hold, as a tensor, where the caller counts those that follow; see `KvCache.within`. */
  readonly lengths?: tf.Tensor1D;
  /**
   * How many of the tokens each row has, where rows have fewer than others: the rest is padding on the right, which the
   * cache does not keep. Default: all.
   */
  readonly counts?: readonly number[];
  /**
   * Added to attention scores, `[batch or 1, 1, tokens, tokens]`, of tokens that are a sequence's first; null hides
   * nothing. Default: causal.
   */
  readonly mask?: tf.Tensor4D | null;
  /**
   * Position of each token, one list for all rows or one list a row, or the tables made of them by {@link rotaryTables}.
   * Default: goes on from the cache's lengths.
   */
  readonly positions?: readonly number[] | readonly (readonly number[])[] | RotaryTables;
}

/** GPT-2's scaling of what is added to the residual stream keeps its variance flat. */
const residualStd = (config: LlamaConfig): number => 0.02 / Math.sqrt(2 * config.num_hidden_layers);

/** What every block of one forward pass is given. */
export type LlamaContext = LlamaRows | SharedRows;

/** Rows of their own. A type, not an interface: a plain record of tensors. */
type LlamaRows = {
  /** Added to attention scores, for each query head of a group below the other; null hides nothing. */
  readonly mask: tf.Tensor4D | null;
  /** 1 for tokens that see something, 0 for others, `[batch or 1, 1, tokens, 1]`; null where all do. */
  readonly sees: tf.Tensor | null;
  readonly tables: RotaryTables;
  readonly cache?: { readonly layer: number; readonly kv: KvCache };
};

/** LayerNorm over each head's dimensions, then the head's own scale and shift. */
export class HeadNorm extends Module<{ readonly heads: number; readonly dim: number }> {
  readonly weight = new Parameter<tf.Tensor2D>([this.config.heads, this.config.dim], { constant: 1 });
  readonly bias = new Parameter<tf.Tensor2D>([this.config.heads, this.config.dim], { constant: 0 });

  /** @param x `[batch, tokens, heads, dim]` */
  forward(x: tf.Tensor4D): tf.Tensor4D {
    const normal = layerNorm(x, tf.ones([this.config.dim]), null, QK_NORM_EPS) as tf.Tensor4D;
    return tf.add(tf.mul(normal, this.weight.value), this.bias.value);
  }
}

export class LlamaAttention extends Module<LlamaConfig> {
  private readonly queryWidth = this.config.num_attention_heads * this.config.head_dim;
  private readonly keyWidth = this.config.num_key_value_heads * this.config.head_dim;
  private readonly options = { bias: this.config.attention_bias };
  readonly q_proj = new Linear(this.config.hidden_size, this.queryWidth, this.options);
  readonly k_proj = new Linear(this.config.hidden_size, this.keyWidth, this.options);
  readonly v_proj = new Linear(this.config.hidden_size, this.keyWidth, this.options);
  readonly o_proj = new Linear(this.queryWidth, this.config.hidden_size, {
    ...this.options,
    std: residualStd(this.config),
  });
  readonly q_norm = this.headNorm(this.config.num_attention_heads);
  readonly k_norm = this.headNorm(this.config.num_key_value_heads);

  forward(x: tf.Tensor3D, context: LlamaContext): tf.Tensor3D {
    const [batch, tokens] = x.shape;
    const { head_dim: dim, num_attention_heads: heads, num_key_value_heads: groups } = this.config;
    const split = (h: tf.Tensor3D) => tf.reshape<tf.Rank.R4>(h, [batch, tokens, -1, dim]);
    if ('owner' in context) {
      const normed = (h: tf.Tensor4D, norm: HeadNorm | undefined) => (norm ? norm.forward(h) : h);
      const q = normed(split(this.q_proj.forward(x)), this.q_norm);
      const k = normed(split(this.k_proj.forward(x)), this.k_norm);
      return this.o_proj.forward(attendShared({ q, k, v: split(this.v_proj.forward(x)) }, context));
    }
    const { mask, sees, tables, cache } = context;
    const turned = (h: tf.Tensor4D, norm: HeadNorm | undefined) =>
      rotary(swapHeads(norm ? norm.forward(h) : h), tables);
    const q = turned(split(this.q_proj.forward(x)), this.q_norm);
    const own = {
      keys: turned(split(this.k_proj.forward(x)), this.k_norm),
      values: swapHeads(split(this.v_proj.forward(x))),
    };
    const among = () => {
      // Query heads of one key-value head stand below each other.
      const grouped = tf.reshape(q, [batch, groups, (heads / groups) * tokens, dim]);
      return tf.reshape(attention(grouped, own.keys, own.values, mask, dim ** -0.5), [batch, heads, tokens, dim]);
    };
    const all = cache ? cache.kv.attend(cache.layer, q, own, dim ** -0.5, among) : among();
    const mixed = swapHeads(sees ? tf.mul(all, sees) : all);
    return this.o_proj.forward(tf.reshape<tf.Rank.R3>(mixed, [batch, tokens, heads * dim]));
  }

  private headNorm(heads: number): HeadNorm | undefined {
    return this.config.qk_norm ? new HeadNorm({ heads, dim: this.config.head_dim }) : undefined;
  }
}

/** down(silu(gate x) * up x) (Shazeer 2020). */
export class LlamaMlp extends Module<LlamaConfig> {
  private readonly options = { bias: this.config.mlp_bias };
  readonly gate_proj = new Linear(this.config.hidden_size, this.config.intermediate_size, this.options);
  readonly up_proj = new Linear(this.config.hidden_size, this.config.intermediate_size, this.options);
  readonly down_proj = new Linear(this.config.intermediate_size, this.config.hidden_size, {
    ...this.options,
    std: residualStd(this.config),
  });

  forward(x: tf.Tensor3D): tf.Tensor3D {
    return this.down_proj.forward(swiglu(this.gate_proj.forward(x), this.up_proj.forward(x)) as tf.Tensor3D);
  }
}

/** Attention and MLP around the residual stream; the unit of `withCheckpointing`. */
export class LlamaBlock extends Module<LlamaConfig> {
  readonly self_attn = new LlamaAttention(this.config);
  readonly mlp = new LlamaMlp(this.config);
  readonly input_layernorm = new RmsNorm(this.config.hidden_size, this.config.rms_norm_eps);
  readonly post_attention_layernorm = new RmsNorm(this.config.hidden_size, this.config.rms_norm_eps);

  forward(x: tf.Tensor3D, context: LlamaContext): tf.Tensor3D {
    const { self_attn, mlp, input_layernorm, post_attention_layernorm } = this;
    if (this.config.swin_norm) {
      const h = tf.add<tf.Tensor3D>(x, input_layernorm.forward(self_attn.forward(x, context)));
      return tf.add(h, post_attention_layernorm.forward(mlp.forward(h)));
    }
    const h = tf.add<tf.Tensor3D>(x, self_attn.forward(input_layernorm.forward(x), context));
    return tf.add(h, mlp.forward(post_attention_layernorm.forward(h)));
  }
}

/** The decoder without its head: `embed_tokens`, `layers` and `norm`, as Janus' and Chameleon's files name them. */
export class Llama extends Module<LlamaConfig> {
  readonly embed_tokens = new Embedding(this.config.vocab_size, this.config.hidden_size);
  readonly layers = Array.from({ length: this.config.num_hidden_layers }, () => new LlamaBlock(this.config));
  readonly norm = new RmsNorm(this.config.hidden_size, this.config.rms_norm_eps);

  /**
   * Hidden states after the last norm, `[batch, tokens, hidden]`.
   * @param embeds what the tokens are embedded as, `[batch, tokens, hidden]`
   * @throws RangeError when the embeddings, the mask or the positions do not fit, with both shapes
   */
  forward(embeds: tf.Tensor3D, options: LlamaForwardOptions = {}): tf.Tensor3D {
    const { cache, counts, lengths } = options;
    this.checkShapes(embeds, options);
    const [batch, tokens] = embeds.shape;
    return tf.tidy(() => {
      const context = this.contextOf(batch, tokens, options);
      const run = () => this.blocks(embeds, context, cache);
      const cached = (kv: KvCache) => (lengths ? kv.within(lengths, run) : kv.pass(batch, tokens, counts, run));
      return this.norm.forward(cache ? cached(cache) : run());
    });
  }

  private blocks(embeds: tf.Tensor3D, context: LlamaContext, kv: KvCache | undefined): tf.Tensor3D {
    let x = embeds;
    this.layers.forEach((block, layer) => {
      const given = x;
      // A tidy of its own: of weights that are stored smaller, only one block's stand there in full.
      x = tf.tidy(() => block.forward(given, kv ? { ...context, cache: { layer, kv } } : context));
    });
    return x;
  }

  private contextOf(batch: number, tokens: number, options: LlamaForwardOptions): LlamaContext {
    const { cache, mask, positions, shared: beginnings } = options;
    if (beginnings) return beginnings;
    const goesOn = cache !== undefined && cache.capacity > 0;
    const seen = mask !== undefined || goesOn ? (mask ?? null) : causalMask(tokens, tokens);
    // One key-value head serves several query heads: their rows stand below each other, and so must the mask's.
    const shared = this.config.num_attention_heads / this.config.num_key_value_heads;
    const wide = seen && shared > 1 ? tf.tile(seen, [1, 1, shared, 1]) : seen;
    // Softmax would spread a token that may see nothing (padding) over everything; the reference gives it nothing.
    const sees = mask ? tf.cast(tf.greater(tf.max(mask, 3, true), BLOCKED / 2), 'float32') : null;
    const before = goesOn ? cache.spread(cache.lengths) : 0;
    return { mask: wide, sees, tables: tablesFor(this.config, batch, tokens, before, positions) };
  }

  /** The output layer over the vocabulary: a weight of its own, or the table of embeddings where the configuration says so. */
  head(): Linear {
    const { hidden_size, vocab_size, tie_word_embeddings } = this.config;
    return new Linear(hidden_size, vocab_size, {
      bias: false,
      tiedTo: tie_word_embeddings ? this.embed_tokens : undefined,
    });
  }

  private checkShapes(embeds: tf.Tensor3D, { cache, mask }: LlamaForwardOptions): void {
    const { hidden_size: width } = this.config;
    const [batch, tokens, found] = embeds.shape;
    if (embeds.rank !== 3 || found !== width)
      throw new RangeError(`decoder: embeddings are [${embeds.shape}], expected [batch, tokens, ${width}]`);
    if (cache?.batch !== undefined && cache.batch !== batch)
      throw new RangeError(`decoder: the cache holds ${cache.batch} rows; tokens of ${batch} rows cannot follow`);
    if (!mask) return;
    if (cache && cache.capacity > 0)
      throw new RangeError('decoder: tokens that follow others see all of them; they take no mask');
    const [masks, , queries, keys] = mask.shape;
    if (mask.rank !== 4 || queries !== tokens || keys !== tokens || ![1, batch].includes(masks))
      throw new RangeError(`decoder: mask is [${mask.shape}], expected [${batch} or 1, 1, ${tokens}, ${tokens}]`);
  }
}

/**
 * Logits of hidden states, in float32 also where other products are rounded to bfloat16 (but with AMX, see `inFloat32`):
 * rounded logits move log-probs by more than a step of training does. Sampling and replay round alike.
 */
export function exactLogits(head: Linear, hidden: tf.Tensor2D): tf.Tensor2D {
  return inFloat32<tf.Tensor2D>(() => head.forward(hidden));
}

function tablesFor(
  config: LlamaConfig,
  batch: number,
  tokens: number,
  before: number | readonly number[],
  positions: LlamaForwardOptions['positions'],
): RotaryTables {
  if (positions && 'cos' in positions) return positions;
  const from = (place: number) => Array.from({ length: tokens }, (_, t) => place + t);
  const given = positions ?? (typeof before === 'number' ? from(before) : before.map(from));
  const perRow = Array.isArray(given[0]);
  const rows = (perRow ? given : [given]) as readonly (readonly number[])[];
  if ((perRow && rows.length !== batch) || rows.some((row) => row.length !== tokens)) {
    throw new RangeError(
      `decoder: positions are ${rows.length} x ${rows[0]?.length}, expected ${tokens} or ${batch} x ${tokens}`,
    );
  }
  return rotaryTables(given, llamaRotary(config));
}

/** How positions turn queries and keys. */
export function llamaRotary({ head_dim, rope_theta, rope_factor }: LlamaConfig): RotaryConfig {
  return { headDim: head_dim, rotated: head_dim, theta: rope_theta, factor: rope_factor };
}
