/**
 * The LLaMA decoder (Touvron et al. 2023): RMS norms, rotary positions, grouped-query attention (Ainslie et al. 2023),
 * SwiGLU. With the two options that Chameleon adds: norms on every head's queries and keys, norms after the blocks.
 * It starts from embeddings, because Janus mixes text with images there.
 */
import { attention, inFloat32, layerNorm, rmsNorm, silu, tf } from '../engine';
import { BLOCKED, causalMask } from './causal-mask';
import { checkpointedBlock } from './checkpointed-block';
import type { KvCache } from './kv-cache';
import type { LlamaConfig } from './llama-config';
import { Embedding, Linear, RmsNorm } from './layers';
import { Module, Parameter } from './module';
import type { ParameterSpec, Parameters } from './parameters';
import { rotary, type RotaryTables, rotaryTables } from './rotary';

/** Epsilon of Chameleon's query and key norms. */
const QK_NORM_EPS = 1e-5;

export interface LlamaForwardOptions {
  /** Holds what came before, and is given what comes now. Without it the tokens are a sequence's first. */
  readonly cache?: KvCache;
  /**
   * Added to attention scores, `[batch or 1, 1, tokens, keys]` with the cache's tokens among the keys; null hides
   * nothing. Default: causal.
   */
  readonly mask?: tf.Tensor4D | null;
  /** Position of each token, one list for all rows or one list a row. Default: goes on from the cache's length. */
  readonly positions?: readonly number[] | readonly (readonly number[])[];
}

/** GPT-2's scaling of what is added to the residual stream keeps its variance flat. */
const residualStd = (config: LlamaConfig): number => 0.02 / Math.sqrt(2 * config.num_hidden_layers);

/** What every block of one forward pass is given. */
export interface LlamaContext {
  /** Added to attention scores, for each query head of a group below the other; null hides nothing. */
  readonly mask: tf.Tensor4D | null;
  /** 1 for tokens that see something, 0 for others, `[batch or 1, 1, tokens, 1]`; null where all do. */
  readonly sees: tf.Tensor | null;
  readonly tables: RotaryTables;
  readonly cache?: { readonly layer: number; readonly kv: KvCache };
}

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

  forward(x: tf.Tensor3D, { mask, sees, tables, cache }: LlamaContext): tf.Tensor3D {
    const [batch, tokens] = x.shape;
    const { head_dim: dim, num_attention_heads: heads, num_key_value_heads: groups } = this.config;
    const split = (h: tf.Tensor3D) => tf.reshape<tf.Rank.R4>(h, [batch, tokens, -1, dim]);
    const turned = (h: tf.Tensor4D, norm: HeadNorm | undefined) =>
      rotary(tf.transpose<tf.Tensor4D>(norm ? norm.forward(h) : h, [0, 2, 1, 3]), tables);
    const q = turned(split(this.q_proj.forward(x)), this.q_norm);
    const own = {
      keys: turned(split(this.k_proj.forward(x)), this.k_norm),
      values: tf.transpose<tf.Tensor4D>(split(this.v_proj.forward(x)), [0, 2, 1, 3]),
    };
    const { keys, values } = cache ? cache.kv.append(cache.layer, own.keys, own.values) : own;
    // Query heads of one key-value head stand below each other.
    const grouped = tf.reshape(q, [batch, groups, (heads / groups) * tokens, dim]);
    const all = tf.reshape(attention(grouped, keys, values, mask, dim ** -0.5), [batch, heads, tokens, dim]);
    const mixed = tf.transpose(sees ? tf.mul(all, sees) : all, [0, 2, 1, 3]);
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
    return this.down_proj.forward(tf.mul(silu(this.gate_proj.forward(x)), this.up_proj.forward(x)));
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
    const { cache, mask, positions } = options;
    this.checkShapes(embeds, options);
    const [batch, tokens] = embeds.shape;
    const before = cache?.length ?? 0;
    return tf.tidy(() => {
      const seen = mask === undefined ? causalMask(tokens, before + tokens) : mask;
      // One key-value head serves several query heads: their rows stand below each other, and so must the mask's.
      const shared = this.config.num_attention_heads / this.config.num_key_value_heads;
      const wide = seen && shared > 1 ? tf.tile(seen, [1, 1, shared, 1]) : seen;
      // Softmax would spread a token that may see nothing (padding) over everything; the reference gives it nothing.
      const sees = mask ? tf.cast(tf.greater(tf.max(mask, 3, true), BLOCKED / 2), 'float32') : null;
      const tables = tablesFor(this.config, batch, tokens, before, positions);
      let x = embeds;
      this.layers.forEach((block, layer) => {
        const given = x;
        const context = { mask: wide, sees, tables, ...(cache ? { cache: { layer, kv: cache } } : {}) };
        // A tidy of its own: of weights that are stored smaller, only one block's stand there in full.
        x = tf.tidy(() => block.forward(given, context));
      });
      return this.norm.forward(x);
    });
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
    const keys = (cache?.length ?? 0) + tokens;
    const isMask =
      !mask ||
      (mask.rank === 4 && mask.shape[2] === tokens && mask.shape[3] === keys && [1, batch].includes(mask.shape[0]));
    if (!isMask)
      throw new RangeError(
        `decoder: mask is [${mask.shape}], expected [${batch} or 1, 1, ${tokens}, ${keys}] (tokens, tokens with the cache's)`,
      );
  }
}

