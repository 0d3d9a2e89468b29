/**
 * Show-o's layers: Phi-1.5's block (attention and MLP side by side under one LayerNorm), with a LayerNorm on every
 * head's queries and keys, over one vocabulary of text, special tokens and image codes.
 */
import { attention, geluTanh, tf } from '../../engine';
import { Embedding, LayerNorm, Linear } from '../../nn/layers';
import { Module } from '../../nn/module';
import { rotary, type RotaryConfig, type RotaryTables } from '../../nn/rotary';
import { checkShowoConfig, type ShowoConfig, showoVocabulary } from './config';

/** GPT-2's scaling of what is added to the residual stream keeps its variance flat. */
const residual = (config: ShowoConfig) => ({ std: 0.02 / Math.sqrt(2 * config.num_hidden_layers) });

class PhiAttention extends Module<ShowoConfig> {
  private readonly headDim = this.config.hidden_size / this.config.num_attention_heads;
  readonly q_proj = new Linear(this.config.hidden_size, this.config.hidden_size);
  readonly k_proj = new Linear(this.config.hidden_size, this.config.hidden_size);
  readonly v_proj = new Linear(this.config.hidden_size, this.config.hidden_size);
  readonly q_layernorm = new LayerNorm(this.headDim, this.config.layer_norm_eps);
  readonly k_layernorm = new LayerNorm(this.headDim, this.config.layer_norm_eps);
  readonly dense = new Linear(this.config.hidden_size, this.config.hidden_size, residual(this.config));

  forward(x: tf.Tensor3D, mask: tf.Tensor4D, tables: RotaryTables): tf.Tensor3D {
    const [batch, tokens, hidden] = x.shape;
    const split = (h: tf.Tensor3D) => tf.reshape<tf.Rank.R4>(h, [batch, tokens, -1, this.headDim]);
    const heads = (h: tf.Tensor4D) => tf.transpose<tf.Tensor4D>(h, [0, 2, 1, 3]);
    const q = rotary(heads(this.q_layernorm.forward(split(this.q_proj.forward(x)))), tables);
    const k = rotary(heads(this.k_layernorm.forward(split(this.k_proj.forward(x)))), tables);
    const v = heads(split(this.v_proj.forward(x)));
    const mixed = tf.transpose(attention(q, k, v, mask), [0, 2, 1, 3]);
    return this.dense.forward(tf.reshape<tf.Rank.R3>(mixed, [batch, tokens, hidden]));
  }
}

class PhiMlp extends Module<ShowoConfig> {
  readonly fc1 = new Linear(this.config.hidden_size, this.config.intermediate_size);
  readonly fc2 = new Linear(this.config.intermediate_size, this.config.hidden_size, residual(this.config));

  forward(x: tf.Tensor3D): tf.Tensor3D {
    return this.fc2.forward(geluTanh(this.fc1.forward(x)) as tf.Tensor3D);
  }
}

/** What gradient checkpointing computes again. */
export class PhiBlock extends Module<ShowoConfig> {
  readonly input_layernorm = new LayerNorm(this.config.hidden_size, this.config.layer_norm_eps);
  readonly self_attn = new PhiAttention(this.config);
  readonly mlp = new PhiMlp(this.config);

  forward(x: tf.Tensor3D, mask: tf.Tensor4D, tables: RotaryTables): tf.Tensor3D {
    const h = this.input_layernorm.forward(x);
    return tf.addN<tf.Tensor3D>([x, this.self_attn.forward(h, mask, tables), this.mlp.forward(h)]);
  }
}

class PhiModel extends Module<ShowoConfig> {
  readonly embed_tokens = new Embedding(showoVocabulary(this.config).size, this.config.hidden_size);
  readonly layers = Array.from({ length: this.config.num_hidden_layers }, () => new PhiBlock(this.config));
  readonly final_layernorm = new LayerNorm(this.config.hidden_size, this.config.layer_norm_eps);

  /** See {@link ShowoLayers.hidden}. */
  forward(ids: tf.Tensor2D, mask: tf.Tensor4D, tables: RotaryTables): tf.Tensor3D {
    const [batch, tokens] = ids.shape;
    if (mask.shape.join() !== [batch, 1, tokens, tokens].join())
      throw new RangeError(
        `show-o: mask is [${mask.shape}], expected [${batch}, 1, ${tokens}, ${tokens}] for ids [${ids.shape}]`,
      );
    return tf.tidy(() => {
      let x = this.embed_tokens.forward(ids);
      for (const layer of this.layers) {
        const given = x;
        // A tidy of its own: of weights that are stored smaller, only one block's stand there in full.
        x = tf.tidy(() => layer.forward(given, mask, tables));
      }
      return this.final_layernorm.forward(x);
    });
  }
}

/** Fields are named as upstream's files name them. @throws RangeError for a configuration that cannot be built */
export class ShowoLayers extends Module<ShowoConfig> {
  readonly showo = partsOf(this.config);

  /**
   * Hidden states after the last LayerNorm, `[batch, tokens, hidden]`.
   * @param ids int32 `[batch, tokens]`
   * @param mask added to attention scores, `[batch, 1, tokens, tokens]`
   * @param tables of the tokens' positions, see {@link rotaryOf}
   * @throws RangeError for a mask of another shape
   */
  hidden(ids: tf.Tensor2D, mask: tf.Tensor4D, tables: RotaryTables): tf.Tensor3D {
    return this.showo.model.forward(ids, mask, tables);
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
