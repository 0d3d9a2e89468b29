/**
 * The pre-norm transformer encoder block that vision transformers and CLIP's text tower share: attention and MLP, each
 * behind a layer norm and around a shortcut (Dosovitskiy et al. 2021, eq. 2 and 3). Variants are settings: one fused or
 * three separate projections, layer scale (Touvron et al. 2021), a gated MLP (SwiGLU, Shazeer 2020).
 */
import { attention, layerNorm, silu, tf } from '../engine';
import { activation } from './activations';
import { LayerNorm, Linear } from './layers';
import { Module, type Parameter } from './module';
import type { ParameterSpec, Parameters } from './parameters';

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

/** Upstream's names of a block's parts, relative to the block. */
export interface EncoderNames {
  readonly norm1: string;
  /** Three linear maps, or one whose output is query, key and value side by side. */
  readonly project: { readonly query: string; readonly key: string; readonly value: string } | { readonly qkv: string };
  /** The linear map after attention. */
  readonly output: string;
  readonly norm2: string;
  readonly up: string;
  readonly down: string;
  /** The MLP is gated: `up` has twice the width, and SiLU of its first half scales its second. Default false. */
  readonly gated?: boolean;
  /** Layer scale: the factors of attention and MLP. Default: none. */
  readonly scales?: readonly [string, string];
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

type MutableSpecs = Record<string, ParameterSpec>;

const INIT_STD = 0.02;

/** A linear map `[out, in]`, with a bias unless told otherwise. */
export function declareLinear(specs: MutableSpecs, name: string, inputs: number, outputs: number, bias = true): void {
  specs[`${name}.weight`] = { shape: [outputs, inputs], init: { normal: INIT_STD } };
  if (bias) specs[`${name}.bias`] = { shape: [outputs], init: { constant: 0 } };
}

/** Scale and shift of a layer norm. */
export function declareLayerNorm(specs: MutableSpecs, name: string, size: number): void {
  specs[`${name}.weight`] = { shape: [size], init: { constant: 1 } };
  specs[`${name}.bias`] = { shape: [size], init: { constant: 0 } };
}

/** `x W^T + b` with the parameters of that name; a bias only where the model declared one. */
export function namedLinear(p: Parameters, name: string, x: tf.Tensor): tf.Tensor {
  return p.linear(name, x);
}

/** Layer norm over the last axis with the parameters of that name. */
export function namedLayerNorm(p: Parameters, name: string, x: tf.Tensor, eps: number): tf.Tensor {
  return layerNorm(x, p.get(`${name}.weight`) as tf.Tensor1D, p.get(`${name}.bias`) as tf.Tensor1D, eps);
}

/**
 * Declares one block.
 * @param prefix upstream's name of the block, such as `encoder.layers.0`
 * @throws RangeError for heads that do not divide the width, or an activation that is not known
 */
export function declareEncoderBlock(
  specs: MutableSpecs,
  prefix: string,
  config: EncoderConfig,
  names: EncoderNames,
): void {
  const { hidden, heads, intermediate, qkvBias = true } = config;
  if (hidden % heads) throw new RangeError(`${prefix}: a width of ${hidden} cannot be shared by ${heads} heads`);
  activation(config.activation);
  declareLayerNorm(specs, `${prefix}.${names.norm1}`, hidden);
  if ('qkv' in names.project) declareLinear(specs, `${prefix}.${names.project.qkv}`, hidden, 3 * hidden, qkvBias);
  else
    for (const part of ['query', 'key', 'value'] as const)
      declareLinear(specs, `${prefix}.${names.project[part]}`, hidden, hidden, qkvBias);
  declareLinear(specs, `${prefix}.${names.output}`, hidden, hidden);
  if (names.scales) specs[`${prefix}.${names.scales[0]}`] = { shape: [hidden], init: { constant: 1 } };
  declareLayerNorm(specs, `${prefix}.${names.norm2}`, hidden);
  declareLinear(specs, `${prefix}.${names.up}`, hidden, names.gated ? 2 * intermediate : intermediate);
  declareLinear(specs, `${prefix}.${names.down}`, intermediate, hidden);
  if (names.scales) specs[`${prefix}.${names.scales[1]}`] = { shape: [hidden], init: { constant: 1 } };
}

/** Declares `config.layers` blocks, named `PREFIX.0`, `PREFIX.1` and so on. @throws RangeError as {@link declareEncoderBlock} */
export function declareEncoder(specs: MutableSpecs, prefix: string, config: EncoderConfig, names: EncoderNames): void {
  for (let layer = 0; layer < config.layers; layer++) declareEncoderBlock(specs, `${prefix}.${layer}`, config, names);
}

/**
 * One block.
 * @param x `[batch, tokens, hidden]`
 * @param mask added to the attention scores, `[batch or 1, 1 or heads, tokens or 1, tokens]`; null: all see all
 * @returns `[batch, tokens, hidden]`
 */
export function encoderBlock(
  p: Parameters,
  prefix: string,
  config: EncoderConfig,
  names: EncoderNames,
  x: tf.Tensor3D,
  mask: tf.Tensor | null = null,
): tf.Tensor3D {
  return tf.tidy(() => {
    const scaled = (at: 0 | 1, branch: tf.Tensor): tf.Tensor =>
      names.scales ? tf.mul(branch, p.get(`${prefix}.${names.scales[at]}`)) : branch;
    const mixed = selfAttention(
      p,
      prefix,
      config,
      names,
      namedLayerNorm(p, `${prefix}.${names.norm1}`, x, config.eps),
      mask,
    );
    const after = tf.add(x, scaled(0, mixed));
    const mlp = feedForward(p, prefix, config, names, namedLayerNorm(p, `${prefix}.${names.norm2}`, after, config.eps));
    return tf.add<tf.Tensor3D>(after, scaled(1, mlp));
  });
}

/**
 * All blocks, one after another. Nothing between the blocks outlives its use, unless `keep` is given.
 * @param x `[batch, tokens, hidden]`; stays the caller's
 * @param keep is given every block's output in order; they are then the caller's to dispose, the last one as the result
 */
export function encode(
  p: Parameters,
  prefix: string,
  config: EncoderConfig,
  names: EncoderNames,
  x: tf.Tensor3D,
  mask: tf.Tensor | null = null,
  keep?: (output: tf.Tensor3D, layer: number) => void,
): tf.Tensor3D {
  let h = x;
  for (let layer = 0; layer < config.layers; layer++) {
    const next = encoderBlock(p, `${prefix}.${layer}`, config, names, h, mask);
    if (h !== x && !keep) h.dispose();
    keep?.(next, layer);
    h = next;
  }
  return h === x ? tf.clone(x) : h;
}

function selfAttention(
  p: Parameters,
  prefix: string,
  { hidden, heads }: EncoderConfig,
  { project, output }: EncoderNames,
  x: tf.Tensor,
  mask: tf.Tensor | null,
): tf.Tensor {
  const [batch, tokens] = x.shape;
  const parts =
    'qkv' in project
      ? tf.split(p.linear(`${prefix}.${project.qkv}`, x), 3, -1)
      : [project.query, project.key, project.value].map((name) => p.linear(`${prefix}.${name}`, x));
  const [q, k, v] = parts.map((part) =>
    tf.transpose(tf.reshape(part, [batch, tokens, heads, hidden / heads]), [0, 2, 1, 3]),
  );
  const mixed = tf.reshape(tf.transpose(attention(q, k, v, mask), [0, 2, 1, 3]), [batch, tokens, hidden]);
  return p.linear(`${prefix}.${output}`, mixed);
}

function feedForward(
  p: Parameters,
  prefix: string,
  config: EncoderConfig,
  names: EncoderNames,
  x: tf.Tensor,
): tf.Tensor {
  const wide = p.linear(`${prefix}.${names.up}`, x);
  if (!names.gated) return p.linear(`${prefix}.${names.down}`, activation(config.activation)(wide));
  const [gate, value] = tf.split(wide, 2, -1);
  return p.linear(`${prefix}.${names.down}`, tf.mul(silu(gate), value));
}
