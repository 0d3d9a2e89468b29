/** A Show-o that trains in a moment: 8 x 8 images of 16 codes, and a source that says the same few things. */
import { Rng, type tf } from '../../src/engine';
import type { Image } from '../../src/io';
import type { ShowoConfig } from '../../src/models/showo/config';
import { MagvitTokenizer } from '../../src/models/showo/image-tokenizer';
import { ShowoModel } from '../../src/models/showo/model';
import { ShowoNetwork, showoSpecs } from '../../src/models/showo/network';
import { Parameters } from '../../src/nn/parameters';
import { type ShowoSource, showoTask } from '../../src/sft/train-showo';
import type { TextTokenizer } from '../../src/text';

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

export function tinyParameters(seed = 2): Parameters {
  return Parameters.random(showoSpecs(TINY), new Rng(seed));
}

export function tinyModel(parameters: Parameters = tinyParameters()): ShowoModel {
  return new ShowoModel(new ShowoNetwork(TINY, parameters), tinyImages(), numberWords(TINY.llm_vocab_size));
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

const source: ShowoSource = {
  image: () => ({
    pixels: Uint8Array.from({ length: 8 * 8 * 3 }, (_, i) => (i * 37) % 256),
    caption: [5, 6, 7],
    questions: [{ question: [8, 9], answer: [10, 11] }],
  }),
  text: () => ({ text: [12, 13], questions: [{ question: [17], answer: [14, 15, 16] }] }),
};

/** Supervised training on it. */
export function tinyTask(model: ShowoModel) {
  return showoTask(model, source, { images: 2, asked: 2, questions: 1, texts: 2, size: 8 });
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

/** A batch of hidden states and logits over the images' codes: what every part of the model leads to. */
export function forward(model: ShowoModel, parameters: Parameters = model.network.parameters): Float32Array {
  const row = Array.from({ length: TINY.max_text_len + TINY.num_vq_tokens + 2 }, (_, i) => (i * 7) % 40);
  const network = new ShowoNetwork(model.config, parameters);
  const { guided: logits } = network.imageLogits([row, row.map((id) => (id + 3) % 40)], [], 1);
  const values = logits.dataSync<'float32'>();
  logits.dispose();
  return values;
}

export function largestDifference(a: ArrayLike<number>, b: ArrayLike<number>): number {
  if (a.length !== b.length) throw new Error(`${a.length} and ${b.length} numbers`);
  let worst = 0;
  for (let i = 0; i < a.length; i++) worst = Math.max(worst, Math.abs(a[i] - b[i]));
  return worst;
}
