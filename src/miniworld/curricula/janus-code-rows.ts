/** Rows of image codes that begin with what the codebook knows: which codes are alike. */
import { type Rng, tf } from '../../engine';
import type { JanusNetwork } from '../../models/janus/network';
import { l2Normalize } from '../../nn/vqgan-codebook';

/**
 * Where training of the language model starts: codes whose entries lie close together start with similar rows, on the
 * way in and on the way out. A plain random table treats 4,096 codes as 4,096 strangers.
 * @param share of the output rows' variance that the entries carry, in [0, 1]. Default 0.8
 */
export function startCodesFromCodebook(network: JanusNetwork, rng: Rng, share = 0.8, std = 0.02): void {
  const p = network.store;
  const { embed_dim: dim, num_embeddings: codes, projection_dim: width } = network.config.vq;
  tf.tidy(() => {
    const entries = codeEntries(network);
    p.variables['model.generation_embeddings.weight'].assign(entries);
    const directions = tf.tensor2d(rng.split('directions').normal(dim * width), [dim, width]);
    const noise = tf.tensor2d(rng.split('noise').normal(codes * width), [codes, width]);
    const rows = tf.add(
      tf.mul(tf.matMul(entries, directions), std * Math.sqrt(share / dim)),
      tf.mul(noise, std * Math.sqrt(1 - share)),
    );
    p.variables['model.generation_head.vision_head.weight'].assign(rows);
  });
}

/** The codebook's entries with unit variance in every dimension, `[codes, embed_dim]`: what like codes have in common. */
export function codeEntries(network: JanusNetwork): tf.Tensor2D {
  return tf.tidy(() => {
    const entries = l2Normalize(network.store.get('model.vqmodel.quantize.embedding.weight') as tf.Tensor2D);
    return tf.mul<tf.Tensor2D>(entries, Math.sqrt(network.config.vq.embed_dim));
  });
}
