/** Tiny configurations of BLIP and BLIP-2, and images for them. */
import { Rng, tf } from '../../../src/engine';
import { BLIP_BASE, type BlipConfig } from '../../../src/models/scorers/blip-caption';
import { BLIP2_VIT_G, type Blip2Config } from '../../../src/models/scorers/blip2-itm';

const block = {
  hidden_size: 24,
  num_hidden_layers: 2,
  num_attention_heads: 3,
  intermediate_size: 40,
  hidden_act: 'gelu',
};
const vision = { ...block, layer_norm_eps: 1e-6, image_size: 12, patch_size: 4, qkv_bias: true };
export const TINY: BlipConfig = {
  vision,
  text: {
    ...BLIP_BASE.text,
    ...block,
    vocab_size: 40,
    max_position_embeddings: 16,
    encoder_hidden_size: 24,
    bos_token_id: 38,
    sep_token_id: 3,
  },
  image_text_hidden_size: 8,
  tie_word_embeddings: true,
};
export const TINY2: Blip2Config = {
  vision: { ...vision, qkv_bias: false },
  qformer: {
    ...BLIP2_VIT_G.qformer,
    ...block,
    vocab_size: 40,
    max_position_embeddings: 16,
    encoder_hidden_size: 24,
    cross_attention_frequency: 3,
  },
  num_query_tokens: 5,
  image_text_hidden_size: 8,
};

export const images = (n: number, seed = 7) => tf.tensor4d(new Rng(seed).normal(n * 12 * 12 * 3), [n, 12, 12, 3]);
export const imageAt = (pixels: tf.Tensor4D, i: number) => tf.slice(pixels, [i, 0, 0, 0], [1, -1, -1, -1]);
export const far = (a: ArrayLike<number>, b: ArrayLike<number>) =>
  Math.max(...Array.from(a, (value, i) => Math.abs(value - b[i])));
