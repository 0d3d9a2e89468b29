/**
 * How image codes enter and leave the language model (embeddings, aligner, head), and the VQ tokenizer (VQ-16 of
 * LlamaGen, Sun et al. 2024) between pixels and codes.
 */
import { inFloat32, logSoftmax, tf } from '../../engine';
import { activation } from '../../nn/activations';
import { declareLinear } from '../../nn/encoder';
import type { ParameterSpec, Parameters } from '../../nn/parameters';
import {
  declareVqganCodebook,
  declareVqganDecoder,
  declareVqganEncoder,
  declareVqganPostQuant,
  vqganDecode,
  vqganEncoderHidden,
  vqganPreQuant,
} from '../../nn/vqgan';
import { codebookEntries, l2Normalize, nearestCodes, quantize } from '../../nn/vqgan-codebook';
import { type JanusConfig, vqganConfig } from './config';
import { declareMlp, mlp } from './vision';

const EMBEDDINGS = 'model.generation_embeddings';
const ALIGNER = 'model.generation_aligner';
const HEAD = 'model.generation_head';
/** Prefix of the VQ tokenizer's parameters. */
export const VQ = 'model.vqmodel.';
const CODEBOOK = `${VQ}quantize.embedding.weight`;

/** Declares embeddings, aligner, head and VQ tokenizer under their upstream names. */
export function declareGeneration(specs: Record<string, ParameterSpec>, { text, vq }: JanusConfig): void {
  specs[`${EMBEDDINGS}.weight`] = { shape: [vq.num_embeddings, vq.embed_dim], init: { normal: 1 } };
  declareMlp(specs, ALIGNER, vq.embed_dim, vq.projection_dim, vq.num_hidden_layers);
  declareLinear(specs, `${HEAD}.proj_out`, text.hidden_size, vq.projection_dim);
  declareLinear(specs, `${HEAD}.vision_head`, vq.projection_dim, vq.num_embeddings);
  declareVq(specs, { vq });
}

/** Declares the VQ tokenizer alone. */
export function declareVq(specs: Record<string, ParameterSpec>, { vq }: Pick<JanusConfig, 'vq'>): void {
  const config = vqganConfig(vq);
  declareVqganEncoder(specs, VQ, config);
  declareVqganCodebook(specs, VQ, config);
  // Latents and codes are compared by angle: codes in all directions, none of them at home in the origin.
  specs[CODEBOOK] = { ...specs[CODEBOOK], init: { normal: 1 } };
  declareVqganPostQuant(specs, VQ, config);
  declareVqganDecoder(specs, VQ, config);
}

/** Codes -> rows of the generation embeddings. @param codes int32 `[batch, codes]` @returns `[batch, codes, embed_dim]` */
export function rawCodeEmbeddings(p: Parameters, codes: tf.Tensor2D): tf.Tensor3D {
  return p.embedding(EMBEDDINGS, codes) as tf.Tensor3D;
}

/** Codes -> what the language model reads, `[batch, codes, hidden]`. @param codes int32 `[batch, codes]` */
export function codeEmbeddings(p: Parameters, { vq }: JanusConfig, codes: tf.Tensor2D): tf.Tensor3D {
  return tf.tidy(
    () => mlp(p, ALIGNER, vq.num_hidden_layers, vq.hidden_act, rawCodeEmbeddings(p, codes)) as tf.Tensor3D,
  );
}

/** Logits over the codes, `[rows, codes]`, of the language model's hidden states `[rows, hidden]`. */
export function codeLogits(p: Parameters, { vq }: JanusConfig, hidden: tf.Tensor2D): tf.Tensor2D {
  // Exact, also where products are rounded: guidance multiplies what rounding does to the difference of two rows.
  return tf.tidy(() =>
    inFloat32(() => p.linear(`${HEAD}.vision_head`, activation(vq.hidden_act)(p.linear(`${HEAD}.proj_out`, hidden)))),
  ) as tf.Tensor2D;
}

/** The VQ encoder before and after `quant_conv`, `[images, rows, columns, latent_channels]` and `[..., embed_dim]`. */
export function vqLatents(
  p: Parameters,
  { vq }: Pick<JanusConfig, 'vq'>,
  pixels: tf.Tensor4D,
): { hidden: tf.Tensor4D; latents: tf.Tensor4D } {
  return tf.tidy(() => {
    const hidden = vqganEncoderHidden(p, VQ, vqganConfig(vq), pixels);
    return { hidden, latents: vqganPreQuant(p, VQ, hidden) };
  });
}

/**
 * Pixels -> codes `[images, rows * columns]` int32, row by row.
 * @param pixels `[images, height, width, 3]` in [-1, 1]
 * @param l2Norm latents and codebook divided by their length first: true (default) as the original Janus; false as
 *   transformers' encoder, which differs from its own decoder there
 */
