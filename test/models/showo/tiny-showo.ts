/** A Show-o that trains in a moment: 8 x 8 images of 16 codes. */
import { Rng, type tf } from '../../../src/engine';
import type { Image } from '../../../src/io';
import type { ShowoConfig } from '../../../src/models/showo/config';
import { MagvitTokenizer } from '../../../src/models/showo/image-tokenizer';
import { ShowoModel } from '../../../src/models/showo/model';
import type { TextTokenizer } from '../../../src/text';

export const TINY: ShowoConfig = {
  hidden_size: 32,
  intermediate_size: 64,
  num_hidden_layers: 2,
  num_attention_heads: 2,
  layer_norm_eps: 1e-5,
  rope_theta: 10000,
  partial_rotary_factor: 0.5,
  llm_vocab_size: 40,
  codebook_size: 16,
  num_vq_tokens: 16,
  bos_token_id: 1,
  eos_token_id: 1,
  max_text_len: 10,
};

export function tinyImages(): MagvitTokenizer {
  const coder = { ch: 32, ch_mult: [1, 1], num_res_blocks: [0, 1], z_channels: 4, norm_groups: 4 };
  return MagvitTokenizer.random({ encoder: coder, decoder: coder, codebook_dim: 4 }, new Rng(1));
}

export function tinyModel(): ShowoModel {
  return ShowoModel.random(TINY, tinyImages(), numberWords(TINY.llm_vocab_size), new Rng(2));
}

/** Words `w7` for ids 7. */
export function numberWords(size: number): TextTokenizer {
  const tokenOf = (id: number) => (id < size ? `w${id}` : undefined);
  const idOf = (token: string) => {
    const id = Number(/^w(\d+)$/.exec(token)?.[1] ?? NaN);
    return id < size ? id : undefined;
  };
  const vocab = Object.fromEntries(Array.from({ length: size }, (_, id) => [`w${id}`, id]));
  return {
    json: {
      version: '1.0',
      added_tokens: [],
      normalizer: null,
      pre_tokenizer: { type: 'WhitespaceSplit' },
      post_processor: null,
      decoder: null,
      model: { type: 'WordLevel', vocab, unk_token: 'w0' },
    },
    vocabularySize: size,
    unknownId: undefined,
    padId: undefined,
    idOf,
    tokenOf,
    encode: (text) =>
      text.split(' ').flatMap((word) => {
        if (!word) return [];
        const id = idOf(word);
        if (id === undefined) throw new Error(`no word '${word}'`);
        return [id];
      }),
    decode: (ids) => ids.map(tokenOf).join(' '),
  };
}

/** An image of noise. */
export function noiseImage(width: number, height: number, seed: number): Image {
  const rng = new Rng(seed);
  return { width, height, rgb: Uint8Array.from({ length: 3 * width * height }, () => rng.int(256)) };
}

/** A copy of the numbers, by name. */
export function snapshot(variables: Readonly<Record<string, tf.Tensor>>): Record<string, Float32Array> {
  return Object.fromEntries(
    Object.entries(variables).map(([name, x]) => [name, Float32Array.from(x.dataSync<'float32'>())]),
  );
}