/**
 * Logits of hidden states. Exact, also where products are rounded to bfloat16: rounded logits would move log-probs by
 * more than a step of training does.
 */
export function exactLogits(head: Linear, hidden: tf.Tensor2D): tf.Tensor2D {
  return inFloat32<tf.Tensor2D>(() => head.forward(hidden));
}

/** Declares `PREFIX.embed_tokens`, `PREFIX.layers.N` and `PREFIX.norm`, and the head under a name of its own (tied to the embeddings where the configuration says so). */
export function declareLlama(
  specs: Record<string, ParameterSpec>,
  prefix: string,
  config: LlamaConfig,
  head = 'lm_head',
): void {
  const { hidden_size: d, intermediate_size: ff, head_dim: dim } = config;
  const [heads, groups] = [config.num_attention_heads, config.num_key_value_heads];
  const std = 0.02;
  const residual = std / Math.sqrt(2 * config.num_hidden_layers); // GPT-2's scaling keeps the stream's variance flat
  const dense = (name: string, out: number, inp: number, scale: number, bias: boolean) => {
    specs[`${name}.weight`] = { shape: [out, inp], init: { normal: scale } };
    if (bias) specs[`${name}.bias`] = { shape: [out], init: { constant: 0 } };
  };
  const norm = (name: string) => (specs[`${name}.weight`] = { shape: [d], init: { constant: 1 } });
  dense(`${prefix}.embed_tokens`, config.vocab_size, d, std, false);
  for (let i = 0; i < config.num_hidden_layers; i++) {
    const at = `${prefix}.layers.${i}`;
    dense(`${at}.self_attn.q_proj`, heads * dim, d, std, config.attention_bias);
    for (const part of ['k_proj', 'v_proj'])
      dense(`${at}.self_attn.${part}`, groups * dim, d, std, config.attention_bias);
    dense(`${at}.self_attn.o_proj`, d, heads * dim, residual, config.attention_bias);
    if (config.qk_norm) {
      for (const [part, count] of [
        ['q_norm', heads],
        ['k_norm', groups],
      ] as const) {
        // prettier-ignore
        specs[`${at}.self_attn.${part}.weight`] = { shape: [count, dim], init: { constant: 1 } };
        specs[`${at}.self_attn.${part}.bias`] = { shape: [count, dim], init: { constant: 0 } };
      }
    }
    for (const part of ['gate_proj', 'up_proj']) dense(`${at}.mlp.${part}`, ff, d, std, config.mlp_bias);
    dense(`${at}.mlp.down_proj`, d, ff, residual, config.mlp_bias);
    norm(`${at}.input_layernorm`);
    norm(`${at}.post_attention_layernorm`);
  }
  norm(`${prefix}.norm`);
  dense(head, config.vocab_size, d, std, false);
  if (config.tie_word_embeddings)
    specs[`${head}.weight`] = { ...specs[`${head}.weight`], tiedTo: `${prefix}.embed_tokens.weight` };
}