export function vqEncode(
  p: Parameters,
  config: Pick<JanusConfig, 'vq'>,
  pixels: tf.Tensor4D,
  l2Norm = true,
): tf.Tensor2D {
  return tf.tidy(() => {
    const codes = nearestCodes(vqLatents(p, config, pixels).latents, codebook(p), l2Norm);
    return tf.reshape<tf.Rank.R2>(codes, [pixels.shape[0], -1]);
  });
}

/** The VQ training loss of pixels (its two parts and beta), a scalar. @param l2Norm as for {@link vqEncode} */
export function vqLoss(p: Parameters, config: Pick<JanusConfig, 'vq'>, pixels: tf.Tensor4D, l2Norm = true): tf.Scalar {
  return tf.tidy(() => quantize(vqLatents(p, config, pixels).latents, codebook(p), l2Norm, config.vq.beta).loss);
}

/** What one training pass of the tokenizer gives. */
export interface VqPass {
  /** The reconstruction, with a straight-through gradient to the encoder. */
  readonly pixels: tf.Tensor4D;
  /** Before the codebook, `[images, rows, columns, embed_dim]`. */
  readonly latents: tf.Tensor4D;
  readonly codes: tf.Tensor3D;
  /** Of the codebook: both parts, as {@link vqLoss}. */
  readonly loss: tf.Scalar;
}

/**
 * One training pass of the tokenizer, pixels to pixels.
 * @param quantized false: latents go to the decoder as they are (divided by their length), and the codebook's loss is 0
 */
export function vqReconstruct(
  p: Parameters,
  config: Pick<JanusConfig, 'vq'>,
  pixels: tf.Tensor4D,
  quantized = true,
): VqPass {
  const { latents } = vqLatents(p, config, pixels);
  const { entries, codes, loss } = quantize(latents, codebook(p), true, config.vq.beta);
  const decoded = vqganDecode(p, VQ, vqganConfig(config.vq), quantized ? entries : l2Normalize(latents));
  return { pixels: decoded, latents, codes, loss: quantized ? loss : tf.scalar(0) };
}

/**
 * How far the use of the codebook is from even, while each latent is sure of its code (LlamaGen's and MAGVIT-v2's
 * entropy loss): mean entropy of the latents' soft assignments minus the entropy of their mean, nats. Every code gets a
 * gradient, also those that no latent is nearest to.
 * @param latents `[..., embed_dim]`
 * @param temperature squared distances between directions are divided by it. Default 0.01, as LlamaGen
 */
export function vqEntropy(p: Parameters, latents: tf.Tensor, temperature = 0.01): tf.Scalar {
  return tf.tidy(() => {
    const [z, e] = [l2Normalize(tf.reshape(latents, [-1, latents.shape[latents.rank - 1]])), l2Normalize(codebook(p))];
    // -|z - e|^2 = 2 z e - 2 for unit vectors; the constant changes no softmax.
    const logProbs = logSoftmax(tf.mul(inFloat32(() => tf.matMul(z, e, false, true)), 2 / temperature)); // prettier-ignore
    const probs = tf.exp(logProbs);
    const each = tf.neg(tf.sum(tf.mul(probs, logProbs), -1));
    const mean = tf.mean(probs, 0);
    const ofMean = tf.neg(tf.sum(tf.mul(mean, tf.log(tf.add(mean, 1e-8)))));
    return tf.sub<tf.Scalar>(tf.mean(each), ofMean);
  });
}

/** Codes -> their entries, divided by their length, as a grid. @returns `[images, rows, columns, embed_dim]` */
export function vqEntries(
  p: Parameters,
  { vq }: Pick<JanusConfig, 'vq'>,
  codes: readonly ArrayLike<number>[],
): tf.Tensor4D {
  const side = vq.num_patches;
  codes.forEach((row, i) => {
    if (row.length !== side * side)
      throw new RangeError(`image ${i} has ${row.length} codes; ${side} x ${side} were expected`);
  });
  return tf.tidy(() => {
    const entries = codebookEntries(codebook(p), codes.flatMap((row) => Array.from(row)), true); // prettier-ignore
    return tf.reshape<tf.Rank.R4>(entries, [codes.length, side, side, vq.embed_dim]);
  });
}

/**
 * Codes -> pixels `[images, height, width, 3]`, about [-1, 1], not clipped.
 * @param codes `[images][num_patches^2]`
 * @throws RangeError for another number of codes, or codes outside the codebook
 */
export function vqDecode(
  p: Parameters,
  config: Pick<JanusConfig, 'vq'>,
  codes: readonly ArrayLike<number>[],
): tf.Tensor4D {
  return tf.tidy(() => vqganDecode(p, VQ, vqganConfig(config.vq), vqEntries(p, config, codes)));
}

function codebook(p: Parameters): tf.Tensor2D {
  return p.get(CODEBOOK) as tf.Tensor2D;
}
