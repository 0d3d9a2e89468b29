/**
 * Show-o's layers: Phi-1.5's block (attention and MLP side by side under one LayerNorm), with a LayerNorm on every
 * head's queries and keys, over one vocabulary of text, special tokens and image codes.
 */
import {
  attention,
  begunAttention,
  embedding,
  geluTanh,
  hasBegunAttention,
  hasProjectedAttention,
  projectedAttention,
  swapHeads,
  tf,
} from '../../engine';
import { Embedding, LayerNorm, Linear } from '../../nn/layers';
import { Module } from '../../nn/module';
import type { KvCache } from '../../nn/kv-cache';
import { rotary, type RotaryConfig, type RotaryTables } from '../../nn/rotary';
import { type Attending, attendShared, type Beginnings, sequencesOf, type SharedRows } from '../../nn/shared-rows';
import { checkShowoConfig, type ShowoConfig, showoVocabulary } from './config';

/** GPT-2's scaling of what is added to the residual stream keeps its variance flat. */
const residual = (config: ShowoConfig) => ({ std: 0.02 / Math.sqrt(2 * config.num_hidden_layers) });

/**
 * Rows that attend to themselves; rows of a cache, which holds what came before; rows that share beginnings; or rows that
 * are such beginnings, or go on from them.
 */
export type PhiRows = Attending | CachedRows | SharedRows | BeginningRows | BegunRows;

/** Rows whose keys and values are held from now on. */
export type BeginningRows = Attending & { readonly holds: Beginnings };

/** Rows that go on. Keys that `mask` is of: those of the beginning, then the rows' own. */
export type BegunRows = Attending & {
  readonly begun: Beginnings;
  /** int32 `[rows]`: the beginning that each row goes on from. */
  readonly owner: tf.Tensor1D;
};

/** Rows whose tokens go into a cache. */
export type CachedRows = {
  readonly cache: KvCache;
  /** Where the caller counts the tokens: see `KvCache.within`. */
  readonly lengths?: tf.Tensor1D;
  /** Of each row, as `KvCache.pass` takes them. */
  readonly counts?: readonly number[];
  /** Added to attention scores, `[rows or 1, 1, tokens, tokens]`, of tokens that are a sequence's first; others see all. */
  readonly mask?: tf.Tensor4D;
  readonly tables: RotaryTables;
};

class PhiAttention extends Module<ShowoConfig> {
  private readonly headDim = this.config.hidden_size / this.config.num_attention_heads;
  readonly q_proj = new Linear(this.config.hidden_size, this.config.hidden_size);
  readonly k_proj = new Linear(this.config.hidden_size, this.config.hidden_size);
  readonly v_proj = new Linear(this.config.hidden_size, this.config.hidden_size);
  readonly q_layernorm = new LayerNorm(this.headDim, this.config.layer_norm_eps);
  readonly k_layernorm = new LayerNorm(this.headDim, this.config.layer_norm_eps);
  readonly dense = new Linear(this.config.hidden_size, this.config.hidden_size, residual(this.config));

  /** @param rows see {@link PhiRows} @param layer which one of the layers this is @param at see {@link PhiBlock} */
  forward(x: tf.Tensor3D, rows: PhiRows, layer: number, at?: tf.Tensor1D): tf.Tensor3D {
    return this.dense.forward(picked(this.mixed(x, rows, layer), at));
  }

  /** Before the output projection. */
  private mixed(x: tf.Tensor3D, rows: PhiRows, layer: number): tf.Tensor3D {
    const projected = { q: this.q_proj.forward(x), k: this.k_proj.forward(x), v: this.v_proj.forward(x) };
    if ('begun' in rows && hasBegunAttention()) return this.attendBegun(projected, rows, layer);
    if (!('begun' in rows || 'cache' in rows || 'holds' in rows) && hasProjectedAttention())
      return projectedAttention({ ...projected, norms: this.norms(), ...sequencesOf(rows) }) as tf.Tensor3D;
    const [batch, tokens, hidden] = x.shape;
    const split = (h: tf.Tensor3D) => tf.reshape<tf.Rank.R4>(h, [batch, tokens, -1, this.headDim]);
    const q = this.q_layernorm.forward(split(projected.q));
    const k = this.k_layernorm.forward(split(projected.k));
    const v = split(projected.v);
    if ('beginning' in rows) return attendShared({ q, k, v }, rows);
    const own = { keys: rotary(swapHeads(k), rows.tables), values: swapHeads(v) };
    const turned = rotary(swapHeads(q), rows.tables);
    const scale = this.headDim ** -0.5;
    if ('holds' in rows) rows.holds.hold(layer, own);
    const seen = 'begun' in rows ? rows.begun.before(layer, rows.owner, own) : own;
    const among = () => attention(turned, seen.keys, seen.values, rows.mask ?? null, scale);
    const mixed = swapHeads('cache' in rows ? rows.cache.attend(layer, turned, own, scale, among) : among());
    return tf.reshape<tf.Rank.R3>(mixed, [batch, tokens, hidden]);
  }

  /** What {@link mixed} does with projections, as one operation. */
  private attendBegun(
    projected: Readonly<Record<'q' | 'k' | 'v', tf.Tensor3D>>,
    { begun, owner, mask, tables }: BegunRows,
    layer: number,
  ): tf.Tensor3D {
    const { epsilon, ...norms } = this.norms();
    const { rotated } = rotaryOf(this.config);
    return begunAttention(
      { ...projected, norms, tables, begun: begun.of(layer), owner, mask },
      { epsilon, rotated, scale: this.headDim ** -0.5 },
    );
  }