/**
 * Hidden states after the last norm, `[batch, tokens, hidden]`.
 * @param embeds what the tokens are embedded as, `[batch, tokens, hidden]`
 * @throws RangeError when the embeddings, the mask or the positions do not fit, with both shapes
 */
export function llamaHidden(
  p: Parameters,
  prefix: string,
  config: LlamaConfig,
  embeds: tf.Tensor3D,
  options: LlamaForwardOptions = {},
): tf.Tensor3D {
  const [batch, tokens, width] = embeds.shape;
  const before = options.cache?.length ?? 0;
  const keys = before + tokens;
  if (embeds.rank !== 3 || width !== config.hidden_size) {
    throw new RangeError(`decoder: embeddings are [${embeds.shape}], expected [batch, tokens, ${config.hidden_size}]`);
  }
  const { mask } = options;
  if (
    mask &&
    (mask.rank !== 4 || mask.shape[2] !== tokens || mask.shape[3] !== keys || ![1, batch].includes(mask.shape[0]))
  ) {
    // prettier-ignore
    throw new RangeError(
      `decoder: mask is [${mask.shape}], expected [${batch} or 1, 1, ${tokens}, ${keys}] (tokens, tokens with the cache's)`,
    );
  }
  return tf.tidy(() => {
    const seen = mask === undefined ? causalMask(tokens, keys) : mask;
    // One key-value head serves several query heads: their rows stand below each other, and so must the mask's.
    const shared = config.num_attention_heads / config.num_key_value_heads;
    const wide = seen && shared > 1 ? tf.tile(seen, [1, 1, shared, 1]) : seen;
    // Softmax would spread a token that may see nothing (padding) over everything; the reference gives it nothing.
    const sees = mask ? tf.cast(tf.greater(tf.max(mask, 3, true), BLOCKED / 2), 'float32') : null;
    const tables = tablesFor(config, batch, tokens, before, options.positions);
    let x = embeds;
    for (let layer = 0; layer < config.num_hidden_layers; layer++) {
      const at = `${prefix}.layers.${layer}`;
      const given = x;
      const { cache } = options;
      // What a cache is given cannot be given again.
      x = cache
        ? tf.tidy(() => block(p, at, config, given, { layer, mask: wide, sees, tables, cache }))
        : checkpointedBlock(p, at, x, [wide, sees, tables.cos, tables.sin, tables.swap], (h, ...constants) =>
            block(p, at, config, h, contextOf(layer, constants)),
          );
    }
    return normed(p, `${prefix}.norm`, x, config) as tf.Tensor3D;
  });
}

/** Logits over the vocabulary, `[rows, vocab]`, of hidden states `[rows, hidden]`; exact also where products are rounded. */
export function llamaLogits(p: Parameters, hidden: tf.Tensor2D, head = 'lm_head'): tf.Tensor2D {
  // Rounded logits would move log-probs by more than a step of training does.
  return inFloat32(() => p.linear(head, hidden)) as tf.Tensor2D;
}

interface BlockContext {
  readonly layer: number;
  readonly mask: tf.Tensor | null;
  /** 1 for tokens that see something, 0 for others, `[batch or 1, 1, tokens, 1]`; null where all do. */
  readonly sees: tf.Tensor | null;
  readonly tables: RotaryTables;
  readonly cache?: KvCache;
}

function contextOf(layer: number, [mask, sees, cos, sin, swap]: readonly (tf.Tensor | null)[]): BlockContext {
  return { layer, mask, sees, tables: { cos, sin, swap } as RotaryTables };
}

