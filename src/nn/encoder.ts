/**
 * The pre-norm transformer encoder block that vision transformers and CLIP's text tower share: attention and MLP, each
 * behind a layer norm and around a shortcut (Dosovitskiy et al. 2021, eq. 2 and 3). Variants are settings: one fused or
 * three separate projections, layer scale (Touvron et al. 2021), a gated MLP (SwiGLU, Shazeer 2020).
 */
import { attention, silu, tf } from '../engine';
import { activation } from './activations';
import { LayerNorm, Linear } from './layers';
import { Module, type Parameter } from './module';

export interface EncoderConfig {
  /** Width of a token. */
  readonly hidden: number;
  readonly layers: number;
  /** Must divide `hidden`. */
  readonly heads: number;
  /** Width between the MLP's two maps; for a gated MLP, of each of its halves. */
  readonly intermediate: number;
  /** Added to the variance in every layer norm. */
  readonly eps: number;
  /** A name that `activation` knows; a gated MLP has SiLU and does not ask. */
  readonly activation: string;
  /** Whether query, key and value have a bias. Default true. */
  readonly qkvBias?: boolean;
  /** The MLP is gated: its first map has twice the width, and SiLU of its first half scales its second. Default false. */
  readonly gated?: boolean;
}

/** A block's parts by what they do; upstreams differ in what they call them. */
export interface EncoderParts {
  readonly norm1: LayerNorm;
  /** Three linear maps, or one whose output is query, key and value side by side. */
  readonly project: { readonly query: Linear; readonly key: Linear; readonly value: Linear } | { readonly qkv: Linear };
  /** The linear map after attention. */
  readonly output: Linear;
  readonly norm2: LayerNorm;
  readonly up: Linear;
  readonly down: Linear;
  /** Layer scale: the factors of attention and MLP. Default: none. */
  readonly scales?: readonly [Parameter<tf.Tensor1D>, Parameter<tf.Tensor1D>];
}

/**
 * One block. A subclass has upstream's names as its fields, and says with `parts` what each does:
 * ```ts
 * class ClipBlock extends EncoderBlock {
 *   readonly layer_norm1 = this.newNorm();
 *   readonly self_attn = { q_proj: this.newProjection(), .., out_proj: this.newOutput() };
 *   readonly layer_norm2 = this.newNorm();
 *   readonly mlp = this.newMlp();
 *   protected parts() { .. }
 * }
 * ```
 */
export abstract class EncoderBlock extends Module<EncoderConfig> {
  /** @throws RangeError for heads that do not divide the width, or an activation that is not known */
  constructor(config: EncoderConfig) {
    super(config);
    const { hidden, heads } = config;
    if (hidden % heads) throw new RangeError(`a width of ${hidden} cannot be shared by ${heads} heads`);
    activation(config.activation);
  }

  protected abstract parts(): EncoderParts;

  /**
   * @param x `[batch, tokens, hidden]`
   * @param mask added to the attention scores, `[batch or 1, 1 or heads, tokens or 1, tokens]`; null: all see all
   * @returns `[batch, tokens, hidden]`
   */
  forward(x: tf.Tensor3D, mask: tf.Tensor | null = null): tf.Tensor3D {
    const parts = this.parts();
    const { norm1, norm2, scales } = parts;
    return tf.tidy(() => {
      const mixed = this.attend(parts, norm1.forward(x), mask);
      const after = tf.add<tf.Tensor3D>(x, scales ? tf.mul(mixed, scales[0].value) : mixed);
      const mlp = this.feedForward(parts, norm2.forward(after));
      return tf.add(after, scales ? tf.mul(mlp, scales[1].value) : mlp);
    });
  }

  protected newNorm(): LayerNorm {
    return new LayerNorm(this.config.hidden, this.config.eps);
  }

  /** Query, key or value; with `parts` 3 all of them side by side. */
  protected newProjection(parts: 1 | 3 = 1): Linear {
    const { hidden, qkvBias = true } = this.config;
    return new Linear(hidden, parts * hidden, { bias: qkvBias });
  }

  protected newOutput(): Linear {
    return new Linear(this.config.hidden, this.config.hidden);
  }

  protected newMlp(): { readonly fc1: Linear; readonly fc2: Linear } {
    const { hidden, intermediate } = this.config;
    return { fc1: new Linear(hidden, intermediate), fc2: new Linear(intermediate, hidden) };
  }

  private attend({ project, output }: EncoderParts, x: tf.Tensor3D, mask: tf.Tensor | null): tf.Tensor3D {
    const { hidden, heads } = this.config;
    const [batch, tokens] = x.shape;
    const three =
      'qkv' in project
        ? tf.split<tf.Tensor3D>(project.qkv.forward(x), 3, -1)
        : [project.query, project.key, project.value].map((layer) => layer.forward(x));
    const [q, k, v] = three.map((part) =>
      tf.transpose(tf.reshape(part, [batch, tokens, heads, hidden / heads]), [0, 2, 1, 3]),
    );
    const mixed = tf.transpose(attention(q, k, v, mask), [0, 2, 1, 3]);
    return output.forward(tf.reshape<tf.Rank.R3>(mixed, [batch, tokens, hidden]));
  }

  private feedForward({ up, down }: EncoderParts, x: tf.Tensor3D): tf.Tensor3D {
    const wide = up.forward(x);
    if (!this.config.gated) return down.forward(activation(this.config.activation)(wide) as tf.Tensor3D);
    const [gate, value] = tf.split<tf.Tensor3D>(wide, 2, -1);
    return down.forward(tf.mul(silu(gate), value));
  }
}

/**
 * Blocks one after another. Nothing between them outlives its use, unless `keep` is given.
 * @param x `[batch, tokens, hidden]`; stays the caller's
 * @param keep is given every block's output in order; they are then the caller's to dispose, the last one as the result
 */
export function runBlocks(
  blocks: readonly { forward(x: tf.Tensor3D, mask: tf.Tensor | null): tf.Tensor3D }[],
  x: tf.Tensor3D,
  mask: tf.Tensor | null = null,
  keep?: (output: tf.Tensor3D) => void,
): tf.Tensor3D {
  let h = x;
  for (const block of blocks) {
    const next = block.forward(h, mask);
    if (h !== x && !keep) h.dispose();
    keep?.(next);
    h = next;
  }
  return h === x ? tf.clone(x) : h;
}