  private norms() {
    const normOf = ({ weight, bias }: LayerNorm) => ({ weight: weight.value, bias: bias.value });
    return { q: normOf(this.q_layernorm), k: normOf(this.k_layernorm), epsilon: this.config.layer_norm_eps };
  }
}

class PhiMlp extends Module<ShowoConfig> {
  readonly fc1 = new Linear(this.config.hidden_size, this.config.intermediate_size);
  readonly fc2 = new Linear(this.config.intermediate_size, this.config.hidden_size, residual(this.config));

  forward(x: tf.Tensor3D): tf.Tensor3D {
    return this.fc2.forward(geluTanh(this.fc1.forward(x)) as tf.Tensor3D);
  }
}

/** The places' numbers, `[1, places, width]`; without places, all. */
function picked(x: tf.Tensor3D, at: tf.Tensor1D | undefined): tf.Tensor3D {
  if (!at) return x;
  const width = x.shape[2];
  return tf.reshape(embedding(tf.reshape(x, [-1, width]), at), [1, at.size, width]);
}

/** What gradient checkpointing computes again. */
export class PhiBlock extends Module<ShowoConfig> {
  readonly input_layernorm = new LayerNorm(this.config.hidden_size, this.config.layer_norm_eps);
  readonly self_attn = new PhiAttention(this.config);
  readonly mlp = new PhiMlp(this.config);

  /** @param at places, in the flattened rows, that are asked for, `[1, places, hidden]`; the others are only seen. Default: all */
  forward(x: tf.Tensor3D, rows: PhiRows, layer: number, at?: tf.Tensor1D): tf.Tensor3D {
    const h = this.input_layernorm.forward(x);
    const parts = [picked(x, at), this.self_attn.forward(h, rows, layer, at), this.mlp.forward(picked(h, at))];
    return tf.addN<tf.Tensor3D>(parts);
  }
}

class PhiModel extends Module<ShowoConfig> {
  readonly embed_tokens = new Embedding(showoVocabulary(this.config).size, this.config.hidden_size);
  readonly layers = Array.from({ length: this.config.num_hidden_layers }, () => new PhiBlock(this.config));
  readonly final_layernorm = new LayerNorm(this.config.hidden_size, this.config.layer_norm_eps);

  /** See {@link ShowoLayers.hidden} and {@link ShowoLayers.hiddenAt}. */
  forward(ids: tf.Tensor2D, rows: PhiRows, at?: tf.Tensor1D): tf.Tensor3D {
    checkMask(ids, rows);
    const [batch, tokens] = ids.shape;
    return tf.tidy(() => {
      const run = () => this.blocks(this.embed_tokens.forward(ids), rows, at);
      const cached = ({ cache, lengths, counts }: CachedRows) =>
        lengths ? cache.within(lengths, run) : cache.pass(batch, tokens, counts, run);
      return this.final_layernorm.forward('cache' in rows ? cached(rows) : run());
    });
  }

  private blocks(embeds: tf.Tensor3D, rows: PhiRows, at: tf.Tensor1D | undefined): tf.Tensor3D {
    const last = this.layers.length - 1;
    let x = embeds;
    this.layers.forEach((block, layer) => {
      const given = x;
      // A tidy of its own: of weights that are stored smaller, only one block's stand there in full.
      x = tf.tidy(() =>
        layer === last && at ? block.forward(given, rows, layer, at) : block.forward(given, rows, layer),
      );
    });
    return x;
  }
}

function checkMask(ids: tf.Tensor2D, rows: PhiRows): void {
  if ('beginning' in rows || 'begun' in rows || !rows.mask) return;
  const [batch, tokens] = ids.shape;
  const [masks, ...found] = rows.mask.shape;
  if ((masks !== 1 && masks !== batch) || found.join() !== [1, tokens, tokens].join())
    throw new RangeError(
      `show-o: mask is [${rows.mask.shape}], expected [${batch} or 1, 1, ${tokens}, ${tokens}] for ids [${ids.shape}]`,
    );
}

/** Fields are named as upstream's files name them. @throws RangeError for a configuration that cannot be built */
export class ShowoLayers extends Module<ShowoConfig> {
  readonly showo = partsOf(this.config);

  /**
   * Hidden states after the last LayerNorm, `[batch, tokens, hidden]`.
   * @param ids int32 `[batch, tokens]`
   * @throws RangeError for a mask of another shape
   */
  hidden(ids: tf.Tensor2D, rows: PhiRows): tf.Tensor3D {
    return this.showo.model.forward(ids, rows);
  }

  /**
   * Those of some places, `[places, hidden]`: the last layer computes no others.
   * @param at int32 `[places]`, places in the flattened rows
   */
  hiddenAt(ids: tf.Tensor2D, rows: PhiRows, at: tf.Tensor1D): tf.Tensor2D {
    return tf.reshape(this.showo.model.forward(ids, rows, at), [at.size, -1]);
  }
}

/** How positions turn queries and keys. */
export function rotaryOf({
  hidden_size,
  num_attention_heads,
  rope_theta,
  partial_rotary_factor,
}: ShowoConfig): RotaryConfig {
  const headDim = hidden_size / num_attention_heads;
  return { headDim, rotated: Math.floor(headDim * partial_rotary_factor), theta: rope_theta };
}

function partsOf(config: ShowoConfig) {
  checkShowoConfig(config);
  return {
    model: new PhiModel(config),
    lm_head: new Linear(config.hidden_size, showoVocabulary(config).size),
  };
}