function block(p: Parameters, at: string, config: LlamaConfig, x: tf.Tensor3D, context: BlockContext): tf.Tensor3D {
  const first = `${at}.input_layernorm`;
  const second = `${at}.post_attention_layernorm`;
  if (config.swin_norm) {
    const h = tf.add<tf.Tensor3D>(x, normed(p, first, selfAttention(p, `${at}.self_attn`, config, x, context), config));
    return tf.add(h, normed(p, second, swiglu(p, `${at}.mlp`, h), config));
  }
  const h = tf.add<tf.Tensor3D>(x, selfAttention(p, `${at}.self_attn`, config, normed(p, first, x, config), context));
  return tf.add(h, swiglu(p, `${at}.mlp`, normed(p, second, h, config)));
}

function selfAttention(p: Parameters, at: string, config: LlamaConfig, x: tf.Tensor, context: BlockContext): tf.Tensor {
  const [batch, tokens] = x.shape;
  const { head_dim: dim, num_attention_heads: heads, num_key_value_heads: groups } = config;
  const split = (name: string, count: number) => tf.reshape(p.linear(`${at}.${name}`, x), [batch, tokens, count, dim]);
  const turned = (name: string, norm: string, count: number) => {
    const rows = config.qk_norm ? headNorm(p, `${at}.${norm}`, split(name, count)) : split(name, count);
    return rotary(tf.transpose(rows, [0, 2, 1, 3]) as tf.Tensor4D, context.tables);
  };
  const q = tf.reshape(turned('q_proj', 'q_norm', heads), [batch, groups, (heads / groups) * tokens, dim]);
  const own = {
    keys: turned('k_proj', 'k_norm', groups),
    values: tf.transpose(split('v_proj', groups), [0, 2, 1, 3]) as tf.Tensor4D,
  };
  const { keys, values } = context.cache ? context.cache.append(context.layer, own.keys, own.values) : own;
  const all = tf.reshape(attention(q, keys, values, context.mask, dim ** -0.5), [batch, heads, tokens, dim]);
  const mixed = context.sees ? tf.mul(all, context.sees) : all;
  return p.linear(`${at}.o_proj`, tf.reshape(tf.transpose(mixed, [0, 2, 1, 3]), [batch, tokens, heads * dim]));
}

/** LayerNorm over each head's dimensions, then the head's own scale and shift. @param x `[batch, tokens, heads, dim]` */
function headNorm(p: Parameters, name: string, x: tf.Tensor): tf.Tensor {
  const normal = layerNorm(x, tf.ones([x.shape[3] ?? 1]), null, QK_NORM_EPS);
  return tf.add(tf.mul(normal, p.get(`${name}.weight`)), p.get(`${name}.bias`));
}

/** down(silu(gate x) * up x) (Shazeer 2020). */
function swiglu(p: Parameters, at: string, x: tf.Tensor): tf.Tensor {
  return p.linear(`${at}.down_proj`, tf.mul(silu(p.linear(`${at}.gate_proj`, x)), p.linear(`${at}.up_proj`, x)));
}

function normed(p: Parameters, name: string, x: tf.Tensor, config: LlamaConfig): tf.Tensor {
  return rmsNorm(x, p.get(`${name}.weight`) as tf.Tensor1D, config.rms_norm_eps);
}

function tablesFor(
  config: LlamaConfig,
  batch: number,
  tokens: number,
  before: number,
  positions: LlamaForwardOptions['positions'],
): RotaryTables {
  const { head_dim: dim, rope_theta: theta, rope_factor: factor } = config;
  const given = positions ?? Array.from({ length: tokens }, (_, t) => before + t);
  const perRow = Array.isArray(given[0]);
  const rows = (perRow ? given : [given]) as readonly (readonly number[])[];
  if ((perRow && rows.length !== batch) || rows.some((row) => row.length !== tokens)) {
    throw new RangeError(
      `decoder: positions are ${rows.length} x ${rows[0]?.length}, expected ${tokens} or ${batch} x ${tokens}`,
    );
  }
  const flat = rows.flat().map((position) => position / factor);
  const tables = rotaryTables(flat.length, dim, dim, theta, flat);
  if (!perRow) return tables;
  const shape: [number, number, number, number] = [batch, 1, tokens, dim];
  return { ...tables, cos: tf.reshape(tables.cos, shape), sin: tf.reshape(tables.sin, shape) };
}
