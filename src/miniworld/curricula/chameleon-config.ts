/** Chameleon mini: the real class at a size that two CPU cores train. 64 x 64 images, an 8 x 8 grid of 4096 codes. */
import { readValues, type Rng, tf } from '../../engine';
import type { ChameleonConfig } from '../../models/chameleon/config';
import type { ChameleonModel } from '../../models/chameleon/model';
import { nameOfCode, TOKEN_NAMES } from '../../models/chameleon/vocabulary';

/** Height and width of the images, pixels. */
const SIDE = 64;
/** Width of a code's entry: the codebook starts as the corners of a cube of so many dimensions, see `vqFromMagvit`. */
const BITS = 12;
const CODES = 2 ** BITS;

/** The tokens of the text vocabulary that have a part in sequences. */
export interface MiniTextIds {
  readonly bos: number;
  readonly eos: number;
  readonly pad: number;
  /** Ends a turn of a conversation. */
  readonly separator: number;
}

/**
 * 6.2 million parameters and 2.4 million of the image tokenizer, with the mini world's 203 words.
 * @param words the text vocabulary, in the order of its ids; special tokens and codes follow it
 */
export function chameleonMini(words: readonly string[], text: MiniTextIds): ChameleonConfig {
  const width = 256;
  const [boi, eoi, image, first] = [0, 1, 2, 3].map((place) => words.length + place);
  const map = Object.fromEntries(words.map((word, id) => [word, id]));
  map[TOKEN_NAMES.boi] = boi;
  map[TOKEN_NAMES.eoi] = eoi;
  map['<image>'] = image;
  map[TOKEN_NAMES.separator] = text.separator;
  for (let code = 0; code < CODES; code++) map[nameOfCode(code)] = first + code;
  return {
    text: {
      vocab_size: first + CODES,
      hidden_size: width,
      intermediate_size: 704,
      num_hidden_layers: 5,
      num_attention_heads: 8,
      num_key_value_heads: 8,
      head_dim: width / 8,
      rms_norm_eps: 1e-5,
      rope_theta: 10000,
      rope_factor: 1,
      max_position_embeddings: 512,
      attention_bias: false,
      mlp_bias: false,
      tie_word_embeddings: false,
      qk_norm: true,
      swin_norm: false,
    },
    model_parallel_size: 1,
    bos_token_id: text.bos,
    eos_token_id: text.eos,
    pad_token_id: text.pad,
    image_token_id: image,
    vocabulary_map: map,
    vq: {
      ch: 32,
      ch_mult: [1, 1, 2, 4],
      // No residual blocks at full resolution, where they cost most and pictograms need them least.
      num_res_blocks: [0, 1, 1, 1],
      decoder_res_blocks: [0, 1, 1, 1],
      z_channels: BITS,
      embed_dim: BITS,
      n_embed: CODES,
      norm_groups: 4, // one channel a group would erase the color of flat images
      cell_encoder: true, // else one part of one figure has many codes, and the language model learns to tell them apart
    },
    resolution: SIDE,
    layout: 'chameleon',
    prompt_format: 'plain',
  };
}

/**
 * Where training of the language model starts: codes whose entries lie close together start with similar rows, on the
 * way in and on the way out. A plain random table treats 4,096 codes as 4,096 strangers.
 * @param share of the rows' variance that the entries carry, in [0, 1]. Default 0.8
 * @throws Error without an image tokenizer
 */
export function startCodesFromCodebook(model: ChameleonModel, rng: Rng, share = 0.8, std = 0.02): void {
  const { codebook } = model.imageTokenizer.vqgan;
  const { vocabulary: v } = model.network;
  const [codes, dim] = codebook.shape;
  const width = model.config.text.hidden_size;
  for (const name of ['model.embed_tokens.weight', 'lm_head.weight']) {
    const own = rng.split(name);
    const table = model.store.get(name) as tf.Variable<tf.Rank.R2>;
    const values = Float32Array.from(table.dataSync<'float32'>());
    const rows = tf.tidy(() => {
      const entries = centred(codebook);
      const directions = tf.tensor2d(own.split('directions').normal(dim * width), [dim, width]);
      const noise = tf.tensor2d(own.split('noise').normal(codes * width), [codes, width]);
      return tf.add(
        tf.mul(tf.matMul(entries, directions), std * Math.sqrt(share / dim)),
        tf.mul(noise, std * Math.sqrt(1 - share)),
      );
    });
    const fresh = rows.dataSync<'float32'>();
    rows.dispose();
    v.idOfCode.forEach((id, code) => values.set(fresh.subarray(code * width, (code + 1) * width), id * width));
    tf.tidy(() => table.assign(tf.tensor2d(values, table.shape)));
  }
}

/**
 * What like codes have in common, a row for every token: the codebook's entries with unit variance in every dimension at
 * the ids of codes, 0 elsewhere.
 * @returns `[vocab, embed_dim]`
 * @throws Error without an image tokenizer
 */
export function codeEntries({ imageTokenizer, network }: ChameleonModel): tf.Tensor2D {
  const { codebook } = imageTokenizer.vqgan;
  const { vocabulary: v } = network;
  const [codes, dim] = codebook.shape;
  const entries = readValues(() => centred(codebook));
  const rows = new Float32Array(v.size * dim);
  for (let code = 0; code < codes; code++)
    rows.set(entries.subarray(code * dim, (code + 1) * dim), v.idOfCode[code] * dim);
  return tf.tensor2d(rows, [v.size, dim]);
}

/** Unit variance in every dimension, whatever lengths the codebook was trained to. */
function centred(codebook: tf.Tensor2D): tf.Tensor2D {
  return tf.tidy(() => {
    const { mean, variance } = tf.moments(codebook, 0);
    return tf.div<tf.Tensor2D>(tf.sub(codebook, mean), tf.sqrt(tf.add(variance, 1e-12)));
  });
}
